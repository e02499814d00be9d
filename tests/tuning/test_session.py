"""Sessions without Ray: a fake worker turns each configuration into a curve, and sessions are abandoned at will."""

import math
import random

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from tune_mixup.config import SweepConfig
from tune_mixup.record import SweepRecord, load_sweep
from tune_mixup.search_space import SearchSpace
from tune_mixup.tuning.session import Session

SPACE = SearchSpace(
    fixed={"data.name": "synthetic", "training.epochs": 9},
    free={
        "mixing.name": CategoricalDistribution(("erm", "mixup")),
        "mixing.alpha": FloatDistribution(0.1, 4.0, log=True),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
    },
    conditions={"mixing.alpha": {"mixing.name": ("mixup",)}},
    baselines=(
        {"mixing.name": "erm", "optimizer.lr": 0.1},
        {"mixing.name": "mixup", "mixing.alpha": 1.0, "optimizer.lr": 0.1},
    ),
)


def plan(**changes):
    settings = {"name": "s", "space": SPACE, "trials": 10, "grace_epochs": 1, "metric": "val_accuracy", **changes}
    return SweepConfig.parse(settings)


def create(tmp_path, config):
    return SweepRecord.create(tmp_path, config.name, config.model_dump(mode="json"), direction=config.direction)


def value_of(config, epoch):
    """A smooth curve of the setting: what a deterministic trainable would report."""
    strength = abs(math.log(config.optimizer.lr / 0.08)) + (0.1 if config.mixing.name == "erm" else 0.0)
    return 1 / (1 + strength) * (1 - math.exp(-epoch / 3))


def step(session, begin, epoch):
    """One epoch of the fake worker: its folder first, then the report; True when the trial goes on."""
    folder = session.record.trial_folder(begin.number)
    folder.path.mkdir(parents=True, exist_ok=True)
    row = {"epoch": epoch, "val_accuracy": value_of(begin.config, epoch), "diverged": 0}
    done = epoch == begin.config.training.epochs
    if epoch > len(folder.read_epochs()):
        folder.append_epoch(row)
    if done or session.report(begin.number, row):
        session.complete(begin.number, row)
        return False
    return True


def work(session, *, kill_after=None):
    """One slot; returns False when it was killed after so many steps."""
    steps = 0
    while (begin := session.next()) is not None:
        epoch = len(session.record.trial_folder(begin.number).read_epochs())
        going = True
        while going:
            if steps == kill_after:
                return False
            epoch, steps = epoch + 1, steps + 1
            going = step(session, begin, epoch)
    return True


def decisions(record):
    return [(t.number, t.state.name, t.params, t.intermediate_values, t.user_attrs) for t in record.asked()]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp", "cmaes"])
def test_a_killed_and_resumed_sweep_decides_like_one_that_never_was(tmp_path, sampler):
    config = plan(sampler=sampler, trials=14)
    whole = create(tmp_path / "whole", config)
    work(Session(whole, config))
    assert {t.state for t in whole.asked()} == {TrialState.COMPLETE, TrialState.PRUNED}

    rng = random.Random(0)
    killed = create(tmp_path / "killed", config)
    while not work(Session(load_sweep(killed.path), config), kill_after=rng.randrange(12)):
        pass
    assert decisions(load_sweep(killed.path)) == decisions(whole)


def test_states_values_and_reasons_are_what_optuna_users_expect(tmp_path):
    config = plan()
    record = create(tmp_path, config)
    work(Session(record, config))
    study = optuna.load_study(study_name="s", storage=record.storage())
    assert len(study.trials) == 10 and not [t for t in study.trials if not t.state.is_finished()]
    assert study.trials[0].params == {"mixing.name": "erm", "optimizer.lr": 0.1}
    assert study.trials[1].params["mixing.alpha"] == 1.0
    for trial in study.trials:
        assert sorted(trial.intermediate_values) == list(range(1, trial.last_step + 1))
        assert trial.value == trial.intermediate_values[trial.last_step]
        assert (trial.state == TrialState.COMPLETE) == (trial.last_step == 9)
        assert "mixing.alpha" not in trial.params or trial.params["mixing.name"] == "mixup"
    pruned = [t for t in study.trials if t.state == TrialState.PRUNED]
    assert pruned and all("at the rung of epoch" in t.user_attrs["reason"] for t in pruned)
    assert study.best_trial.value == max(t.value for t in study.trials if t.state == TrialState.COMPLETE)


