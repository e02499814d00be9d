import math
from collections import Counter

import pytest
from fake_worker import plan
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.special import beta

from tune_mixup.config import TrialConfig
from tune_mixup.distributions import contains
from tune_mixup.mixing.base import mean_minor_share
from tune_mixup.record.facts import LongerGrace
from tune_mixup.search.seats import Seats
from tune_mixup.search.strata import Strata, strength, terciles
from tune_mixup.search_space import SearchSpace
from tune_mixup.space_files import load_space
from tune_mixup.sweep_config import SweepConfig

MIXUP = {"data.name": "synthetic", "mixing.name": "mixup"}


def space_of(alpha, **fixed):
    return SearchSpace(fixed={**MIXUP, **fixed}, free={"mixing.alpha": alpha})


def test_a_sweep_over_the_strength_falls_into_thirds():
    config = plan(space=space_of(FloatDistribution(0.05, 4.0, log=True)))
    strata = Strata.of(config)
    # alpha is uniform in its logarithm, and the strength rises with alpha
    thirds = [mean_minor_share(0.05 * (4.0 / 0.05) ** (third / 3)) for third in (1, 2)]
    assert strata.cuts == pytest.approx(thirds, abs=0.02)
    names = Counter(strata.name(config.trial(point)) for point in config.space.sample(900, seed=7))
    assert set(names) == {"weak mixing", "medium mixing", "strong mixing"}
    assert all(240 <= count <= 360 for count in names.values()), names
    assert strata.name(config.trial({"mixing.alpha": 0.05})) == "weak mixing"
    assert strata.name(config.trial({"mixing.alpha": 4.0})) == "strong mixing"


def test_each_trial_has_its_own_group_however_often_it_is_asked_for():
    config = plan(space=space_of(FloatDistribution(0.05, 4.0, log=True)))
    seats, trials = Seats(config), [config.trial({"mixing.alpha": alpha}) for alpha in (4.0, 0.05, 4.0, 0.6)]
    for _ in range(2):
        groups = [seats.of(number, trial).group for number, trial in enumerate(trials)]
        assert groups == ["strong mixing", "weak mixing", "strong mixing", "medium mixing"]


def test_the_cut_points_come_from_the_configuration_alone():
    config = plan(space=space_of(FloatDistribution(0.05, 4.0, log=True)))
    assert Strata.of(config) == Strata.of(config.replace(trials=99, sampler="random"))
    assert Strata.of(config) != Strata.of(config.replace(seed=1))


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (CategoricalDistribution((1.0,)), {1.0: ""}),
        (CategoricalDistribution((0.5, 2.0)), {0.5: "weak mixing", 2.0: "strong mixing"}),
        (CategoricalDistribution((0.1, 1.0, 4.0)), {0.1: "weak mixing", 1.0: "medium mixing", 4.0: "strong mixing"}),
        (CategoricalDistribution((0.0, 1.0)), {0.0: "no mixing", 1.0: "mixing"}),
    ],
)
def test_a_few_strengths(alpha, expected):
    config = plan(space=space_of(alpha))
    strata = Strata.of(config)
    assert {value: strata.name(config.trial({"mixing.alpha": value})) for value in alpha.choices} == expected


def test_one_group_where_nothing_tells_trials_apart_or_nobody_wants_it():
    everywhere = FloatDistribution(0.05, 4.0, log=True)
    rate = SearchSpace(fixed=MIXUP, free={"optimizer.lr": FloatDistribution(0.01, 0.4)})
    plain = SearchSpace(fixed={"data.name": "synthetic"}, free={"optimizer.lr": FloatDistribution(0.01, 0.4)})
    for config in (plan(space=rate), plan(space=plain), plan(space=space_of(everywhere), strata="none")):
        strata = Strata.of(config)
        assert {strata.name(config.trial(point)) for point in config.space.sample(50, seed=0)} == {""}


@pytest.mark.parametrize(("low", "high", "cut"), [(1.0, 1.5, False), (0.8, 1.5, True)])
def test_strengths_that_hardly_differ_are_one_group(low, high, cut):
    # of lam ~ Beta(alpha, alpha) the mean of min(lam, 1 - lam) is 1/2 - 2^(-2 alpha) / (alpha B(alpha, alpha))
    ends = [0.5 - 2 ** (-2 * alpha) / (alpha * beta(alpha, alpha)) for alpha in (low, high)]
    assert (ends[1] - ends[0] > 0.05) == cut
    config = plan(space=space_of(FloatDistribution(low, high)))
    strata = Strata.of(config)
    assert {strata.name(config.trial({"mixing.alpha": alpha})) == "" for alpha in (low, high)} == {not cut}


def test_plain_training_stands_apart_from_mixing_of_one_strength():
    config = plan(space=space_of(CategoricalDistribution((0.0, 1.0, 1.1))))
    strata = Strata.of(config)
    names = [strata.name(config.trial({"mixing.alpha": alpha})) for alpha in (0.0, 1.0, 1.1)]
    assert names == ["no mixing", "mixing", "mixing"]


