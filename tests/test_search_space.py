import json
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tune_mixup.conditions import Within
from tune_mixup.config import TrialConfig
from tune_mixup.distributions import contains
from tune_mixup.log_steps import LogSteps
from tune_mixup.search_space import SearchSpace
from tune_mixup.space_files import load_space

METHOD = CategoricalDistribution(("erm", "mixup", "cutmix"))
ALPHA = FloatDistribution(0.1, 4.0, log=True)


def conditional(**changes):
    settings = {
        "fixed": {"data.name": "digits"},
        "free": {
            "mixing.probability": FloatDistribution(0.0, 1.0, step=0.5),
            "mixing.alpha": ALPHA,
            "mixing.name": METHOD,
        },
        "conditions": {
            "mixing.alpha": {"mixing.name": ("mixup", "cutmix")},
            "mixing.probability": {"mixing.name": ("cutmix",)},
        },
    }
    return SearchSpace(**{**settings, **changes})


def test_parents_come_first_and_parameters_exist_only_with_their_parents():
    space = conditional()
    assert space.order()[0] == "mixing.name"
    assert not space.exists("mixing.alpha", {"mixing.name": "erm"})
    assert not space.exists("mixing.alpha", {})
    assert space.exists("mixing.alpha", {"mixing.name": "mixup"})
    assert not space.exists("mixing.probability", {"mixing.name": "mixup"})


def test_plain_data_round_trip():
    space = conditional(baselines=({"mixing.name": "erm"},), defaults={"trials": 3})
    assert SearchSpace.parse(json.loads(json.dumps(space.model_dump(mode="json")))) == space


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fixed": {"mixing.alpha": 1.0}}, ["mixing.alpha", "both fixed and free"]),
        ({"fixed": {"mixing": {"alpha": 1.0}}}, ["mixing.alpha", "both fixed and free"]),
        ({"conditions": {"mixing.alpah": {"mixing.name": ("mixup",)}}}, ["mixing.alpah", "did you mean mixing.alpha"]),
        ({"conditions": {"mixing.alpha": {"mixing.kind": ("mixup",)}}}, ["mixing.kind", "neither fixes nor frees"]),
        ({"conditions": {"mixing.alpha": {"mixing.name": ("fmix",)}}}, ["mixing.name", "fmix", "erm"]),
        (
            {"conditions": {"mixing.name": {"mixing.alpha": (1.0,)}, "mixing.alpha": {"mixing.name": ("erm",)}}},
            ["circle"],
        ),
        (
            {"baselines": ({"mixing.name": "mixup", "mixing.alpha": 9.0},)},
            ["mixing.alpha is 9.0, must be 0.1 to 4, log scale"],
        ),
        ({"baselines": ({"mixing.name": "mixup"},)}, ["mixing.alpha is missing"]),
        ({"baselines": ({"mixing.name": "erm", "mixing.alpha": 1.0},)}, ["mixing.alpha does not exist"]),
        ({"baselines": ({"mixing.gamma": 1.0},)}, ["mixing.gamma", "not free"]),
    ],
)
def test_contradictions_are_refused(changes, words):
    with pytest.raises(ValueError) as caught:
        conditional(**changes)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_grid_walks_every_existing_point_once():
    space = conditional(
        free={
            "mixing.name": METHOD,
            "mixing.alpha": CategoricalDistribution((0.5, 1.0)),
            "mixing.probability": FloatDistribution(0.0, 1.0, step=0.5),
        }
    )
    by_hand = [{"mixing.name": "erm"}]
    by_hand += [{"mixing.name": "mixup", "mixing.alpha": alpha} for alpha in (0.5, 1.0)]
    by_hand += [
        {"mixing.name": "cutmix", "mixing.alpha": alpha, "mixing.probability": p}
        for alpha in (0.5, 1.0)
        for p in (0.0, 0.5, 1.0)
    ]
    assert list(space.grid()) == by_hand
    with pytest.raises(ValueError, match="mixing.alpha: 0.1 to 4, log scale is continuous"):
        list(conditional().grid())


def test_corners_hold_both_ends_and_every_choice():
    points = list(conditional().corners())
    assert {point["mixing.name"] for point in points} == {"erm", "mixup", "cutmix"}
    for method in ("mixup", "cutmix"):
        assert {p["mixing.alpha"] for p in points if p["mixing.name"] == method} == {0.1, 4.0}


def test_fixing_a_parameter_takes_it_out_with_what_depends_on_it():
    space = conditional(baselines=({"mixing.name": "erm"}, {"mixing.name": "mixup", "mixing.alpha": 1.0}))
    fixed = space.fix({"mixing.name": "mixup"})
    assert list(fixed.free) == ["mixing.alpha"]
    assert fixed.fixed == {"data.name": "digits", "mixing.name": "mixup"}
    assert fixed.baselines == ({"mixing.alpha": 1.0},)
    assert space.fix({"mixing.alpha": 2.0}).baselines == ({"mixing.name": "erm"},)


