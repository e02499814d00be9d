"""Sweeps over spaces with constraints, steps on a log scale and conditions with alternatives, killed and not."""

import math
import random

import pytest
from fake_worker import create, decisions, plan, work
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from tune_mixup.analysis.leaderboard import leaderboard
from tune_mixup.analysis.rendering import rows
from tune_mixup.conditions import Within
from tune_mixup.constraints import AtMost, Holds, LessThan
from tune_mixup.log_steps import LogSteps
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.replay import replay
from tune_mixup.search.session import Session
from tune_mixup.search_space import SearchSpace
from tune_mixup.testing.kills import worked_through

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

SPACE = SearchSpace(
    fixed={"data.name": "synthetic"},
    free={
        "mixing.name": CategoricalDistribution(("erm", "mixup")),
        "mixing.alpha": FloatDistribution(0.1, 1.0, step=0.1),
        "schedule.warmup_epochs": IntDistribution(0, 8),
        "training.epochs": CategoricalDistribution((3, 6, 9)),
        "optimizer.lr": LogSteps(0.01, 0.32, factor=2),
        "optimizer.momentum": FloatDistribution(0.0, 0.95),
    },
    conditions={
        "mixing.alpha": {"mixing.name": ("mixup",)},
        "optimizer.momentum": (
            {"mixing.alpha": Within(at_least=0.5)},
            {"mixing.name": ("erm",), "optimizer.lr": Within(below=0.1)},
        ),
    },
    constraints=(
        AtMost("schedule.warmup_epochs", "training.epochs", factor=0.5),
        LessThan("optimizer.lr", "mixing.alpha"),
    ),
    baselines=(
        {"mixing.name": "erm", "schedule.warmup_epochs": 1, "training.epochs": 6, "optimizer.lr": 0.16},
    ),
)  # fmt: skip
RATES = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32]
SAMPLERS = ["tpe", "random", "qmc", pytest.param("gp", marks=pytest.mark.slow), "cmaes"]
ALL_BUT_ONE_SLOW = ["tpe", *(pytest.param(name, marks=pytest.mark.slow) for name in ("random", "qmc", "gp", "cmaes"))]


def check_by_hand(point):
    """Every rule of the space, written out."""
    assert set(point) >= {"mixing.name", "schedule.warmup_epochs", "training.epochs", "optimizer.lr"}
    assert point["schedule.warmup_epochs"] <= point["training.epochs"] / 2
    assert point["optimizer.lr"] in RATES
    alpha = point.get("mixing.alpha")
    assert (alpha is not None) == (point["mixing.name"] == "mixup")
    if alpha is not None:
        assert alpha in [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0] and point["optimizer.lr"] < alpha
    has_momentum = (alpha or 0) >= 0.5 or (alpha is None and point["optimizer.lr"] < 0.1)
    assert ("optimizer.momentum" in point) == has_momentum


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_trial_breaks_a_rule(tmp_path, sampler):
    config = plan(space=SPACE, sampler=sampler, trials=20, seed=2)
    record = create(tmp_path, config)
    work(Session.open(record, config))
    trials = record.study.asked()
    assert len(trials) == 20 and all(trial.state != TrialState.FAIL for trial in trials)
    for trial in trials:
        check_by_hand(trial.params)
    assert trials[0].params == SPACE.baselines[0]
    assert len({trial.params["optimizer.lr"] for trial in trials}) > 3
    shown = [row["optimizer.lr"] for row in rows(leaderboard(record))]
    assert set(shown) <= set(RATES), "tables show the values, not their places"


@pytest.mark.parametrize("sampler", ALL_BUT_ONE_SLOW)
def test_killed_at_any_write_it_asks_for_the_same_points(tmp_path, sampler):
    config = plan(space=SPACE, sampler=sampler, trials=5, seed=2, strata="none", control_fraction=0)
    whole = create(tmp_path / "whole", config)
    _, writes = worked_through(whole, config)
    for write in range(1, writes + 1):
        record = create(tmp_path / str(write), config)
        assert not worked_through(record, config, kill_at=write)[0]
        worked_through(record, config)
        assert decisions(record) == decisions(whole), f"killed at write {write} of {writes}"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_order_of_asks_comes_out_the_same(tmp_path, sampler):
    config = plan(space=SPACE, sampler=sampler, trials=16, seed=2)
    record = create(tmp_path, config)
    rng = random.Random(0)
    while not work(Session.open(SweepRecord.open(record.path), config), kill_after=rng.randrange(9)):
        pass
    asks = [event for event in replay(SweepRecord.open(record.path)) if event.kind == "ask"]
    assert [event.trial for event in asks] == list(range(16)) and all(event.again for event in asks)


