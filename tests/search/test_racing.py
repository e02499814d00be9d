import json
import math

import numpy as np
import pytest
from scipy import stats

from tune_mixup.search.looks import boundaries
from tune_mixup.search.racing import Rule, rule_for

RACES = 2000


def normal(random, size):
    return random.normal(size=size)


def skewed(random, size):
    """Skewness -2."""
    return -random.exponential(size=size)


def collapsing(random, size):
    """One training in ten comes to nothing."""
    return random.normal(size=size) - 6 * (random.random(size) < 0.1)


def run(rule, scores):
    """A race over scores, contender by seed, from its first look to its end."""
    left = tuple(range(len(scores)))
    for look in rule.looks:
        standing = rule.judge({trial: scores[trial][:look].tolist() for trial in left})
        left = standing.left
        if standing.verdict != "open":
            break
    return standing


def verdicts(rule, draw, *, shift=0.0, races=RACES, seed=3):
    """Verdict -> how often; `shift` is by how much the first contender is better than the others."""
    random, found = np.random.default_rng(seed), {}
    for _ in range(races):
        scores = draw(random, (rule.contenders, rule.most))
        scores[0] += shift
        standing = run(rule, scores)
        key = (standing.verdict, standing.left[0] == 0)
        found[key] = found.get(key, 0) + 1
    return found


def called(found, wanted="won"):
    return sum(count for (verdict, _), count in found.items() if verdict == wanted)


@pytest.mark.slow
@pytest.mark.parametrize("draw", [normal, skewed, collapsing])
@pytest.mark.parametrize("contenders", [2, 3, 5])
@pytest.mark.parametrize("most", [5, 12, 20])
def test_among_equals_a_winner_is_called_no_more_often_than_stated(contenders, most, draw):
    rule = Rule(contenders, most=most, error=0.05, margin=1e-9)
    assert called(verdicts(rule, draw)) <= stats.binom.ppf(0.999, RACES, 0.05)


def test_between_two_equals_a_winner_is_called_as_often_as_stated():
    rule = Rule(2, most=8, error=0.2, margin=1e-9)
    low, high = stats.binom.ppf([0.0005, 0.9995], RACES, 0.2)
    assert low <= called(verdicts(rule, normal)) <= high


