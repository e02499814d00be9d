"""Drawn points that are no valid configuration: their trials fail with the reason, and the sweep goes on."""

import random

import pytest
from fake_worker import create, decisions, plan, work
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from tune_mixup.analysis.leaderboard import leaderboard
from tune_mixup.analysis.rendering import rows
from tune_mixup.analysis.sweep import load_sweep
from tune_mixup.cluster.evaluation import plan as evaluation_of
from tune_mixup.record import tables
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.disk import Keeper
from tune_mixup.search.explanation import explain_sweep, explain_trial
from tune_mixup.search.replay import replay
from tune_mixup.search.session import Session
from tune_mixup.search.warm_start import import_trials
from tune_mixup.search_space import SearchSpace
from tune_mixup.testing.kills import worked_through

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

SPACE = SearchSpace(
    fixed={"data.name": "synthetic", "mixing.name": "mixup"},
    free={
        "schedule.warmup_epochs": IntDistribution(0, 5),
        "training.epochs": CategoricalDistribution((3, 6)),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
    },
)


def is_valid(params):
    return params["schedule.warmup_epochs"] < params["training.epochs"]


def one_that_fails(root, **changes):
    """A sweep that was worked through, and a trial of it without a valid configuration."""
    config = plan(space=SPACE, **{"sampler": "random", "scheduler": "none", "trials": 12, "seed": 1, **changes})
    record = create(root, config)
    work(Session.open(record, config))
    invalid = [trial for trial in record.study.asked() if not is_valid(trial.params)]
    assert 0 < len(invalid) < 8
    return config, record, invalid[0]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp", "cmaes"])
def test_a_point_that_is_no_configuration_is_a_trial_that_failed(tmp_path, sampler):
    heard = []
    config = plan(space=SPACE, sampler=sampler, scheduler="asha", trials=14, seed=1)
    record = create(tmp_path, config)
    session = Session.open(record, config, listener=heard.append)
    work(session)
    trials = record.study.asked()
    assert len(trials) == 14 and any(not is_valid(trial.params) for trial in trials)
    for trial in trials:
        assert (trial.state == TrialState.FAIL) == (not is_valid(trial.params))
        if trial.state == TrialState.FAIL:
            assert trial.value is None and not trial.intermediate_values
            assert trial.user_attrs["reason"].startswith("no valid configuration: warmup_epochs is ")
    failed = sum(trial.state == TrialState.FAIL for trial in trials)
    assert heard[-1].states == {
        "COMPLETE": sum(trial.state == TrialState.COMPLETE for trial in trials),
        "PRUNED": sum(trial.state == TrialState.PRUNED for trial in trials),
        "FAIL": failed, "RUNNING": 0, "WAITING": 0,
    }  # fmt: skip
    assert sum("FAIL: no valid configuration" in progress.message for progress in heard) == failed
    again = Session.open(SweepRecord.open(record.path), config)
    assert again.next() is None and decisions(again.record) == decisions(record)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_killed_at_any_write_it_comes_out_as_if_it_never_was(tmp_path, sampler):
    config = plan(space=SPACE, sampler=sampler, trials=7, seed=1)
    whole = create(tmp_path / "whole", config)
    _, writes = worked_through(whole, config)
    assert [trial.state for trial in whole.study.asked()].count(TrialState.FAIL) > 0
    for write in range(1, writes + 1):
        record = create(tmp_path / str(write), config)
        assert not worked_through(record, config, kill_at=write)[0]
        worked_through(record, config)
        assert decisions(record) == decisions(whole), f"killed at write {write} of {writes}"


def test_a_sweep_all_of_whose_points_are_none_ends_after_its_trials(tmp_path):
    """Half of the points are valid, and with some seed none of these is drawn."""
    space = SPACE.replace(free={**SPACE.free, "schedule.warmup_epochs": IntDistribution(3, 5)})
    config = plan(space=space, sampler="random", scheduler="none", trials=3)
    seed = next(
        seed
        for seed in range(1000)
        if all(not is_valid(point) for point in drawn(tmp_path / str(seed), config.replace(seed=seed)))
    )
    record = SweepRecord.open(tmp_path / str(seed) / "s")
    assert [trial.state for trial in record.study.asked()] == [TrialState.FAIL] * 3
    assert "3 trials (3 FAIL)" in repr(load_sweep(record.path))


