"""Sessions without Ray, on the fake worker of `fake_worker.py`: abandoned, killed at every write, killed for real."""

import math
import random
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from fake_worker import create, decisions, plan, step, value_of, work
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from tune_mixup.record import tables
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.control import is_control
from tune_mixup.search.session import Session
from tune_mixup.search_space import SearchSpace
from tune_mixup.testing.kills import worked_through

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp", "cmaes"])
def test_a_killed_and_resumed_sweep_decides_like_one_that_never_was(tmp_path, sampler):
    config = plan(sampler=sampler, trials=14)
    whole = create(tmp_path / "whole", config)
    work(Session.open(whole, config))
    assert {t.state for t in whole.study.asked()} == {TrialState.COMPLETE, TrialState.PRUNED}

    rng = random.Random(0)
    killed = create(tmp_path / "killed", config)
    while not work(Session.open(SweepRecord.open(killed.path), config), kill_after=rng.randrange(12)):
        pass
    assert decisions(SweepRecord.open(killed.path)) == decisions(whole)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_sweep_killed_at_any_one_write_decides_like_one_that_never_was(tmp_path, sampler):
    config = plan(sampler=sampler, trials=8)
    whole = create(tmp_path / "whole", config)
    _, writes = worked_through(whole, config)
    for write in range(1, writes + 1):
        record = create(tmp_path / str(write), config)
        assert not worked_through(record, config, kill_at=write)[0]
        worked_through(record, config)
        assert decisions(record) == decisions(whole), f"killed at write {write} of {writes}"


@pytest.mark.parametrize(("kills", "sampler"), [(5, "tpe"), pytest.param(50, "random", marks=pytest.mark.slow)])
def test_a_process_killed_with_sigkill_at_random_moments_decides_like_one_that_never_was(tmp_path, kills, sampler):
    script = Path(__file__).with_name("killed_sweep.py")
    done = subprocess.run([sys.executable, script, tmp_path, str(kills), sampler], capture_output=True, text=True)
    assert done.returncode == 0 and f"{kills} kills" in done.stdout, done.stdout + done.stderr


def test_states_values_and_reasons_are_what_optuna_users_expect(tmp_path):
    config = plan()
    record = create(tmp_path, config)
    work(Session.open(record, config))
    study = optuna.load_study(study_name="s", storage=record.study.storage())
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
    config = plan(strata="none", control_fraction=0)
    record = create(tmp_path, config)
    session = Session.open(record, config)
    best, worse = session.next(), session.next()
    assert step(session, best, 1)
    folder = record.folder.trial(worse.number)
    folder.path.mkdir(parents=True)
    row = {"epoch": 1, "val_accuracy": value_of(best.config, 1) - 0.1, "diverged": 0}
    folder.append_epoch(row)
    assert session.report(worse.number, row)  # stop: recorded; here the process dies
    again = Session.open(SweepRecord.open(record.path), config)
    assert [t.state.name for t in again.record.study.asked()] == ["RUNNING", "PRUNED"]
    assert list(again.queue) == [0]


def test_reports_that_only_the_worker_kept_are_recovered(tmp_path):
    config = plan(scheduler="none")
    record = create(tmp_path, config)
    begin = Session.open(record, config).next()
    folder = record.folder.trial(begin.number)
    folder.path.mkdir(parents=True)
    for epoch in range(1, 10):
        folder.append_epoch({"epoch": epoch, "val_accuracy": epoch / 10, "diverged": 0})
    again = Session.open(SweepRecord.open(record.path), config)
    trial = again.record.study.asked()[0]
    assert trial.state == TrialState.COMPLETE and trial.value == 0.9 and len(trial.intermediate_values) == 9


