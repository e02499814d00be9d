import json
import sys

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tune_mixup.constraints import AtMost, Holds, LessThan, SumAtMost
from tune_mixup.search_space import SearchSpace

RULES = """
def fits(settings):
    return settings["a"] * settings["b"] <= 12

def fails(settings):
    return settings["nothing.such"] > 0

def says_no_truth(settings):
    return "yes"

def gives_a_set(settings):
    return {1}

class WithoutText(Exception):
    def __str__(self):
        raise RuntimeError("no text")

def fails_without_text(settings):
    raise WithoutText

def fails_with_half_a_character(settings):
    raise ValueError("half \\ud800 of it")

def ends_the_program(settings):
    raise SystemExit(0)

def chatters(settings):
    print("looked at", settings)
    return True

LIMIT = 3
"""


@pytest.fixture
def rules(tmp_path, monkeypatch):
    (tmp_path / "rules_of_a_test.py").write_text(RULES)
    monkeypatch.syspath_prepend(tmp_path)
    yield "rules_of_a_test"
    sys.modules.pop("rules_of_a_test", None)


@pytest.mark.parametrize(
    ("constraint", "settings", "holds"),
    [
        (AtMost("a", "b"), {"a": 2, "b": 2}, True),
        (AtMost("a", "b"), {"a": 3, "b": 2}, False),
        (AtMost("a", "b", factor=0.5), {"a": 2, "b": 3}, False),
        (AtMost("a", "b", factor=2), {"a": 6, "b": 3}, True),
        (AtMost("a", 4), {"a": 4}, True),
        (AtMost(4, "a"), {"a": 3.9}, False),
        (LessThan("a", "b"), {"a": 2, "b": 2}, False),
        (LessThan("a", "b"), {"a": 1.9, "b": 2}, True),
        (SumAtMost(("a", "b", "c"), 1), {"a": 0.1, "b": 0.2, "c": 0.7}, True),
        (SumAtMost(("a", "b"), "c"), {"a": 1, "b": 2, "c": 2.5}, False),
        (SumAtMost(("a", "b"), 2), {"a": 2}, True),
        (SumAtMost(("a", "b"), "c"), {"a": 5, "b": 6}, True),
        (AtMost("a", "b"), {"a": 5}, True),
        (LessThan("a", "b"), {}, True),
    ],
)
def test_by_hand(constraint, settings, holds):
    assert constraint.holds(settings) is holds


def test_a_function_gets_all_settings(rules):
    constraint = Holds(f"{rules}:fits")
    assert constraint.holds({"a": 3, "b": 4, "fixed": 1}) and not constraint.holds({"a": 3, "b": 5})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda rules: AtMost(1, 2), "at least one must be a dotted key"),
        (lambda rules: SumAtMost(("a",), 1), "at least 2 entries"),
        (lambda rules: Holds("fits"), "must be an import path"),
        (lambda rules: Holds(f"{rules}:fit"), "has no fit"),
        (lambda rules: Holds(f"{rules}:LIMIT"), "no function"),
        (lambda rules: Holds("rules_that_are_nowhere:fits"), "no module"),
    ],
)
def test_what_is_no_constraint_is_refused(rules, make, words):
    with pytest.raises(ValueError, match=words):
        make(rules)


@pytest.mark.parametrize(
    ("make", "settings", "words"),
    [
        (lambda rules: AtMost("a", "b"), {"a": "x", "b": 2}, "a <= b compares numbers, but a is 'x'"),
        (lambda rules: AtMost("a", "b"), {"a": True, "b": 2}, "a is True"),
        (lambda rules: SumAtMost(("a", "b"), 1), {"a": None, "b": 2}, "a is None"),
        (lambda rules: Holds(f"{rules}:fails"), {"a": 1}, "fails: KeyError: 'nothing.such'"),
        (lambda rules: Holds(f"{rules}:says_no_truth"), {"a": 1}, "gave a str, must be True"),
        (lambda rules: Holds(f"{rules}:gives_a_set"), {"a": 1}, "gives_a_set gave a set, must be True"),
        (lambda rules: Holds(f"{rules}:fails_without_text"), {"a": 1}, "fails: WithoutText: .its text can't be had"),
        (lambda rules: Holds(f"{rules}:fails_with_half_a_character"), {"a": 1}, r"ValueError: half \\ud800 of it"),
        (lambda rules: Holds(f"{rules}:ends_the_program"), {"a": 1}, "ends_the_program fails: SystemExit: 0; mend it"),
        (lambda rules: AtMost(1, "a"), {"a": 10**400}, "1 <= a compares floats, but a is beyond their range"),
        (lambda rules: SumAtMost(("a", "b"), 1), {"a": 10**400, "b": 0.5}, "compares floats, but a is beyond"),
    ],
)
def test_what_can_not_be_said_is_an_error_in_one_line(rules, make, settings, words):
    with pytest.raises(ValueError, match=words) as caught:
        make(rules).holds(settings)
    assert "\n" not in str(caught.value) and str(caught.value).encode()


def of(*constraints, **changes):
    free = {"a": IntDistribution(1, 6), "b": CategoricalDistribution((1, 2, 3)), "c": FloatDistribution(0.0, 1.0)}
    return SearchSpace(**{"free": free, "constraints": constraints, **changes})


def test_what_a_function_prints_is_no_answer_of_the_command(rules, capsys):
    assert Holds(f"{rules}:chatters").holds({"a": 1})
    out, err = capsys.readouterr()
    assert (out, err) == ("", "looked at {'a': 1}\n")


def test_the_record_keeps_them(rules):
    space = of(AtMost("a", "b", factor=1.5), LessThan("c", 0.5), SumAtMost(("a", "b"), 7), Holds(f"{rules}:fits"))
    assert SearchSpace.parse(json.loads(json.dumps(space.model_dump(mode="json")))) == space


def test_samples_corners_grid_and_baselines_keep_to_them():
    space = of(AtMost("a", "b"))
    assert all(point["a"] <= point["b"] for point in [*space.sample(200, seed=0), *space.corners()])
    assert len(space.sample(200, seed=0)) == 200 and space.sample(3, seed=0) == space.sample(200, seed=0)[:3]
    finite = space.fix({"c": 0.5})
    assert list(finite.grid()) == [{"a": a, "b": b} for a in range(1, 7) for b in (1, 2, 3) if a <= b]
    with pytest.raises(ValueError, match="baseline 0: .*is against the constraint a <= b"):
        space.replace(baselines=({"a": 3, "b": 2, "c": 0.5},))


def test_corners_are_found_where_the_outermost_ones_are_ruled_out():
    corners = list(of(LessThan("b", "a"), SumAtMost(("a", "b"), 8)).corners())
    assert {(point["a"], point["b"]) for point in corners} == {(6, 1), (6, 2)}


def test_fixed_keys_count_and_fix_keeps_them():
    space = of(AtMost("a", "b"), baselines=({"a": 2, "b": 2, "c": 0.1}, {"a": 1, "b": 3, "c": 0.1}))
    fixed = space.fix({"b": 1})
    assert fixed.constraints == space.constraints and {point["a"] for point in fixed.sample(50, seed=0)} == {1}
    assert space.fix({"a": 2}).baselines == ({"b": 2, "c": 0.1},)


def test_what_does_not_exist_there_breaks_nothing():
    space = of(AtMost("a", "c"), conditions={"a": {"b": (1,)}})
    assert all("a" not in point for point in space.sample(50, seed=0))