@pytest.mark.parametrize(
    ("distribution", "value", "inside"),
    [
        (ALPHA, 0.1, True), (ALPHA, 4, True), (ALPHA, 4.1, False), (ALPHA, "1", False), (ALPHA, True, False),
        (IntDistribution(5, 50, step=5), 10, True), (IntDistribution(5, 50, step=5), 12, False),
        (IntDistribution(1, 3), 1.5, False), (METHOD, "erm", True), (METHOD, "fmix", False),
    ],
)  # fmt: skip
def test_contains(distribution, value, inside):
    assert contains(distribution, value) is inside


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nowhere_to_be_found", ["fails when imported", "nowhere_to_be_found"]),
        ("x = ", ["fails when imported", "SyntaxError"]),
        ("SPACE = 3", ["must define SPACE", "int"]),
        ("from tune_mixup.search_space import SearchSpace\nSPACE = SearchSpace(free={'a': 3})", ["free.a"]),
        ("from tune_mixup.search_space import SearchSpace\nSPACE = SearchSpace(fred={})", ["fred", "no such setting"]),
    ],
)
def test_a_users_file_that_is_wrong_is_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        load_space(path)
    assert "\n" not in str(caught.value) and all(word in str(caught.value) for word in words), str(caught.value)


def test_unknown_names_suggest_known_ones(tmp_path):
    with pytest.raises(ValueError, match="did you mean quickstart"):
        load_space("quickstrat")
    with pytest.raises(ValueError, match="no file"):
        load_space(tmp_path / "none.py")


def test_a_point_asks_only_for_what_exists_there():
    asked = []

    def choose(key, distribution):
        asked.append((key, distribution))
        return "mixup" if key == "mixing.name" else 0.5

    assert conditional().point(choose) == {"mixing.name": "mixup", "mixing.alpha": 0.5}
    assert asked == [("mixing.name", METHOD), ("mixing.alpha", ALPHA)]


def test_samples_are_the_sequence_of_pythons_own_generator():
    """A draw is made for each parameter in order, also for one that does not exist there."""
    drawn = conditional().sample(200, seed=3)
    uniform = random.Random(3)
    for point in drawn:
        expected = {"mixing.name": ("erm", "mixup", "cutmix")[int(3 * uniform.random())]}
        probability, alpha = (0.0, 0.5, 1.0)[int(3 * uniform.random())], 0.1 * 40 ** uniform.random()
        if expected["mixing.name"] != "erm":
            expected["mixing.alpha"] = pytest.approx(alpha)
        if expected["mixing.name"] == "cutmix":
            expected["mixing.probability"] = probability
        assert point == expected
    assert drawn[:5] == conditional().sample(5, seed=3) != conditional().sample(5, seed=4)


def test_probes_are_the_baselines_and_then_the_corners():
    baseline = {"mixing.name": "mixup", "mixing.alpha": 1.0}
    space = conditional(baselines=(baseline,))
    first, *rest = space.probes()
    assert first == baseline
    assert rest == [
        {"mixing.name": "erm"},
        {"mixing.name": "erm"},
        {"mixing.name": "erm"},
        *({"mixing.name": "mixup", "mixing.alpha": alpha} for alpha in (0.1, 4.0, 0.1)),
        *(
            {"mixing.name": "cutmix", "mixing.probability": p, "mixing.alpha": alpha}
            for p, alpha in ((0.0, 0.1), (1.0, 4.0), (0.0, 0.1))
        ),
    ]


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_tuples_are_the_lists_that_the_record_gives_back():
    milestones = CategoricalDistribution(((0.5, 0.75), (0.6, 0.8)))
    space = SearchSpace(
        fixed={"data.mean": (0.5, 0.5)},
        free={"schedule.milestones": milestones, "optimizer.lr": FloatDistribution(0.1, 1)},
        baselines=({"schedule.milestones": (0.5, 0.75), "optimizer.lr": 0.5},),
        conditions={"optimizer.lr": {"schedule.milestones": ((0.5, 0.75),)}},
    )
    again = SearchSpace.parse(json.loads(json.dumps(space.model_dump(mode="json"))))
    assert again == space
    assert space.baselines == ({"schedule.milestones": [0.5, 0.75], "optimizer.lr": 0.5},)
    assert space.fixed == {"data.mean": [0.5, 0.5]}


@pytest.mark.parametrize("value", [(0.1, 1.0), "0.1 to 1", object(), {"name": "Gaussian"}, None])
def test_what_is_no_distribution_is_refused_in_one_line(value):
    with pytest.raises(ValueError, match="^free.mixing.alpha: got .*, must be a distribution of Optuna"):
        SearchSpace.parse({"free": {"mixing.alpha": value}})


