"""A control trial is to a sampler what it would have been without its privilege."""

import pytest
from drawn_studies import FREE, study_of
from fake_worker import create, plan, work
from optuna.trial import TrialState

from tune_mixup.record.facts import Decision, TrialFacts
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.samplers.tpe import Tpe
from tune_mixup.samplers.trial_sampler import TrialSampler
from tune_mixup.search.asking import Asking
from tune_mixup.search.session import Session
from tune_mixup.search.stand_ins import stand_in

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


def decision(epoch, value, cutoff, *, by="rung", stop=False):
    return Decision(epoch=epoch, stop=stop, why="why", by=by, rung=epoch, value=value, cutoff=cutoff)


def test_it_ends_at_the_first_rung_that_did_not_let_it_through():
    values = {epoch: epoch / 10 for epoch in range(1, 10)}
    decisions = (decision(1, 0.1, 0.1), decision(3, 0.3, 0.35), decision(9, 0.9, 0.95))
    (control,) = study_of([(TrialState.COMPLETE, values, decisions)]).trials
    shown = stand_in(control, "maximize")
    assert (shown.state, shown.value, shown.number) == (TrialState.PRUNED, None, control.number)
    assert shown.intermediate_values == {1: 0.1, 2: 0.2, 3: 0.3} and shown.params == control.params
    assert control.state == TrialState.COMPLETE and len(control.intermediate_values) == 9
    assert stand_in(control, "minimize") is None


@pytest.mark.parametrize(
    ("state", "decisions"),
    [
        (TrialState.COMPLETE, ()),
        (TrialState.COMPLETE, (decision(3, 0.3, 0.3),)),  # as good as the last one that goes on
        (TrialState.COMPLETE, (decision(3, 0.3, 0.35, by="last"),)),  # nobody else could have been COMPLETE
        (TrialState.PRUNED, (decision(3, 0.3, 0.35, stop=True),)),
    ],
)
def test_other_trials_stand_for_themselves(state, decisions):
    (one,) = study_of([(state, {1: 0.1, 3: 0.3}, decisions)]).trials
    assert stand_in(one, "maximize") is None


@pytest.mark.parametrize("seed", range(5))
def test_tpe_draws_as_if_the_trial_had_been_stopped(seed):
    """Against a study in which it really was: two rungs let few through, and the control trials are poor ones."""
    courses = [{epoch: (number * 7 % 10) / 10 + epoch / 100 for epoch in range(1, 10)} for number in range(20)]
    spared = {2, 5, 9, 14}
    with_control, without = [], []
    for number, values in enumerate(courses):
        if number in spared:
            failed = decision(3, values[3], values[3] + 0.1)
            with_control.append((TrialState.COMPLETE, values, (failed,)))
            without.append((TrialState.PRUNED, {e: v for e, v in values.items() if e <= 3}, (failed,)))
        else:
            state = TrialState.COMPLETE if number % 8 == 0 else TrialState.PRUNED
            both = (state, values if state == TrialState.COMPLETE else {1: values[1]}, ())
            with_control.append(both)
            without.append(both)
    drawn = []
    for trials, shown in ((with_control, True), (without, False), (with_control, False)):
        study = study_of(trials)
        stand_ins = {t.number: s for t in study.trials if (s := stand_in(t, "maximize")) is not None} if shown else {}
        study.sampler = TrialSampler(Tpe(startup_trials=5), seed=seed, number=20, stand_ins=stand_ins)
        drawn.append(study.ask(FREE).params)
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_session_and_a_resumed_one_show_the_same(tmp_path):
    config = plan(trials=30, sampler="tpe", strata="none", control_fraction=0.4)
    record = create(tmp_path, config)
    session = Session.open(record, config)
    work(session)
    shown = session.asking._stand_ins
    assert shown and {one.state for one in shown.values()} == {TrialState.PRUNED}
    assert Asking(SweepRecord.open(record.path), config)._stand_ins.keys() == shown.keys()
    for number in shown:
        assert record.study.trial(number).state == TrialState.COMPLETE
        assert any("control group" in one.why for one in record.study.facts(number).decisions)
    assert TrialFacts.parse(record.study.trial(min(shown)).user_attrs).finalist is None
