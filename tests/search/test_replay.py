"""The order of asks, decisions and tells, made once more."""

import random

import pytest
from fake_worker import create, plan, step, work

from tune_mixup.record.journal import Journal
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.replay import replay
from tune_mixup.search.session import Session

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


def side_by_side(session, slots, rng):
    """Several slots, whose epochs end in any order."""
    running = {}
    while True:
        while len(running) < slots and (begin := session.next()) is not None:
            running[begin.number] = (begin, len(session.record.folder.trial(begin.number).read_epochs()))
        if not running:
            return
        begin, epoch = running.pop(rng.choice(sorted(running)))
        if step(session, begin, epoch + 1):
            running[begin.number] = (begin, epoch + 1)


@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [("tpe", "asha"), ("random", "hyperband"), ("qmc", "median"), ("gp", "asha"), ("cmaes", "asha")],
)
def test_a_parallel_sweep_comes_out_the_same_when_made_again(tmp_path, sampler, scheduler):
    config = plan(sampler=sampler, scheduler=scheduler, trials=16)
    record = create(tmp_path, config)
    side_by_side(Session.open(record, config), 4, random.Random(1))
    events = list(replay(SweepRecord.open(record.path)))
    asks = [event for event in events if event.kind == "ask"]
    assert [event.trial for event in asks] == list(range(16)) and all(event.again for event in asks)
    assert max(event.running for event in asks) == 3 and asks[0].running == asks[0].ended == 0
    told = [event.trial for event in events if event.kind == "tell"]
    assert sorted(told) == list(range(16)) and told != sorted(told), "trials side by side end in another order"
    decisions = [event for event in events if event.kind == "decide"]
    assert all(event.again for event in decisions)
    assert len(decisions) == sum(len(record.study.facts(number).decisions) for number in range(16)) > 0


def test_a_killed_sweep_comes_out_the_same_when_made_again(tmp_path):
    config, rng = plan(sampler="tpe", trials=16, control_fraction=0.5, strata="none"), random.Random(0)
    record = create(tmp_path, config)
    while not work(Session.open(SweepRecord.open(record.path), config), kill_after=rng.randrange(12)):
        pass
    events = list(replay(SweepRecord.open(record.path)))
    assert {event.again for event in events if event.kind != "tell"} == {True}


def test_what_was_not_so_is_found(tmp_path):
    """A value that was changed after the fact, in a journal that was written anew with fitting checksums."""
    config = plan(sampler="tpe", trials=12, strata="none", control_fraction=0)
    record = create(tmp_path, config)
    work(Session.open(record, config))
    whole = list(replay(SweepRecord.open(record.path)))
    (report,) = [e for e in whole if e.kind == "ask" and e.trial == 11]
    path = record.path / "study.journal"
    operations = list(Journal(path).read_logs(0))
    first = next(one for one in operations if one["op_code"] == 7 and one["trial_id"] == 2)
    first["intermediate_value"] += 7
    path.write_bytes(b"")
    Journal(path).append_logs(operations)
    changed = list(replay(SweepRecord.open(record.path)))
    assert len([e for e in changed if e.again is False]) > 0 and report.again
    assert changed[0].again, "what came before the change is as it was"


def test_a_stop_by_the_clock_is_listed_and_not_made_again(tmp_path):
    config = plan(time_budget_s=1000.0, scheduler="none")
    record = create(tmp_path, config)
    session = Session.open(record, config)
    begin = session.next()
    step(session, begin, 1)
    session.ledger.before_s = 1000.0
    step(session, begin, 2)
    events = list(replay(SweepRecord.open(record.path)))
    assert [(event.kind, event.again) for event in events] == [("ask", True), ("decide", None), ("tell", None)]
    assert "time budget" in events[1].what