def test_two_equals_at_the_top_of_worse_ones_are_no_better_told_apart():
    """The others are put out soon; what is left must not be easier to win."""
    rule = Rule(3, most=12, error=0.1, margin=1e-9)

    def draw(random, size):
        scores = random.normal(size=size)
        scores[2] -= 5.0
        return scores

    assert 0 < called(verdicts(rule, draw)) <= stats.binom.ppf(0.999, RACES, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("most", [5, 12, 20])
def test_a_skewed_one_against_a_steady_one_is_where_the_error_is_larger(most):
    """The documents say so: equal means, but differences that are skewed themselves."""

    def draw(random, size):
        scores = 0.2 * random.normal(size=size)
        scores[0] = 1 - random.exponential(size=size[1])
        return scores

    rate = called(verdicts(Rule(2, most=most, error=0.05, margin=1e-9), draw)) / RACES
    assert 0.07 < rate < 0.13


def test_one_that_is_better_wins():
    """By 2.5 standard deviations of the paired difference, which eight seeds find nearly always."""
    found = verdicts(Rule(3, most=12, error=0.05, margin=1e-9), normal, shift=2.5 * math.sqrt(2), races=300)
    assert found[("won", True)] > 290


def test_settings_that_differ_by_the_margin_do_not_tie_more_often_than_stated():
    rule = Rule(2, most=20, error=0.1, margin=1.5)
    found = verdicts(rule, normal, shift=1.5)
    assert called(found, "tied") <= stats.binom.ppf(0.999, RACES, 0.1)
    assert called(verdicts(rule, normal), "tied") > RACES / 2


def test_a_look_by_hand():
    """Differences of 3, 4, 5, 4, 4: mean 4, standard deviation sqrt(0.5)."""
    rule = Rule(3, most=5, error=0.1, margin=0.1)
    base = [10.0, 11.0, 9.0, 10.0, 12.0]
    near = [score + wobble for score, wobble in zip(base, (1, -1, 1, -2, 0), strict=True)]
    worse = [score - by for score, by in zip(base, (3, 4, 5, 4, 4), strict=True)]
    standing = rule.judge({4: worse, 7: near, 9: base})
    bound = boundaries((3, 5), 0.05)[-1]
    assert 4 / math.sqrt(0.5 / 5) > bound, "trial 4 is beaten"
    assert (standing.verdict, standing.left, standing.seeds) == ("undecided", (9, 7), 5)
    (gap,) = standing.gaps
    half = bound * math.sqrt((1.2**2 + 0.8**2 + 1.2**2 + 1.8**2 + 0.2**2) / 4 / 5)  # around the mean of 0.2
    assert (gap.trial, gap.mean, gap.low, gap.high) == pytest.approx((7, 0.2, 0.2 - half, 0.2 + half))
    words = rule.words(standing, "val_accuracy")
    assert words.startswith("Undecided after 5 seeds, 2 settings left: the val_accuracy of t0009 is better than that")
    plain = rule.plain(standing)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain and plain["verdict"] == "undecided"
    assert words.endswith(f"about {plain['seeds_to_resolve']} seeds each would resolve 0.1 with a power of 80 %.")


def test_undecided_at_about_the_margin_no_seeds_are_asked_for_that_were_there():
    """Differences of 0.02 on average with a standard deviation of 0.05."""
    rule = Rule(2, most=12, error=0.05, margin=0.045)
    wobble = [0.05 * math.sqrt(11 / 12) * (-1) ** n for n in range(12)]
    standing = rule.judge({0: [1.0] * 12, 1: [0.98 + one for one in wobble]})
    assert standing.verdict == "undecided" and standing.gaps[0].sd == pytest.approx(0.05)
    assert (1.96 + 0.8416) ** 2 * (0.05 / 0.045) ** 2 + 1.96**2 / 2 < 12
    assert rule.words(standing, "m").endswith(
        "these seeds resolve 0.045 with a power of 80 %, so the difference is near that or below it."
    )


def test_words_for_the_other_ends():
    rule = Rule(3, most=5, error=0.1, margin=0.1)
    steps = (0.0, 0.01, 0.02, 0.01, 0.0)
    one, other, third = ([by + step * k for step in steps] for by, k in ((1.0, 1), (1.0, 2), (0.0, 3)))
    assert rule.words(rule.judge({0: one, 1: other, 2: third}), "m") == (
        "t0000 and t0001, which leads, tie after 5 seeds: their m differs from its by less than 0.1, at an error of "
        "0.1."
    )
    assert rule.words(rule.judge({0: one, 2: third}), "m") == (
        "t0000 won after 5 seeds: its m is better than that of each other setting, at an error of 0.1."
    )
    assert rule.words(rule.judge({2: third}), "m") == (
        "t0002 is left after 5 seeds, since trainings of the others failed; nobody has won."
    )
    assert rule.words(rule.judge({}), "m") == "Nothing came out: a training of each setting failed."


def test_a_look_that_spends_nothing_decides_nothing():
    rule = Rule(2, most=20, error=0.05, margin=0.1)
    assert rule.judge({0: [1.0, 1.0, 1.0], 1: [0.0, 0.0, 0.0]}).verdict == "open"
    assert rule.judge({0: [1.0, 1.0, 1.0], 1: [1.0, 1.0, 1.0]}).verdict == "open"


def test_scores_without_any_spread():
    rule = Rule(2, most=3, error=0.05, margin=0.1)
    assert rule.judge({0: [1.0, 2.0, 3.0], 1: [0.5, 1.5, 2.5]}).verdict == "won"
    assert rule.judge({0: [1.0, 2.0, 3.0], 1: [1.0, 2.0, 3.0]}).verdict == "tied"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"contenders": 1}, "--until-sure: got 1 setting, but a race takes two or more; give a larger --top"),
        ({"most": 2}, "--seeds: got 2, must be at least 3 with --until-sure"),
        ({"error": 0.0}, "--error: got 0.0, must be above 0 and below 1"),
        ({"error": 1.0}, "--error: got 1.0, must be above 0 and below 1"),
        ({"margin": 0.0}, "--margin: got 0.0, must be above 0"),
        ({"margin": math.inf}, "--margin: got inf, must be above 0"),
        ({"error": 1e-6}, "must be at least 0.0002"),
    ],
)
def test_what_is_no_race(changes, words):
    with pytest.raises(ValueError, match=words):
        Rule(**{"contenders": 2, "most": 5, "error": 0.05, "margin": 0.1, **changes})


def test_what_is_not_said_is_usual():
    assert rule_for(3, most=None, error=None, margin=None) == Rule(3, most=20, error=0.05, margin=0.002)
    assert rule_for(3, most=8, error=0.1, margin=0.5) == Rule(3, most=8, error=0.1, margin=0.5)
