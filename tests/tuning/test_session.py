"""Sessions without Ray, on the fake worker of `fake_worker.py`: abandoned, killed at every write, killed for real."""

import math
import os
import random
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from fake_worker import SPACE, create, decisions, plan, step, value_of, work
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from tune_mixup.journal import Journal
from tune_mixup.record import load_sweep
from tune_mixup.search_space import SearchSpace
from tune_mixup.tuning.control import is_control
from tune_mixup.tuning.session import Session


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """A killed process loses nothing that the system has taken; only a power cut would."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


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


class Killed(BaseException):
    """What a kill at a write looks like from inside."""


@pytest.fixture
def die_at(monkeypatch):
    """Makes the n-th write to any journal from now on, and all later ones, raise Killed."""
    append = Journal.append_logs

    def arm(writes):
        left = [writes]

        def die(self, logs):
            left[0] -= 1
            if left[0] <= 0:
                raise Killed
            append(self, logs)

        monkeypatch.setattr(Journal, "append_logs", die if writes else append)
        return left

    return arm


def killed_at(record, config, die_at, write):
    """Run a session until its `write`-th write; False when it came to its end before."""
    die_at(write)
    try:
        work(Session(load_sweep(record.path), config), faults=True)
        return False
    except Killed:
        return True
    finally:
        die_at(0)


def unbroken(tmp_path, config, die_at):
    """The decision log of a sweep that is never killed, and how many writes it takes."""
    whole = create(tmp_path / "whole", config)
    left = die_at(10**9)
    work(Session(whole, config), faults=True)
    writes = 10**9 - left[0]
    die_at(0)
    return decisions(whole), writes


@pytest.mark.parametrize(
    ("sampler", "scheduler", "trials"),
    [("tpe", "asha", 13), ("random", "asha", 8), ("random", "hyperband", 8), ("random", "median", 8)],
)
def test_a_sweep_killed_after_each_single_write_decides_like_one_that_never_was(
    tmp_path, die_at, sampler, scheduler, trials
):
    config = plan(sampler=sampler, scheduler=scheduler, trials=trials)
    log, writes = unbroken(tmp_path, config, die_at)
    killed, kills = create(tmp_path / "killed", config), 0
    while killed_at(killed, config, die_at, 2):
        kills += 1
        assert kills < writes, "a session that repeats what another has written"
    assert kills == writes - 1 and decisions(load_sweep(killed.path)) == log
    assert all(word in log for word in (b"COMPLETE", b"PRUNED", b"epoch 3: diverged", b"ValueError: no"))


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_sweep_killed_at_any_one_write_decides_like_one_that_never_was(tmp_path, die_at, sampler):
    config = plan(sampler=sampler, trials=8)
    log, writes = unbroken(tmp_path, config, die_at)
    for write in range(1, writes + 1):
        record = create(tmp_path / str(write), config)
        assert killed_at(record, config, die_at, write)
        work(Session(load_sweep(record.path), config), faults=True)
        assert decisions(load_sweep(record.path)) == log, f"killed at write {write} of {writes}"


@pytest.mark.parametrize(("kills", "sampler"), [(5, "tpe"), pytest.param(50, "random", marks=pytest.mark.slow)])
def test_a_process_killed_with_sigkill_at_random_moments_decides_like_one_that_never_was(tmp_path, kills, sampler):
    script = Path(__file__).with_name("killed_sweep.py")
    done = subprocess.run([sys.executable, script, tmp_path, str(kills), sampler], capture_output=True, text=True)
    assert done.returncode == 0 and f"{kills} kills" in done.stdout, done.stdout + done.stderr


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
    assert decisions(load_sweep(record.path), first=4) == before and len(record.asked()) == 8


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
