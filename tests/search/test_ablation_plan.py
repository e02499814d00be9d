"""Plans of ablations: the five ways to give arms, what becomes of them, and every refusal in one line."""

import pytest

from tune_mixup.config import TrialConfig
from tune_mixup.search.ablation_plan import AblationPlan, Arms, load_plan, plan_file, same_training, shipped_plans

BASE = TrialConfig.from_dotted(
    {
        "seed": 7,
        "data.name": "synthetic",
        "data.batches": "stratified",
        "mixing.name": "generalized_mixup",
        "mixing.gamma": 0.25,
        "training.epochs": 2,
    }
)
NAMED = {"full": {}, "erm": {"mixing.name": "erm"}, "even": {"mixing": {"gamma": 0.0}}}


def plan(**changes):
    given = {"base": {"space": "quickstart"}, "arms": {"named": NAMED}, "seeds": 3, "looks": [2], **changes}
    return AblationPlan.parse(given)


def arms_of(config):
    return {arm: config.trial({"seed": 0, "arm": arm}) for arm in config.space.bundles["arm"]}


def test_a_plan_becomes_a_sweep_over_seeds_and_arms():
    config = plan(first_seed=4, settings={"sweep.concurrent": 2}).planned(BASE, "a", {"sweep.time_budget_s": 60.0})
    assert [tuple(point.values()) for point in config.space.grid()] == [
        (seed, arm) for seed in (4, 5, 6) for arm in ("full", "erm", "even")
    ]
    assert (config.trials, config.concurrent, config.time_budget_s) == (9, 2, 60.0)
    assert (config.sampler.name, config.stopping.name, config.repeats) == ("grid", "none", "train")
    assert (config.ablation.reference, config.ablation.looks) == ("full", (2, 3))
    assert config.metric == "val_accuracy_median"


def test_each_arm_is_the_base_with_its_settings():
    arms = arms_of(plan().planned(BASE, "a"))
    flat = BASE.replace(seed=0).plain()
    assert arms["full"] == BASE.replace(seed=0)
    assert arms["even"] == TrialConfig.parse({**flat, "mixing": {**flat["mixing"], "gamma": 0.0}})
    assert arms["erm"] == TrialConfig.parse({**flat, "mixing": {"name": "erm"}})  # nothing is left of the other method


def test_only_what_differs_is_in_the_arms():
    space = plan().planned(BASE, "a").space
    assert all(key.startswith("mixing.") for arm in space.bundles["arm"].values() for key in arm)
    assert space.fixed["training.epochs"] == 2 and "seed" not in space.fixed