def test_failures_and_divergence_are_fail_with_a_reason_and_no_value(tmp_path):
    config = plan(scheduler="none")
    record = create(tmp_path, config)
    session = Session.open(record, config)
    for row, failed in (
        (None, "ValueError: no"),
        ({"epoch": 2, "diverged": 1}, None),
        (None, "the worker died"),
    ):
        begin = session.next()
        step(session, begin, 1)
        session.complete(begin.number, row, failed=failed)
    trials = record.study.asked()
    assert [t.state for t in trials] == [TrialState.FAIL] * 3 and [t.value for t in trials] == [None] * 3
    assert [t.user_attrs["reason"] for t in trials] == [
        "ValueError: no", "epoch 2: diverged, the loss is NaN or infinite", "the worker died"
    ]  # fmt: skip


def test_the_time_budget_counts_every_process_and_ends_trials_as_pruned(tmp_path):
    config = plan(time_budget_s=1000.0, scheduler="none")
    record = create(tmp_path, config)
    session = Session.open(record, config)
    begin = session.next()
    assert step(session, begin, 1)
    session.ledger.before_s = 1000.0
    assert not step(session, begin, 2)
    assert record.study.asked()[0].user_attrs["reason"] == "epoch 2: the sweep's time budget of 1000 s was used up"
    assert record.study.asked()[0].state == TrialState.PRUNED and session.next() is None


def test_a_clock_that_is_set_back_changes_nothing(tmp_path, monkeypatch):
    config = plan(trials=6)
    whole = create(tmp_path / "whole", config)
    work(Session.open(whole, config))
    record, hours = create(tmp_path / "back", config), iter(range(1000))
    true = time.time()
    monkeypatch.setattr(time, "time", lambda: true - 3600 * next(hours))
    assert not work(Session.open(record, config), kill_after=7)
    for _ in range(3):
        session = Session.open(SweepRecord.open(record.path), config)
        session.ledger.keep()
        assert 0 <= session.ledger.elapsed_s() < 60
    work(Session.open(SweepRecord.open(record.path), config))
    assert decisions(SweepRecord.open(record.path)) == decisions(whole)
    runs = SweepRecord.open(record.path).folder.runs()
    assert len(runs) == 5 and all(0 <= run["worked_s"] < 60 for run in runs)
    assert [run["began"] for run in runs] == sorted(run["began"] for run in runs)


def test_a_grid_runs_every_point_once_in_order(tmp_path):
    space = SearchSpace(
        fixed={"data.name": "synthetic", "mixing.name": "mixup"},
        free={"seed": CategoricalDistribution((0, 1)), "mixing.alpha": CategoricalDistribution((0.5, 1.0, 2.0))},
    )
    config = plan(space=space, sampler="grid", scheduler="none", trials=6)
    record = create(tmp_path, config)
    work(Session.open(record, config), kill_after=7)
    work(Session.open(SweepRecord.open(record.path), config))
    assert [t.params for t in SweepRecord.open(record.path).study.asked()] == [
        {"seed": seed, "mixing.alpha": alpha} for seed in (0, 1) for alpha in (0.5, 1.0, 2.0)
    ]


def test_more_trials_can_be_promised_later_and_finished_ones_stay(tmp_path):
    config = plan(trials=4)
    record = create(tmp_path, config)
    work(Session.open(record, config))
    before = decisions(record)
    work(Session.open(SweepRecord.open(record.path), config.replace(trials=8)))
    assert decisions(SweepRecord.open(record.path), first=4) == before and len(record.study.asked()) == 8


def test_progress_counts(tmp_path):
    heard = []
    config = plan(trials=5)
    record = create(tmp_path, config)
    session = Session.open(record, config, listener=heard.append)
    work(session)
    last = heard[-1]
    assert sum(last.states.values()) == 5 and last.states["RUNNING"] == last.states["WAITING"] == 0
    complete = [t for t in record.study.asked() if t.state == TrialState.COMPLETE]
    assert last.best_value == max(t.value for t in complete) and last.best_epoch == 9
    assert last.epochs == sum(t.last_step for t in record.study.asked()) and last.full_epochs == 45
    assert heard[0].message == "t0000 begins" and "t0004" in last.message


