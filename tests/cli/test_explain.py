import json

import pytest

from tune_mixup.record.facts import Decision

TRIALS = [("COMPLETE", [0.5, 0.625]), ("PRUNED", [0.875]), ("FAIL", []), ("RUNNING", [0.25])]


@pytest.fixture
def swept(start_sweep):
    record = start_sweep(trials=TRIALS)
    record.study.decide(3, Decision(epoch=1, stop=True, why="epoch 1: number 3 of 3", by="rung", rung=1))
    return record


def test_stops_and_failures_have_their_reasons(command, swept):
    assert command("explain", "gm") == 0
    lines = command.out.splitlines()
    assert lines[0] == "gm: asha by val_accuracy, the median of 5 reports"
    assert lines[lines.index("Stopped: 1 of 4 trials") + 1] == "  t0001  reason 1"
    assert lines[lines.index("Failed: 1 of 4 trials") + 1] == "  t0002  reason 2"
    assert any(line.startswith("Control group, which is never stopped: ") for line in lines)
    assert any(line.startswith("All 1 COMPLETE trials") for line in lines)


def test_one_trial(command, swept):
    assert command("explain", "gm", 3) == 0
    lines = command.out.splitlines()
    assert lines[0].startswith("t0003 RUNNING at epoch 1") and lines[-1] == "  epoch 1: number 3 of 3"
    assert "has begun no such trial" in command.refused("explain", "gm", 4)


@pytest.mark.parametrize("arguments, key", [((), "trials"), ((3,), "decisions")])
def test_machines_get_json(command, swept, arguments, key):
    assert command("explain", "gm", *arguments, "--json") == 0
    found = json.loads(command.out)
    assert found["name"] == "gm" and len(found[key]) == (4 if key == "trials" else 1)


def test_the_order_of_asks_and_tells(command, swept):
    assert command("explain", "gm", "--order") == 0
    lines = command.out.splitlines()
    assert lines[0].startswith("ask    t0000 (0 ended, 0 running)  ")
    assert [line.split()[:2] for line in lines if line.startswith("tell")] == [
        ["tell", "t0000"], ["tell", "t0001"], ["tell", "t0002"]
    ]  # fmt: skip
    assert "came out the same when made again" in lines[-1]
    assert command("explain", "gm", 1, "--order", "--json") == 0
    events = [json.loads(line) for line in command.out.splitlines()]
    assert {event["trial"] for event in events} == {1} and events[0]["kind"] == "ask" and events[0]["again"] is True


def test_no_such_sweep(command):
    assert "gm" in command.refused("explain", "gm")
