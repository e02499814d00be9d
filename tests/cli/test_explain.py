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


@pytest.mark.parametrize("name", ["3", "t0003", "t3", "T3", "T0003"])
def test_a_trial_is_named_as_it_is_everywhere_else(command, swept, name):
    assert command("explain", "gm", name) == 0
    assert command.out.startswith("t0003 RUNNING at epoch 1")
    assert command("explain", "gm", name, "--order", "--json") == 0
    assert {json.loads(line)["trial"] for line in command.out.splitlines()} == {3}


@pytest.mark.parametrize("name", ["x3", "t", "3.5", "", "-1", "t00_3", "9" * 30])
def test_what_is_no_trial_is_refused(command, swept, name):
    assert command("explain", "gm", "--", name) == 2
    assert "must be a trial's number or name, such as 7 or t0007" in command.err and command.err.count("\n") == 1


def test_five_trials_say_nothing_about_rungs(command, start_sweep):
    start_sweep(trials=[("COMPLETE", [value, 0.5 + value / 16]) for value in (0.5, 0.25, 0.75, 0.375, 0.625)])
    assert command("explain", "gm") == 0
    assert "-1.00" not in command.out and "to 1.00" not in command.out
    assert "Chance that the best trial was stopped: unknown" in command.out
    assert "none (sweep.stopping.control_fraction is 0)" in command.out


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
