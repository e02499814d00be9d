"""Settings that vary together: in a space, in its trials, in its grid, and where some of them are fixed."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.config import TrialConfig
from tune_mixup.constraints import AtMost
from tune_mixup.search.configurations import Configurations
from tune_mixup.search_space import SearchSpace
from tune_mixup.space_checks import check_data_named, trial_at
from tune_mixup.sweep_config import plan

PLAIN, MIXED = {"mixing.name": "erm"}, {"mixing.name": "mixup", "mixing.alpha": 0.4, "optimizer.lr": 0.05}
SPACE = SearchSpace(
    fixed={"data.name": "synthetic", "training.epochs": 2},
    free={"seed": CategoricalDistribution((3, 4)), "arm": CategoricalDistribution(("plain", "mixed"))},
    bundles={"arm": {"plain": {"mixing": {"name": "erm"}}, "mixed": MIXED}},
)


def test_a_choice_stands_for_its_settings():
    mixed = trial_at(SPACE, {"seed": 4, "arm": "mixed"})
    assert mixed == TrialConfig.from_dotted({"seed": 4, **MIXED, **SPACE.fixed})
    assert trial_at(SPACE, {"seed": 3, "arm": "plain"}) == TrialConfig.from_dotted({"seed": 3, **PLAIN, **SPACE.fixed})


def test_the_configurations_of_a_sweep_are_those_of_its_points():
    """One after the other, since what no trial searches is read once: a bundle's sections are searched."""
    config = plan(SPACE, name="s", sampler="grid", scheduler="none")
    made = Configurations(config)
    points = list(SPACE.grid())
    assert points == [{"seed": seed, "arm": arm} for seed in (3, 4) for arm in ("plain", "mixed")]
    for point in [*points, *reversed(points)]:
        assert made.at(point) == config.trial(point)
    assert made.at(points[0]).optimizer.lr != made.at(points[1]).optimizer.lr == 0.05


def test_a_space_with_bundles_comes_back_from_its_record_in_order():
    again = SearchSpace.model_validate(SPACE.model_dump(mode="json"))
    assert again == SPACE and list(again.grid()) == list(SPACE.grid())


def test_what_is_fixed_leaves_the_bundles():
    fixed = SPACE.fix({"optimizer.lr": 0.2})
    assert fixed.bundles == {"arm": {"plain": PLAIN, "mixed": {"mixing.name": "mixup", "mixing.alpha": 0.4}}}
    assert trial_at(fixed, {"seed": 3, "arm": "mixed"}).optimizer.lr == 0.2
    chosen = SPACE.fix({"arm": "mixed"})
    assert (chosen.bundles, [*chosen.free]) == ({}, ["seed"])
    assert trial_at(chosen, {"seed": 3}) == trial_at(SPACE, {"seed": 3, "arm": "mixed"})


def test_constraints_see_what_a_choice_stands_for():
    space = SPACE.replace(constraints=(AtMost("optimizer.lr", 0.01),))
    assert space.broken({"seed": 3, "arm": "mixed"}) is not None
    assert space.replace(constraints=(AtMost("optimizer.lr", 0.05),)).broken({"seed": 3, "arm": "mixed"}) is None


def test_data_may_be_named_in_a_bundle():
    data = {arm: {**SPACE.bundles["arm"][arm], "data.name": "synthetic"} for arm in ("plain", "mixed")}
    check_data_named(SPACE.replace(fixed={"training.epochs": 2}, bundles={"arm": data}))
    with pytest.raises(ValueError, match="names no data"):
        check_data_named(SPACE.replace(fixed={"training.epochs": 2}))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"bundles": {"arms": {"plain": PLAIN}}}, "bundles name arms, which is not free; did you mean arm"),
        ({"bundles": {"arm": {"plain": PLAIN}}}, r"bundles.arm: got .*'plain'.*, must be the choices of arm"),
        ({"free": {**SPACE.free, "arm": FloatDistribution(0, 1)}}, "must be the choices of arm"),
        ({"fixed": {"mixing.alpha": 1.0}}, "mixing.alpha is in a bundle and fixed too"),
        ({"free": {**SPACE.free, "mixing.alpha": FloatDistribution(0, 1)}}, "mixing.alpha is in a bundle and free too"),
    ],
)
def test_bundles_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        SPACE.replace(**changes)
