import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tune_mixup.constraints import AtMost, Holds, LessThan
from tune_mixup.log_steps import LogSteps
from tune_mixup.search_space import SearchSpace
from tune_mixup.space_checks import examples, invalid_points, with_assumed
from tune_mixup.sweep_config import SweepConfig, plan

WARM = {
    "schedule.warmup_epochs": IntDistribution(0, 5),
    "training.epochs": CategoricalDistribution((4, 8)),
}
FIXED = {"data.name": "digits", "mixing.name": "mixup"}
PAIR = AtMost("schedule.warmup_epochs", "training.epochs", factor=0.9)


def space(**changes):
    return SearchSpace(**{"fixed": FIXED, "free": WARM, **changes})


def test_the_share_of_points_that_are_no_configuration():
    """Of six lengths of the warm-up two are not below four epochs: 2 / 12."""
    found = invalid_points(space())
    assert found.of == 1000 and found.points == pytest.approx(1000 / 6, abs=40)
    assert found.words().startswith(f"about {found.points / 10:.3g} % of random points are no valid configuration (")
    assert "warmup_epochs is" in found.why and "state a constraint" in found.words()
    assert invalid_points(space(constraints=(PAIR,))).points == 0
    assert invalid_points(space(constraints=(PAIR,))).words() == ""


def test_a_space_is_not_refused_for_a_corner_that_its_constraint_rules_out():
    outermost = space(free={**WARM, "training.epochs": IntDistribution(4, 5)})
    with pytest.raises(ValueError, match="warmup_epochs is 5 of 5"):
        plan(outermost, {}, name="s")
    config = plan(outermost.replace(constraints=(PAIR,)), {}, name="s")
    assert all(trial.schedule.warmup_epochs < trial.training.epochs for trial in config.examples())


def test_constraints_that_nothing_satisfies_are_refused():
    for free in (WARM, {**WARM, "optimizer.lr": FloatDistribution(0.1, 1.0)}):
        nothing = space(
            free=free, constraints=(LessThan("training.epochs", "schedule.warmup_epochs"), AtMost(6, "training.epochs"))
        )
        with pytest.raises(ValueError, match="^constraints: no point was found for which training.epochs < ") as caught:
            plan(nothing, {}, name="s")
        assert "\n" not in str(caught.value)


def test_constraints_that_hardly_anything_satisfies_are_told_of():
    """A corner does, so that the sweep may begin; no random point of 10,000 does, so that its trials fail."""
    rare = space(free={"mixing.alpha": FloatDistribution(0.0, 1.0)}, constraints=(AtMost("mixing.alpha", 1e-9),))
    words = plan(rare, {}, name="s").invalid_points().words()
    assert words.startswith("about 100 % of random points are no valid") and "mixing.alpha <= 1e-09" in words


def test_a_constraint_may_name_what_is_left_at_its_default():
    one = space(free={"training.epochs": IntDistribution(1, 20)}, constraints=(AtMost(4, "training.median_epochs"),))
    config = plan(one, {}, name="s")
    assert config.space.assumed["training.median_epochs"] == 5
    with pytest.raises(ValueError, match="no point was found for which 6 <= training.median_epochs"):
        plan(one.replace(constraints=(AtMost(6, "training.median_epochs"),)), {}, name="s")
    longer = one.replace(constraints=(AtMost("training.median_epochs", "training.epochs"),))
    assert min(point["training.epochs"] for point in plan(longer, {}, name="s").space.sample(200, seed=0)) == 5
    again = SweepConfig.from_record({**config.model_dump(mode="json"), "format": 2})
    assert again.space == config.space