def test_methods_without_mixing_stand_apart():
    config = plan(space=load_space("methods"))
    strata = Strata.of(config)
    for point in config.space.sample(200, seed=3):
        trial = config.trial(point)
        assert (strata.name(trial) == "no mixing") == (point["mixing.name"] == "erm") == (strength(trial) is None)
    half = {"mixing.name": "cutmix", "mixing.alpha": 1.0, "mixing.probability": 0.5}
    rest = {"optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4}
    # half of the 0.2673 that the sum over all boxes of tests/mixing/test_strength.py comes to
    assert strength(config.trial({**half, **rest})) == pytest.approx(0.1336, abs=3e-4)


def test_a_sweep_of_before_keeps_its_strata():
    """They were cut by the lam that is drawn; what was recorded then is no default of today."""
    space = load_space("resizemix")
    today = plan(space=space)
    written = {**today.model_dump(mode="json"), "format": 2}
    assert today.stopping.strata == "mixing" and SweepConfig.from_record(written) == today
    written["stopping"]["strata"] = "strength"  # as sweeps of before wrote it
    old = SweepConfig.from_record(written)
    assert SweepConfig.from_record({**old.model_dump(mode="json"), "format": 2}) == old  # as `resume` writes it
    then, now = Strata.of(old), Strata.of(today)
    assert then.cuts == pytest.approx((0.22105, 0.24909), abs=1e-5) and then.cuts != now.cuts  # by the code of efdf435
    trial = old.trial(space.baselines[0])
    assert then.strength(trial) == pytest.approx(0.2251, abs=1e-4) and now.strength(trial) < 0.17
    assert then.name(trial) == "medium mixing"


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ({"name": "cutmix", "alpha": 1.0, "probability": 0.5}, 0.125),
        ({"name": "saliencymix", "alpha": 0.2, "variant": "official"}, 0.1012),
        ({"name": "gridmix"}, 0.1876),
        ({"name": "resizemix"}, 0.2251),
        ({"name": "smoothmix"}, 0.3735),
        ({"name": "fmix", "alpha": 1.0}, 0.25),
        ({"name": "mixture", "members": {"erm": {}, "cutmix": {"alpha": 1.0}}}, 0.125),
    ],
)
def test_nominal_strengths_stay_what_they_were(method, expected):
    """As commit efdf435 computed them: old sweeps are resumed."""
    trial = TrialConfig.parse({"mixing": method, "data": {"name": "cifar10"}})
    assert strength(trial, nominal=True) == pytest.approx(expected, abs=1e-4)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]) | st.floats(0, 0.5), max_size=30).map(sorted))
def test_terciles_leave_no_stratum_empty(values):
    cuts = terciles(values)
    assert len(cuts) <= 2 and list(cuts) == sorted(set(cuts))
    bounds = [-math.inf, *cuts, math.inf]
    parts = [[value for value in values if low < value <= high] for low, high in zip(bounds, bounds[1:], strict=False)]
    assert not values or all(parts)
    if len(set(values)) == len(values) and len(values) >= 3:
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_draws_are_inside_the_space_and_uniform_on_its_scales():
    space = SearchSpace(
        fixed=MIXUP,
        free={
            "mixing.alpha": FloatDistribution(0.01, 10.0, log=True),
            "optimizer.lr": FloatDistribution(0.0, 0.4, step=0.1),
            "training.epochs": IntDistribution(2, 11, step=3),
            "training.batch_size": IntDistribution(1, 100, log=True),
            "optimizer.name": CategoricalDistribution(("sgd", "adamw")),
            "optimizer.momentum": FloatDistribution(0.0, 0.9),
        },
        conditions={"optimizer.momentum": {"optimizer.name": ("sgd",)}},
    )
    points = space.sample(2000, seed=1)
    assert points == space.sample(2000, seed=1) and points != space.sample(2000, seed=2)
    for point in points:
        assert all(contains(space.free[key], value) for key, value in point.items())
        assert ("optimizer.momentum" in point) == (point["optimizer.name"] == "sgd")
    assert sum(point["mixing.alpha"] < 0.1 for point in points) == pytest.approx(2000 / 3, abs=100)
    assert sum(point["training.batch_size"] <= 10 for point in points) == pytest.approx(1000, abs=150)
    for key, values in (("optimizer.lr", 5), ("training.epochs", 4), ("optimizer.name", 2)):
        counts = Counter(point[key] for point in points)
        assert len(counts) == values and max(counts.values()) < 1.3 * min(counts.values())


def test_a_seat_is_rungs_group_and_control():
    space = space_of(CategoricalDistribution((0.1, 4.0)), **{"training.epochs": 100})
    config = plan(space=space, grace_epochs=10)
    seats = Seats(config.replace(stopping={"grace_epochs": 10, "control_fraction": 1.0}))
    weak, strong = (config.trial({"mixing.alpha": alpha}) for alpha in (0.1, 4.0))
    assert seats.of(3, weak) == ((10, 30), "weak mixing", True)
    assert not Seats(config.replace(stopping={"control_fraction": 0.0})).of(3, weak).spared
    raises = [LongerGrace(from_trial=4, epochs=11, why=""), LongerGrace(from_trial=7, epochs=31, why="")]
    assert [seats.of(number, strong, raises).rungs for number in (3, 4, 6, 7)] == [(10, 30), (30,), (30,), ()]


@pytest.mark.parametrize("milestones", [[31, 75], [0.31, 0.75]])
def test_a_rung_just_before_a_milestone_moves_behind_it(milestones):
    """Without them they are 10 and 30; the first epoch at the lower rate is number 31, that is the 32nd."""
    stepped = {"training.epochs": 100, "schedule.name": "multistep", "schedule.milestones": milestones}
    config = plan(space=space_of(CategoricalDistribution((0.1, 4.0)), **stepped), grace_epochs=10)
    assert Seats(config).of(3, config.trial({"mixing.alpha": 0.1})).rungs == (10, 32)
