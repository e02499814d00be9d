"""When an arm is decided: against t tests by scipy, Holm's order by hand, and a slow loop over simulated studies."""

import math

import numpy as np
import pytest
from scipy import stats

from tune_mixup.ablation import Ablation
from tune_mixup.record.facts import ArmLook
from tune_mixup.search.arm_rule import ArmRule
from tune_mixup.search.looks import boundaries

ABLATION = Ablation(reference="full", looks=(4, 8), futility=0.0)
WOBBLE = [0.01, -0.02, 0.0, 0.015, -0.01, 0.02, -0.005, -0.01]


def rule(*others, **changes):
    return ArmRule(ABLATION.replace(**changes), others)


def values(**shifts):
    """Arms that differ from `full` by a shift on all seeds, and by a wobble of an arm's own size."""
    arms = {"full": [0.5] * 8}
    for arm, shift in shifts.items():
        arms[arm] = [0.5 + shift + one for one in WOBBLE]
    return arms


def verdicts(found):
    return {one.arm: one.verdict for one in found}


def test_t_and_bound_are_noted():
    (found,) = rule("a").look(8, values(a=0.01), ())
    expected = stats.ttest_1samp([0.01 + one for one in WOBBLE], 0.0).statistic
    assert found.t == pytest.approx(expected)
    assert (found.seeds, found.level) == (8, 0.05) and found.bound == boundaries((4, 8), 0.05)[1]
    assert found.verdict == "open" and f"t {expected:.2f} against full after 8 seeds" in found.why


def test_only_the_seeds_of_the_look_count():
    given = values(a=0.01)
    early, _ = (rule("a").look(4, {**given, "a": given["a"][:4] + end}, ()) for end in ([9.0] * 4, [None] * 4))
    assert early[0].t == pytest.approx(stats.ttest_1samp([0.01 + one for one in WOBBLE[:4]], 0.0).statistic)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_large_difference_is_called_on_either_side(sign):
    found = rule("a", "b").look(8, values(a=0.2 * sign, b=0.0), ())
    assert verdicts(found) == {"a": "different", "b": "open"}


def test_the_error_is_split_over_the_arms_and_handed_on():
    """Of three arms, `b` is beyond the bound of half the error only, which it has once `a` is called."""
    third, half, whole = (boundaries((4, 8), 0.05 / left)[1] for left in (3, 2, 1))
    assert third > half > whole
    spread = np.std(WOBBLE, ddof=1) / math.sqrt(8)

    def shift(t):
        return t * spread - np.mean(WOBBLE)

    between = values(a=0.2, b=shift((third + half) / 2), c=0.0)
    assert verdicts(rule("a", "b", "c").look(8, between, ())) == {"a": "different", "b": "different", "c": "open"}
    without = values(a=0.0, b=shift((third + half) / 2), c=0.0)
    assert verdicts(rule("a", "b", "c").look(8, without, ())) == dict.fromkeys("abc", "open")
    (left,) = [one for one in rule("a", "b", "c").look(8, between, ()) if one.arm == "c"]
    assert left.level == 0.05


def test_what_was_decided_is_not_looked_at_again_and_hands_its_part_on():
    before = tuple(
        ArmLook(arm=arm, seeds=4, verdict=said, why="") for arm, said in (("a", "different"), ("b", "futile"))
    )
    (found,) = rule("a", "b", "c").look(8, values(a=0.0, b=0.0, c=0.0), before)
    assert (found.arm, found.level) == ("c", 0.05 / 2)  # an arm that was given up keeps its part


def test_an_early_look_that_spends_nothing_calls_nothing():
    found = ArmRule(ABLATION.replace(looks=(2, 30)), ("a",)).look(2, {"full": [0.5, 0.5], "a": [0.9, 0.9001]}, ())
    assert found[0].bound is None and found[0].verdict == "open" and found[0].t > 1000


def test_an_arm_that_would_hardly_show_a_difference_is_given_up():
    """By the chance of a Brownian motion with the drift that was seen, simulated step by step."""
    made = rule("a", futility=0.3)
    t = 0.5
    z = -stats.norm.ppf(stats.t.sf(t, 3))
    last = -stats.norm.ppf(stats.t.sf(boundaries((4, 8), 0.05)[1], 7))
    steps = np.random.default_rng(1).normal(z / math.sqrt(0.5) * 0.005, math.sqrt(0.005), (40_000, 100)).sum(1)
    simulated = (z * math.sqrt(0.5) + steps > last).mean()
    assert made.chance(4, t, 0.05) == pytest.approx(simulated, abs=0.01) and 0.02 < simulated < 0.25
    assert made.chance(4, -t, 0.05) == made.chance(4, t, 0.05)
    given = {"full": [0.5] * 4, "a": [0.5 + one for one in (0.03, -0.02, 0.01, -0.004)]}
    found = made.look(4, given, ())
    assert verdicts(found) == {"a": "futile", "full": "done"}
    assert verdicts(rule("a", futility=0.0).look(4, given, ())) == {"a": "open"}


def test_the_last_look_gives_nothing_up():
    assert verdicts(rule("a", futility=0.99).look(8, values(a=0.0), ())) == {"a": "open"}


def test_the_reference_ends_once_all_others_are_decided():
    early = {arm: one[:4] for arm, one in values(a=5.0, b=-5.0).items()}
    small = {arm: [v + 0.0001 * k for k, v in enumerate(one)] for arm, one in early.items()}
    found = rule("a", "b").look(4, small, ())
    assert verdicts(found) == {"a": "different", "b": "different", "full": "done"}


def test_missing_values_decide_nothing():
    given = values(a=0.2, b=0.0)
    given["a"][2] = None
    found = rule("a", "b", futility=0.9).look(4, given, ())
    assert verdicts(found) == {"a": "open", "b": "futile"} and found[0].t is None
    given["full"][1] = None
    assert verdicts(rule("a", "b", futility=0.9).look(4, given, ())) == {"a": "open", "b": "open"}
    given["b"] = [None] * 8
    assert verdicts(rule("a", "b").look(4, given, ())) == {"a": "open", "b": "failed"}


def test_differences_that_do_not_vary_decide_nothing():
    same = {"full": [0.5, 0.75, 0.25, 0.5], "a": [0.75, 1.0, 0.5, 0.75]}
    assert verdicts(rule("a", futility=0.9).look(4, same, ())) == {"a": "open"}


def test_over_all_arms_and_looks_the_error_is_what_was_allowed():
    """1,000 studies of two arms that are the reference: any difference called is an error."""
    looks, made = (3, 6), ArmRule(Ablation(reference="full", looks=(3, 6), error=0.1, futility=0.0), ("a", "b"))
    random, wrong = np.random.default_rng(5), 0
    for _ in range(1000):
        drawn = {arm: list(random.normal(size=6)) for arm in ("full", "a", "b")}
        before = ()
        for look in looks:
            before += made.look(look, drawn, before)
        wrong += any(one.verdict == "different" for one in before)
    assert 0.05 < wrong / 1000 < 0.1 + 3 * math.sqrt(0.09 / 1000)