def test_the_best_of_a_minimised_metric_is_the_smallest(tmp_path):
    config = plan(metric="val_nll", scheduler="none", trials=2)
    record = create(tmp_path, config)
    session = Session.open(record, config)
    for nll in (0.5, 0.25):
        begin = session.next()
        session.report(begin.number, {"epoch": 1, "val_nll": nll})
    assert session.progress().best_trial == 1


# Anything may happen


class Chaos:
    """Several workers that report in any order, repeat themselves, skip epochs, die, and a driver that is restarted."""

    def __init__(self, root, config, rng):
        self.config, self.rng = config, rng
        self.record = create(root, config)
        self.session = Session.open(self.record, config)
        self.running = {}

    def act(self):
        kind = self.rng.choice(
            ["begin", "report", "report", "report", "report", "again", "nan", "die", "fail", "restart"]
        )
        if kind == "restart":
            self.record = SweepRecord.open(self.record.path)
            self.session = Session.open(self.record, self.config)
            self.running = {}
        elif kind == "begin" or not self.running:
            self.begin()
        else:
            number = self.rng.choice(sorted(self.running))
            self.report(number, kind)

    def begin(self):
        begin = self.session.next()
        if begin is not None:
            assert begin.number not in self.running and not self.record.study.trial(begin.number).state.is_finished()
            self.running[begin.number] = self.record.study.trial(begin.number).last_step or 0

    def report(self, number, kind):
        epochs = 9
        if kind == "die":
            del self.running[number]
            self.session.died(number, "its worker died")
            return
        if kind == "fail":
            del self.running[number]
            self.session.complete(number, None, failed="ValueError: no")
            return
        ahead = -self.rng.randrange(4) if kind == "again" else self.rng.choice([1, 1, 1, 2, 4])
        epoch = self.running[number] = min(epochs, max(1, self.running[number] + ahead))
        value = self.rng.choice([math.nan, math.inf]) if kind == "nan" else self.rng.choice([0.1, self.rng.random()])
        result = {"epoch": epoch, "val_accuracy": value, "diverged": int(kind == "nan" and self.rng.random() < 0.5)}
        if epoch == epochs:
            self.end(number, result)
        elif self.session.report(number, result):
            assert self.session.report(number, result), "a stop is a stop, however often it is asked about"
            self.end(number, result)

    def end(self, number, result):
        del self.running[number]
        self.session.complete(number, result)

    def finish(self):
        while self.running or self.session.queue or len(self.record.study.asked()) < self.config.trials:
            if not self.running:
                self.begin()
            else:
                self.report(min(self.running), "report")


def state_of(rule):
    """What ASHA knows: who has come to which rung with what, and how far each trial is."""
    return {cell: dict(rung.values) for cell, rung in rule._rungs.items()}, rule._latest


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.sampled_from(["asha", "hyperband", "median", "none"]))
def test_whatever_happens_no_trial_is_lost_and_the_record_restores_every_decision(tmp_path_factory, seed, scheduler):
    rng = random.Random(seed)
    config = plan(scheduler=scheduler, sampler="random", trials=12, smoothing=2, control_fraction=0.2)
    chaos = Chaos(tmp_path_factory.mktemp("chaos"), config, rng)
    for _ in range(60):
        chaos.act()
    if scheduler == "asha":
        again = Session.open(SweepRecord.open(chaos.record.path), config)
        assert state_of(again.deciding.rule) == state_of(chaos.session.deciding.rule)
        chaos.record = SweepRecord.open(chaos.record.path)  # the probe may have ended trials: go on from what it left
        chaos.session, chaos.running = Session.open(chaos.record, config), {}
    chaos.finish()

    trials = SweepRecord.open(chaos.record.path).study.asked()
    assert [trial.number for trial in trials] == list(range(12)) and all(trial.state.is_finished() for trial in trials)
    for trial in trials:
        stops = [decision for decision in trial.user_attrs.get("decisions", []) if decision["stop"]]
        assert len(stops) == (trial.state == TrialState.PRUNED or (bool(stops) and trial.state == TrialState.FAIL))
        if trial.state == TrialState.PRUNED:
            assert trial.user_attrs["reason"] == stops[0]["why"] and stops[0]["epoch"] == trial.last_step
            assert not is_control(trial.number, seed=0, fraction=0.2), "a control trial was stopped"
        elif trial.state == TrialState.FAIL:
            assert trial.value is None and trial.user_attrs["reason"]
        else:
            assert trial.last_step == 9
        assert all(math.isfinite(value) for value in trial.intermediate_values.values())


