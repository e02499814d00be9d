import json

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tune_mixup.conditions import Within, holds, in_words, needed
from tune_mixup.search_space import SearchSpace

FREE = {
    "a": FloatDistribution(0.1, 0.5, step=0.1),
    "b": CategoricalDistribution(("x", "y", 1)),
    "c": IntDistribution(1, 10**12),
    "d": FloatDistribution(0.0, 1.0),
}
EITHER = ({"a": Within(at_least=0.3)}, {"b": ("x",), "c": Within(above=5, at_most=9)})


def space(**changes):
    return SearchSpace(free=FREE, conditions={"d": EITHER}, **changes)


@pytest.mark.parametrize(
    ("point", "there"),
    [
        ({"a": 0.3, "b": "y", "c": 1}, True),
        ({"a": 0.1 + 2 * 0.1, "b": "y", "c": 1}, True),
        ({"a": 0.2, "b": "y", "c": 7}, False),
        ({"a": 0.2, "b": "x", "c": 5}, False),
        ({"a": 0.2, "b": "x", "c": 6}, True),
        ({"a": 0.2, "b": "x", "c": 9}, True),
        ({"a": 0.2, "b": "x", "c": 10}, False),
        ({"b": "x", "c": 6}, True),
        ({}, False),
    ],
)
def test_any_alternative_will_do(point, there):
    assert space().exists("d", point) is there


def test_a_step_is_a_step_however_it_was_reached():
    """0.1 + 2 * 0.1 is not 0.3 in floats, but it is the third step."""
    for written in (0.3, 0.1 + 2 * 0.1):
        one = SearchSpace(
            free={"a": FREE["a"], "d": FREE["d"]},
            conditions={"d": {"a": (written,)}},
            baselines=({"a": written, "d": 0.5},),
        )
        assert one.exists("d", {"a": 0.3}) and one.exists("d", {"a": 0.1 + 2 * 0.1}) and not one.exists("d", {"a": 0.2})
        assert one.baselines == ({"a": 0.3, "d": 0.5},) and one.conditions == {"d": {"a": (0.3,)}}
        assert sum("d" in point for point in one.sample(500, seed=0)) == pytest.approx(100, abs=40)
        assert one.fix({"a": 0.1 + 2 * 0.1}).fixed == {"a": 0.3} and "d" in one.fix({"a": 0.3}).free
        assert "d" not in one.fix({"a": 0.2}).free


def test_true_is_not_one():
    one = SearchSpace(free={"a": CategoricalDistribution((1, 2)), "d": FREE["d"]}, conditions={"d": {"a": (1,)}})
    assert one.exists("d", {"a": 1}) and not one.exists("d", {"a": True})
    with pytest.raises(ValueError, match="can only be one of 1, 2$"):
        SearchSpace(free={"a": CategoricalDistribution((1, 2)), "d": FREE["d"]}, conditions={"d": {"a": (True,)}})
    with pytest.raises(ValueError, match="baseline 0: a is True, must be one of 1, 2$"):
        one.replace(baselines=({"a": True},))


def test_json_gives_back_the_same():
    found = json.loads(json.dumps(space().model_dump(mode="json")))
    assert found["conditions"]["d"][0] == {"a": {"at_least": 0.3}}
    assert SearchSpace.parse(found) == space()


def test_the_form_of_old_records_is_read_and_kept():
    old = {"free": space().model_dump(mode="json")["free"], "conditions": {"d": {"b": ["x", "y"]}}}
    parsed = SearchSpace.parse(old)
    assert parsed.model_dump(mode="json")["conditions"] == old["conditions"]
    assert parsed.exists("d", {"b": "y"}) and not parsed.exists("d", {"b": 1})


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"a": Within(above=0.5)}, "d depends on a being above 0.5, but it can only be 0.1 to 0.5 in steps of 0.1$"),
        ({"b": Within(at_least=2)}, "d depends on b being at least 2"),
        ({"c": Within(below=1)}, "d depends on c being below 1"),
        (({"b": ("x",)}, {"b": ("nothing",)}), "d depends on b being one of .'nothing'."),
        ({"a": {"at_least": 1, "atmost": 2}}, "atmost"),
        ({"a": {}}, "no limit"),
    ],
)
def test_what_can_never_hold_is_refused(condition, words):
    with pytest.raises(ValueError, match=words):
        SearchSpace.parse({"free": FREE, "conditions": {"d": condition}})


def test_setting_a_parent_leaves_the_alternatives_that_remain():
    assert "d" in space().fix({"a": 0.4}).free
    left = space().fix({"a": 0.2})
    assert left.conditions == {"d": EITHER[1:]}
    assert "d" not in left.fix({"b": "y"}).free
    chain = SearchSpace(
        free={**FREE, "e": FREE["d"]}, conditions={"d": {"b": ("x",)}, "e": {"d": Within(at_least=0.5)}}
    )
    assert list(chain.fix({"b": "y"}).free) == ["a", "c"], "what depends on a parameter that is gone is gone"


def test_in_words():
    assert in_words(EITHER) == "a is at least 0.3, or b is x and c is above 5 and at most 9"
    assert in_words({"b": ("x", "y")}) == "b is x or y"
    assert in_words(None) == ""


def test_needed_values():
    assert needed({"b": ("x", "y")}, "b") == ["x", "y"]
    assert needed(({"b": ("x",)}, {"b": ("y",), "a": (0.1,)}), "b") == ["x", "y"]
    assert needed(EITHER, "b") == [] and needed(None, "b") == []


def test_a_parent_that_is_not_known_meets_nothing():
    assert not holds({"a": Within(at_least=0)}, {}) and holds(None, {})
    assert not holds({"a": Within(at_least=0)}, {"a": "text"}) and not holds({"a": Within(at_least=0)}, {"a": True})


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"b": "x"}, "conditions.d: b: got 'x', must be a list of values, or limits"),
        ({"b": ()}, "conditions.d: b: got \\[\\], must be a list of values"),
        ({"b": {"abov": 1}}, "conditions.d: b: abov: there is no such setting"),
        ((), "conditions.d: got \\(\\), must be a mapping of parents"),
        (("b",), "conditions.d: got 'b', must be a mapping of parents"),
    ],
)
def test_what_is_no_condition_is_told_of_once_by_its_key(condition, words):
    with pytest.raises(ValueError, match=f"^{words}") as caught:
        SearchSpace.parse({"free": FREE, "conditions": {"d": condition}})
    assert "validator" not in str(caught.value)
    assert ";" not in str(caught.value).replace("; see", "").replace("; did you mean", "")