def test_a_decision_that_was_written_but_not_acted_on_is_kept(tmp_path):
    config = plan()
    record = create(tmp_path, config)
    session = Session(record, config)
    best, worse = session.next(), session.next()
    assert step(session, best, 1)
    folder = record.trial_folder(worse.number)
    folder.path.mkdir(parents=True)
    row = {"epoch": 1, "val_accuracy": value_of(best.config, 1) - 0.1, "diverged": 0}
    folder.append_epoch(row)
    assert session.report(worse.number, row)  # stop: recorded; here the process dies
    again = Session(load_sweep(record.path), config)
    assert [t.state.name for t in again.record.asked()] == ["RUNNING", "PRUNED"]
    assert [begin.number for begin in again.queue] == [0]


def test_reports_that_only_the_worker_kept_are_recovered(tmp_path):
    config = plan(scheduler="none")
    record = create(tmp_path, config)
    begin = Session(record, config).next()
    folder = record.trial_folder(begin.number)
    folder.path.mkdir(parents=True)
    for epoch in range(1, 10):
        folder.append_epoch({"epoch": epoch, "val_accuracy": epoch / 10, "diverged": 0})
    again = Session(load_sweep(record.path), config)
    trial = again.record.asked()[0]
    assert trial.state == TrialState.COMPLETE and trial.value == 0.9 and len(trial.intermediate_values) == 9


def test_failures_and_divergence_are_fail_with_a_reason_and_no_value(tmp_path):
    config = plan(scheduler="none")
    record = create(tmp_path, config)
    session = Session(record, config)
    for ending in (
        {"result": {"epoch": 0, "failed": "ValueError: no"}},
        {"result": {"epoch": 2, "diverged": 1}},
        {"result": None, "error": "the worker died"},
    ):
        begin = session.next()
        step(session, begin, 1)
        session.complete(begin.number, ending["result"], error=ending.get("error"))
    trials = record.asked()
    assert [t.state for t in trials] == [TrialState.FAIL] * 3 and [t.value for t in trials] == [None] * 3
    assert [t.user_attrs["reason"] for t in trials] == [
        "ValueError: no", "epoch 2: diverged, the loss is NaN or infinite", "the worker died"
    ]  # fmt: skip


def test_the_time_budget_counts_every_process_and_ends_trials_as_pruned(tmp_path):
    config = plan(time_budget_s=1000.0, scheduler="none")
    record = create(tmp_path, config)
    session = Session(record, config)
    begin = session.next()
    assert step(session, begin, 1)
    session.worked_before_s = 1000.0
    assert not step(session, begin, 2)
    assert record.asked()[0].user_attrs["reason"] == "epoch 2: the sweep's time budget of 1000 s was used up"
    assert record.asked()[0].state == TrialState.PRUNED and session.next() is None


def test_a_grid_runs_every_point_once_in_order(tmp_path):
    space = SearchSpace(
        fixed={"data.name": "synthetic", "mixing.name": "mixup"},
        free={"seed": CategoricalDistribution((0, 1)), "mixing.alpha": CategoricalDistribution((0.5, 1.0, 2.0))},
    )
    config = plan(space=space, sampler="grid", scheduler="none", trials=6)
    record = create(tmp_path, config)
    work(Session(record, config), kill_after=7)
    work(Session(load_sweep(record.path), config))
    assert [t.params for t in load_sweep(record.path).asked()] == [
        {"seed": seed, "mixing.alpha": alpha} for seed in (0, 1) for alpha in (0.5, 1.0, 2.0)
    ]


def test_more_trials_can_be_promised_later_and_finished_ones_stay(tmp_path):
    config = plan(trials=4)
    record = create(tmp_path, config)
    work(Session(record, config))
    before = decisions(record)
    work(Session(load_sweep(record.path), config.replace(trials=8)))
    after = decisions(load_sweep(record.path))
    assert after[:4] == before and len(after) == 8


def test_progress_counts(tmp_path):
    heard = []
    config = plan(trials=5)
    record = create(tmp_path, config)
    session = Session(record, config, listener=heard.append)
    work(session)
    last = heard[-1]
    assert sum(last.states.values()) == 5 and last.states["RUNNING"] == last.states["WAITING"] == 0
    complete = [t for t in record.asked() if t.state == TrialState.COMPLETE]
    assert last.best_value == max(t.value for t in complete) and last.best_epoch == 9
    assert last.epochs == sum(t.last_step for t in record.asked()) and last.full_epochs == 45
    assert heard[0].message == "t0000 begins" and "t0004" in last.message


def test_the_best_of_a_minimised_metric_is_the_smallest(tmp_path):
    config = plan(metric="val_nll", scheduler="none", trials=2)
    record = create(tmp_path, config)
    session = Session(record, config)
    for nll in (0.5, 0.25):
        begin = session.next()
        session.report(begin.number, {"epoch": 1, "val_nll": nll})
    assert session.progress().best_trial == 1