def drawn(root, config):
    record = create(root, config)
    work(Session.open(record, config))
    return [trial.params for trial in record.study.asked()]


def test_many_such_trials_in_a_row_are_no_deep_recursion(tmp_path):
    space = SPACE.replace(
        free={
            "schedule.warmup_epochs": CategoricalDistribution((0, *range(100, 400))),
            "training.epochs": CategoricalDistribution((3, 99)),
        }
    )
    config = plan(space=space, sampler="random", scheduler="none", trials=400, metric="val_accuracy")
    record = create(tmp_path, config)
    work(Session.open(record, config))
    assert len(record.study.asked()) == 400


def test_tables_explanations_and_the_disk_know_of_it(tmp_path):
    config, record, invalid = one_that_fails(tmp_path, scheduler="asha")
    frame = tables.trials(record)
    (row,) = [row for row in rows(leaderboard(record)) if row["trial"] == invalid.number]
    assert len(frame) == 12 and row["rank"] is None and row["epoch"] == 0
    assert row["reason"].startswith("no valid configuration: ")
    assert row["schedule.warmup_epochs"] == invalid.params["schedule.warmup_epochs"]
    (about,) = [one for one in explain_sweep(record)["trials"] if one["trial"] == invalid.number]
    assert (about["state"], about["epoch"], about["strength"], about["control"]) == ("FAIL", 0, None, False)
    explained = explain_trial(record, invalid.number)
    assert explained["rungs"] == explained["decisions"] == [] and "warmup_epochs" in explained["reason"]
    Keeper(record, config.replace(disk_budget=10**9), checkpoint_bytes=1000)
    with pytest.raises(ValueError, match="warmup_epochs"):
        load_sweep(record.path).trial_config(invalid.number)


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "cmaes"])
def test_the_order_of_asks_comes_out_the_same(tmp_path, sampler):
    config = plan(space=SPACE, sampler=sampler, trials=14, seed=1)
    record = create(tmp_path, config)
    rng = random.Random(0)
    while not work(Session.open(SweepRecord.open(record.path), config), kill_after=rng.randrange(9)):
        pass
    events = list(replay(SweepRecord.open(record.path)))
    assert {event.again for event in events if event.kind == "ask"} == {True}
    assert len([event for event in events if event.kind == "ask"]) == 14


def test_evaluation_refuses_it_and_a_warm_start_leaves_it_out(tmp_path):
    config, record, invalid = one_that_fails(tmp_path)
    with pytest.raises(ValueError, match=f"trial {invalid.number} .*no valid configuration"):
        evaluation_of(record, config, [invalid.number], range(1, 3), str)
    other = create(tmp_path / "other", config)
    for trial in record.study.asked():  # the made-up worker writes no configuration
        if trial.state == TrialState.COMPLETE:
            record.folder.trial(trial.number).write_config(config.trial(trial.params).plain())
    imported = import_trials(other, config, record)
    assert imported.used == sum(trial.state == TrialState.COMPLETE for trial in record.study.asked())


def test_where_no_point_is_valid_any_more_no_trial_is_made_to_fail(tmp_path):
    """Then the fault is not the trial's: a module is missing, say. The record stays as it is."""
    config = plan(space=SPACE, sampler="random", scheduler="none", trials=4)
    record = create(tmp_path, config)
    nothing = config.replace(space=SPACE.replace(fixed={**SPACE.fixed, "model.name": "gone:Net"}))
    with pytest.raises(ValueError, match="model.name: got 'gone:Net'"):
        Session(record, config, shares=Session.open(record, config).shares, listener=None)
        Session.open(record, nothing).next()
    assert all(trial.state != TrialState.FAIL for trial in record.study.asked())