def test_a_function_is_given_fixed_searched_and_default_settings(tmp_path, monkeypatch):
    (tmp_path / "sees.py").write_text(
        "SEEN = []\ndef everything(settings):\n    SEEN.append(settings)\n    return True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = plan(space(constraints=(Holds("sees:everything"),)), {}, name="s")
    import sees

    assert {"data.name", "mixing.name", "training.epochs", "optimizer.lr", "training.precision"} <= sees.SEEN[-1].keys()
    assert config.modules == (str(tmp_path / "sees.py"),), "resume finds it"


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        (
            AtMost("schedule.warmup_epoch", "training.epochs"),
            "a setting of no trial; did you mean schedule.warmup_epochs",
        ),
        (AtMost("training.precision", 3), "compares numbers, but training.precision is 'fp32'"),
        (LessThan("seed", 5), "names seed, whose default differs between trials; fix it or free it"),
    ],
)
def test_a_constraint_that_can_not_be_looked_at_is_refused_when_planned(constraint, words):
    with pytest.raises(ValueError, match=words):
        plan(space(constraints=(constraint,)), {}, name="s")


def test_a_default_that_differs_between_trials_is_to_be_fixed():
    methods = CategoricalDistribution(("mixup", "cutmix"))
    two = space(
        fixed={"data.name": "digits"},
        free={"optimizer.name": CategoricalDistribution(("sgd", "adamw")), "mixing.name": methods, **WARM},
    )
    with pytest.raises(ValueError, match="optimizer.lr, whose default differs between trials"):
        plan(two.replace(constraints=(AtMost("optimizer.lr", "training.epochs"),)), {}, name="s")


def test_examples_are_valid_and_at_least_one():
    found = list(examples(space(free={**WARM, "training.epochs": CategoricalDistribution((4, 5, 6, 8))})))
    assert found and all(trial.schedule.warmup_epochs < trial.training.epochs for trial in found)
    with pytest.raises(ValueError, match="warmup_epochs is"):
        next(
            examples(
                space(free={"schedule.warmup_epochs": IntDistribution(5, 9)}, fixed={**FIXED, "training.epochs": 3})
            )
        )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fixed": {"mixing.name": "mixup"}}, "^data.name: the space names no data"),
        (
            {"fixed": {**FIXED, "training.epochs": 10**38}, "free": {"optimizer.lr": FloatDistribution(0.1, 1)}},
            "^training.epochs: got 1000",
        ),
        ({"free": {"training.epochs": IntDistribution(1, 10**38)}}, "training.epochs"),
        ({"free": {"seed": IntDistribution(0, 2**60)}}, "^seed: .*list choices"),
        ({"free": {"seed": LogSteps(1, 2**60, factor=2)}}, "^seed: .*list choices"),
        (
            {"free": {"training.epochs": CategoricalDistribution((1, True))}},
            "^training.epochs: the choices 1 and True are equal",
        ),
        (
            {"free": {"optimizer.lr": CategoricalDistribution((1, 1.0))}},
            "^optimizer.lr: the choices 1 and 1.0 are equal",
        ),
    ],
)
def test_what_a_sweep_must_not_begin_with(changes, words):
    with pytest.raises(ValueError, match=words) as caught:
        plan(space(**changes), {}, name="s")
    assert "\n" not in str(caught.value)


def test_data_may_come_from_the_settings():
    assert plan(space(fixed={}), {"data.name": "synthetic"}, name="s").space.fixed == {"data.name": "synthetic"}


def test_a_space_that_searches_nothing_must_be_asked_for():
    nothing = space(fixed={**FIXED, "training.epochs": 3}, free={})
    with pytest.raises(ValueError, match="^free: the space searches nothing"):
        plan(nothing, {}, name="s")
    with pytest.raises(ValueError, match="^free: the space searches nothing"):
        plan(space(), {"schedule.warmup_epochs": 1, "training.epochs": 3}, name="s")
    assert plan(nothing, {}, name="s", trials=2).trials == 2
    assert plan(nothing, {}, name="s", sampler="grid").trials == 1
    assert plan(nothing.replace(defaults={"trials": 3}), {}, name="s").trials == 3


def test_nothing_is_assumed_where_nothing_is_asked():
    assert with_assumed(space()) == space()
