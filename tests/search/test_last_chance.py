"""No sweep ends with all its trials stopped by the rule; side by side, after kills, and made again by a replay."""

import pytest
from fake_worker import create, plan, step, work
from stops_all import StopsAll

from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.replay import replay
from tune_mixup.search.session import Session
from tune_mixup.testing.kills import killed_after_each_write

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")
WORDS = "; it goes on, for no trial is COMPLETE and no other can be"


def states(record):
    return [trial.state.name for trial in record.study.asked()]


def opened(folder, **changes):
    config = plan(sampler="random", **changes).replace(stopping=StopsAll())
    record = create(folder, config)
    return record, Session.open(record, config)


def test_of_a_sweep_whose_rule_stops_everything_the_last_trial_is_trained_to_the_end(tmp_path):
    record, session = opened(tmp_path, trials=4)
    work(session)
    assert states(record) == ["PRUNED", "PRUNED", "PRUNED", "COMPLETE"]
    made = record.study.facts(3).decisions
    assert [one.epoch for one in made] == [2, 3, 4, 5, 6, 7, 8] and not any(one.stop for one in made)
    assert {(one.by, one.why) for one in made} == {("last", f"epoch {epoch}: enough{WORDS}") for epoch in range(2, 9)}
    decided = [event for event in replay(SweepRecord.open(record.path)) if event.kind == "decide"]
    assert len(decided) == 3 + 7 and all(event.again for event in decided)


def test_a_sweep_that_is_extended_goes_on_as_if_nothing_had_been(tmp_path):
    record, session = opened(tmp_path, trials=2)
    work(session)
    work(Session.open(SweepRecord.open(record.path), session.config.replace(trials=4)))
    assert states(SweepRecord.open(record.path)) == ["PRUNED", "COMPLETE", "PRUNED", "PRUNED"]


def test_whether_another_could_be_complete_counts_those_at_work_that_are_not_stopped(tmp_path):
    record, session = opened(tmp_path, trials=3)
    first, second, third = (session.next() for _ in range(3))
    assert all(step(session, begin, 1) for begin in (first, second, third))
    row = {"epoch": 2, "val_accuracy": 0.5, "diverged": 0}
    assert session.report(first.number, row), "two others are at work"
    assert session.report(second.number, row), "one other is at work"
    assert states(record) == ["RUNNING"] * 3, "the stopped two have not ended yet"
    assert not session.report(third.number, row), "the others can only end as stopped"
    assert record.study.facts(2).decisions[-1].why.endswith(WORDS)


def test_a_complete_trial_is_enough_and_a_failed_one_is_not(tmp_path):
    record, session = opened(tmp_path, trials=3)
    complete, failed, last = (session.next() for _ in range(3))
    session.complete(failed.number, None, failed="ValueError: no")
    session.complete(complete.number, {"epoch": 9, "val_accuracy": 0.5, "diverged": 0})
    step(session, last, 1)
    assert not step(session, last, 2)
    assert states(record) == ["COMPLETE", "FAIL", "PRUNED"]


def test_at_a_rung_what_was_compared_stays_in_the_decision(tmp_path):
    config = plan(trials=3, sampler="random", strata="none", control_fraction=0, smoothing=1)
    record = create(tmp_path, config)
    session = Session.open(record, config)
    for number, value in enumerate((0.9, 0.5)):
        begin = session.next()
        assert session.report(begin.number, {"epoch": 1, "val_accuracy": value, "diverged": 0}) == (number == 1)
        session.complete(begin.number, None, failed=None if number else "ValueError: no")
    last = session.next()
    assert not session.report(last.number, {"epoch": 1, "val_accuracy": 0.1, "diverged": 0})
    (made,) = record.study.facts(2).decisions
    assert (made.by, made.rung, made.rank, made.of, made.stop) == ("last", 1, 3, 3, False)
    assert all(event.again for event in replay(SweepRecord.open(record.path)) if event.kind == "decide")


def test_a_budget_stops_the_last_trial_too(tmp_path):
    record, session = opened(tmp_path, trials=1, time_budget_s=1000.0)
    begin = session.next()
    assert step(session, begin, 1) and step(session, begin, 2)
    session.ledger.before_s = 1000.0
    assert not step(session, begin, 3)
    assert states(record) == ["PRUNED"] and record.study.facts(0).decisions[-1].by == "budget"


def test_a_sweep_killed_after_each_write_spares_the_same_trial():
    outcome = killed_after_each_write(plan(sampler="random", trials=3).replace(stopping=StopsAll()))
    assert outcome.killed == outcome.unbroken and b'"last"' in outcome.unbroken and outcome.kills > 20