def test_a_trial_for_which_no_point_is_found_fails_and_the_sweep_goes_on(tmp_path):
    """Only the baseline satisfies it, which ten thousand random draws do not find again."""
    space = SearchSpace(
        fixed={"data.name": "synthetic", "mixing.name": "mixup"},
        free={"optimizer.lr": FloatDistribution(0.01, 0.4), "mixing.alpha": FloatDistribution(0.1, 4.0)},
        constraints=(AtMost("optimizer.lr", 0.01), AtMost(4.0, "mixing.alpha")),
        baselines=({"optimizer.lr": 0.01, "mixing.alpha": 4.0},),
    )
    config = plan(space=space, sampler="random", scheduler="none", trials=3)
    record = create(tmp_path, config)
    work(Session.open(record, config))
    first, *others = record.study.asked()
    assert first.state == TrialState.COMPLETE
    for trial in others:
        assert trial.state == TrialState.FAIL and len(trial.params) == 2
        assert trial.user_attrs["reason"] == (
            "no valid configuration: no point was found for which optimizer.lr <= 0.01 holds; widen the ranges or the "
            "constraint"
        )


def test_a_function_that_fails_at_a_point_is_no_end_of_the_sweep(tmp_path):
    """Such points are left out like those for which it does not hold; that it fails everywhere, planning says."""
    space = SPACE.replace(constraints=(Holds("constrained_rules:fails_without_alpha"),), baselines=())
    config = plan(space=space, sampler="random", scheduler="none", trials=6)
    record = create(tmp_path, config)
    work(Session.open(record, config))
    assert len(record.study.asked()) == 6
    assert all("mixing.alpha" in trial.params for trial in record.study.asked())


def test_a_grid_is_the_points_that_hold(tmp_path):
    space = SearchSpace(
        fixed={"data.name": "synthetic"},
        free={
            "schedule.warmup_epochs": IntDistribution(0, 4, step=2),
            "training.epochs": CategoricalDistribution((2, 6)),
            "optimizer.lr": LogSteps(0.1, 0.4, factor=2),
        },
        constraints=(Holds("constrained_rules:short_warmup"),),
    )
    config = plan(space=space, sampler="grid", scheduler="none", trials=12)
    record = create(tmp_path, config)
    work(Session.open(record, config))
    by_hand = [(0, 2), (0, 6), (2, 6)]
    expected = [(*pair, lr) for pair in by_hand for lr in (0.1, 0.2, 0.4)]
    found = [tuple(trial.params.values()) for trial in record.study.asked()]
    assert found[: len(expected)] == expected
    assert all(3 * warmup <= epochs for warmup, epochs, _ in found), "trials beyond the grid are random, and hold too"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_steps_on_a_log_scale_keep_their_order(tmp_path, sampler):
    """What is good at the upper end draws those that learn there; all values have the same share of random draws."""
    space = SearchSpace(
        fixed={"data.name": "synthetic", "training.epochs": 1},
        free={"training.batch_size": LogSteps(8, 512, factor=2), "optimizer.lr": FloatDistribution(0.01, 0.4)},
    )
    config = plan(space=space, sampler=sampler, scheduler="none", trials=40, seed=3)
    record = create(tmp_path, config)
    session = Session.open(record, config)
    while (begin := session.next()) is not None:
        size = begin.config.training.batch_size
        session.complete(begin.number, {"epoch": 1, "val_accuracy": math.log2(size) / 10, "diverged": 0})
    sizes = [trial.params["training.batch_size"] for trial in record.study.asked()]
    assert set(sizes) <= {8, 16, 32, 64, 128, 256, 512} and all(type(size) is int for size in sizes)
    late = sum(size >= 256 for size in sizes[20:])
    assert late > 10 if config.sampler.learns else len(set(sizes)) == 7