@pytest.mark.parametrize(
    "arms, expected",
    [
        ({"leave_one_out": {"gamma": {"a.b": 0}}}, {"full": {}, "without gamma": {"a.b": 0}}),
        ({"add_one_in": {"gamma": {"a.b": 1}}}, {"base": {}, "with gamma": {"a.b": 1}}),
        (
            {"path": {"one": {"a.b": 1, "a.c": 1}, "two": {"a.c": 2}, "three": {"d.e": 3}}},
            {
                "base": {},
                "to one": {"a.b": 1, "a.c": 1},
                "to two": {"a.b": 1, "a.c": 2},
                "to three": {"a.b": 1, "a.c": 2, "d.e": 3},
            },
        ),
        (
            {"grid": {"gamma": {"0": {"a.b": 0}, "1": {"a.b": 1}}, "mu": {"low": {"a.c": 0.1}, "high": {"a.c": 0.9}}}},
            {
                "gamma 0, mu low": {"a.b": 0, "a.c": 0.1},
                "gamma 0, mu high": {"a.b": 0, "a.c": 0.9},
                "gamma 1, mu low": {"a.b": 1, "a.c": 0.1},
                "gamma 1, mu high": {"a.b": 1, "a.c": 0.9},
            },
        ),
        ({"named": {"x": {"a": {"b": 1}}, "y": {}}}, {"x": {"a.b": 1}, "y": {}}),
    ],
)
def test_the_ways_to_give_arms(arms, expected):
    assert Arms.parse(arms).settings() == expected
    assert [*Arms.parse(arms).settings()] == [*expected]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"seeds": 1}, "seeds: got 1, must be 2 to 1000"),
        ({"arms": {}}, "arms: got none, must be one of named"),
        ({"arms": {"named": NAMED, "path": {"x": {}}}}, "arms: got named and path, must be one of"),
        ({"arms": {"named": {"full": {}}}}, "arms: got 1, must be 2 to 200"),
        ({"arms": {"named": {"full": {}, "same": {"mixing.gamma": 0.25}}}}, "arms.same: has the very settings of full"),
        (
            {"arms": {"leave_one_out": {"x": {"mixing.gama": 0}}}},
            "arms.without x: mixing.gama: .*did you mean mixing.gamma",
        ),
        ({"arms": {"named": {"full": {}, "long": {"training.epochs": 9}}}}, "arms.long: training.epochs is 9, but 2"),
        ({"arms": {"named": {"full": {}, "other": {"seed": 3}}}}, "arms.other: seed differs between arms"),
        ({"arms": {"named": {"full": {}, " ": {"mixing.gamma": 1.0}}}}, "arms: got the name ' '"),
        ({"reference": "ful"}, "reference: got 'ful', which is no arm; did you mean full"),
        ({"metric": "val_acuracy"}, "metric: got 'val_acuracy', which is not reported; did you mean val_accuracy"),
        ({"error": 1e-5}, "error: got an error of 5e-06 for each comparison, must be at least 0.0002"),
        ({"settings": {"sweep.sampler.name": "tpe"}}, "sampler is given twice"),
        ({"settings": {"sweep.trials": 5}}, "trials: got 5, but 3 arms on 3 seeds are 9"),
        ({"settings": {"sweep.ablation.error": 0.5}}, "sweep.ablation: there is no such setting"),
        ({"gate": {"arm": "er", "low": 0.1, "high": 0.9}}, "gate.arm: got 'er', which is no arm; did you mean erm"),
        ({"base": {}}, "base: got neither of space and config"),
        ({"base": {"space": "mixup", "config": "a.yaml"}}, "base: got both of space and config"),
        ({"nuisance": ["optimizer.lr"]}, "nuisance: there is no such setting"),
    ],
)
def test_what_can_not_be_compared_is_refused(changes, words):
    with pytest.raises(ValueError, match=words) as refused:
        plan(**changes).planned(BASE, "a")
    assert "\n" not in str(refused.value)


def test_arms_that_train_alike_are_known():
    """A mixup that never mixes is plain training, and a gamma of 0 leaves mu without effect."""
    named = {
        **NAMED,
        "still": {"mixing.name": "mixup", "mixing.alpha": 0.0},
        "mu": {"mixing": {"gamma": 0.0, "mu": 0.9}},
    }
    arms = arms_of(plan(arms={"named": named}).planned(BASE, "a"))
    assert same_training(arms) == [("erm", "still"), ("even", "mu")]


def test_the_plans_that_ship_can_be_read_and_hold_what_they_say():
    assert [file.stem for file in shipped_plans().glob("*.yaml")] == ["generalized_mixup"]
    found, path = load_plan("generalized_mixup")
    assert path == shipped_plans() / "generalized_mixup.yaml" and found.reference == "full"
    base = BASE.replace(training=BASE.training.replace(batch_size=100))
    arms = arms_of(found.planned(base, "a"))
    assert {"full", "erm", "shuffled", "stratified", "gamma 0", "permuted"} <= {*arms}
    assert (arms["shuffled"].data.batches, arms["stratified"].data.batches) == ("shuffled", "stratified")
    assert arms["shuffled"].mixing == arms["stratified"].mixing != arms["gamma 0"].mixing
    assert same_training(arms) == []


def test_a_file_that_is_no_plan_is_told_of_with_its_name(tmp_path):
    file = tmp_path / "a.yaml"
    for text, words in (
        ("- 1", "must be settings"),
        ("seeds: 3", "base"),
        ("a: [", "a.yaml: "),
        ("seeds: 3\nx: 1", "x: "),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=rf"a.yaml: .*{words}|{words}") as refused:
            load_plan(file)
        assert str(file) in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="there is no file .*b.yaml; give the path of a plan"):
        load_plan(tmp_path / "b.yaml")
    with pytest.raises(ValueError, match="there is no ablation 'generalised_mixup'; did you mean generalized_mixup"):
        plan_file("generalised_mixup")