def test_gpu_hours_count_every_epoch_of_every_process_and_end_the_sweep(tmp_path):
    config = plan(gpus_per_trial=0.5, gpu_hours=1.0, scheduler="none")
    record = create(tmp_path, config)
    session = Session.open(record, config)
    begin = session.next()
    for epoch in (1, 2):  # an hour each on half a GPU
        assert not session.report(begin.number, {"epoch": epoch, "val_accuracy": 0.5, "epoch_s": 1800.0})
        assert not session.report(begin.number, {"epoch": epoch, "val_accuracy": 0.5, "epoch_s": 1800.0})
    session.ledger.keep()
    again = Session.open(SweepRecord.open(record.path), config)
    assert again.ledger.gpu_s == 1800.0
    begin = again.next()
    assert not again.report(begin.number, {"epoch": 3, "val_accuracy": 0.5, "epoch_s": 1800.0})
    assert again.report(begin.number, {"epoch": 4, "val_accuracy": 0.5, "epoch_s": 1800.0})
    again.complete(begin.number, {"epoch": 4, "val_accuracy": 0.5, "epoch_s": 1800.0})
    assert again.next() is None
    trial = SweepRecord.open(record.path).study.asked()[0]
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["reason"] == "epoch 4: the sweep's budget of 1 GPU-hours was used up"


TWICE = SearchSpace(
    fixed={"data.name": "synthetic", "training.epochs": 2, "mixing.name": "mixup"},
    free={"mixing.alpha": CategoricalDistribution((0.5, 1.0))},
    baselines=({"mixing.alpha": 0.5}, {"mixing.alpha": 1.0}, {"mixing.alpha": 0.5}, {"mixing.alpha": 0.5}),
)


@pytest.mark.parametrize("kill_after", [None, *range(8)])
def test_a_setting_asked_again_is_a_replicate_on_a_fresh_seed(tmp_path, kill_after):
    config = plan(space=TWICE, trials=4, scheduler="none", seed=7)
    record = create(tmp_path, config)
    work(Session.open(record, config), kill_after=kill_after)
    session = Session.open(SweepRecord.open(record.path), config)
    work(session)
    assert [session._config(number).seed for number in range(4)] == [7, 7, 8, 9]
    assert all(trial.state == TrialState.COMPLETE for trial in session.record.study.asked())


def test_a_setting_asked_again_can_be_served_from_the_record(tmp_path):
    config = plan(space=TWICE, trials=4, scheduler="none", repeats="serve")
    record = create(tmp_path, config)
    trained = []
    session = Session.open(record, config)
    while (begin := session.next()) is not None:
        trained.append(begin.number)
        for epoch in (1, 2):
            step(session, begin, epoch)
    assert trained == [0, 1]
    frame = tables.trials(SweepRecord.open(record.path))
    assert frame["state"].tolist() == ["COMPLETE"] * 4
    assert frame["val_accuracy"][2] == frame["val_accuracy"][0] == frame["val_accuracy"][3]
    assert frame["reason"][3] == "the same setting and seed as t0000: its result"
    again = Session.open(SweepRecord.open(record.path), config)
    assert decisions(SweepRecord.open(record.path)) == decisions(again.record)


def test_repeats_are_trained_as_they_are_when_asked(tmp_path):
    config = plan(space=TWICE, trials=4, scheduler="none", repeats="train")
    record = create(tmp_path, config)
    session = Session.open(record, config)
    work(session)
    assert [session._config(number).seed for number in range(4)] == [0, 0, 0, 0]