# One form before and after JSON

EPOCHS = {
    "int": st.integers(1, 5).map(lambda low: IntDistribution(low, low + 6, step=2)),
    "NumPy": st.integers(1, 5).map(lambda low: IntDistribution(np.int64(low), np.int32(low + 3))),
    "choices": st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True).map(
        lambda some: CategoricalDistribution(list(map(np.int64, some)))
    ),
    "log steps": st.integers(1, 4).map(lambda low: LogSteps(low, 8 * low, factor=np.float64(2))),
}
STEPPED = st.tuples(st.integers(1, 50), st.integers(1, 30), st.integers(1, 6)).map(
    lambda it: FloatDistribution(it[0] / 100, it[0] / 100 + it[2] * (it[1] / 1000), step=it[1] / 1000)
)
MILESTONES = st.lists(
    st.tuples(st.sampled_from((0.25, 0.4)), st.sampled_from((0.5, 0.75))), min_size=1, max_size=3, unique=True
).map(CategoricalDistribution)


@st.composite
def spaces(draw):
    alpha, milestones = draw(STEPPED), draw(MILESTONES)
    steps = round((alpha.high - alpha.low) / alpha.step)
    some = [alpha.low + draw(st.integers(0, steps)) * alpha.step for _ in range(2)]  # as a user would reckon
    wanted = draw(st.sampled_from([tuple(some), Within(at_least=min(some))]))
    return SearchSpace(
        fixed={
            "data.name": "synthetic",
            "schedule.name": np.str_("multistep"),
            "mixing.name": "mixup",
            "optimizer.momentum": np.float32(0.5),
            "training.metrics": (),
        },
        free={
            "training.epochs": draw(st.sampled_from(sorted(EPOCHS)).flatmap(EPOCHS.get)),
            "mixing.alpha": alpha,
            "schedule.milestones": milestones,
            "optimizer.nesterov": CategoricalDistribution((np.bool_(True), False)),
        },
        conditions={
            "schedule.milestones": {"mixing.alpha": wanted},
            "optimizer.nesterov": ({"schedule.milestones": (milestones.choices[0],)}, {"mixing.alpha": wanted}),
        },
    )


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
@pytest.mark.filterwarnings("ignore:The distribution is specified by")
@settings(deadline=None, max_examples=60)
@given(spaces(), st.integers(0, 2**70))
def test_a_space_and_its_trials_are_the_same_before_and_after_json(space, seed):
    again = SearchSpace.parse(json.loads(json.dumps(space.model_dump(mode="json"))))
    assert again == space
    assert repr(list(again.grid())) == repr(list(space.grid()))
    points = space.sample(10, seed=seed)
    assert repr(again.sample(10, seed=seed)) == repr(points)
    assert repr(list(again.probes())) == repr(list(space.probes()))
    for point in points:
        read = json.loads(json.dumps(point))
        assert repr(read) == repr(point), "a point is plain"
        assert [again.exists(key, read) for key in again.free] == [key in point for key in space.free]
        assert all(contains(again.free[key], value) for key, value in read.items())
        identities = {
            TrialConfig.from_dotted(one.fixed, values).identity() for one in (space, again) for values in (point, read)
        }
        assert len(identities) == 1
    baseline = {key: value for key, value in points[0].items()}
    assert again.replace(baselines=(baseline,)) == space.replace(baselines=(json.loads(json.dumps(baseline)),))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fixed": {"data.mean": {0.5, 0.4}}}, "fixed.data.mean: got {"),
        ({"fixed": {"optimizer.lr": math.nan}}, "fixed.optimizer.lr: got nan, must be a plain value: a finite number"),
        ({"baselines": ({"mixing.name": object()},)}, "baselines.0.mixing.name: got <object"),
    ],
)
def test_what_is_no_plain_value_is_refused_by_its_key(changes, words):
    with pytest.raises(ValueError) as caught:
        SearchSpace.parse({"free": {"mixing.name": METHOD}, **changes})
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_grid_that_nobody_can_run_is_refused_at_once():
    ten = CategoricalDistribution(tuple(range(10)))
    with pytest.raises(ValueError, match="more than 100000 points"):
        list(SearchSpace(free={f"p{place}": ten for place in range(6)}).grid())
    with pytest.raises(ValueError, match="1e.15 values; a grid has at most 100000"):
        list(SearchSpace(free={"a": IntDistribution(1, 10**15)}).grid())
    parent = SearchSpace(free={"a": IntDistribution(1, 10**15), "b": ALPHA}, conditions={"b": {"a": (1, 2)}})
    assert parent.exists("b", {"a": 2})
