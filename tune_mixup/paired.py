"""What two arms say about their difference that were measured on the same seeds: seed by seed, and how sure it is.

A seed that either of the two has no value for makes no pair, and is named: it is never averaged away.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9999
"""Of the bootstrap, and the most sign flips: up to 13 pairs all of them are tried."""
FEWEST_RESAMPLED = 3
"""Pairs that a bootstrap needs: two have but three means."""


class Interval(NamedTuple):
    """Both ends belong to it."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """One arm less another, over the seeds that both have a value for. What so few pairs can't say is None."""

    pairs: int
    lost: tuple[int, ...]
    """Seeds that made no pair, since a training failed."""
    mean: float | None
    sd: float | None
    """Of the differences of the pairs."""
    by_t: Interval | None
    """Paired-t interval of the mean."""
    by_bootstrap: Interval | None
    """BCa interval of the mean."""
    p: float | None
    """Of the sign-flip permutation test, two-sided."""
    wins: float | None
    """Estimated chance that it has more than the other on a seed, ties counted half, 0 to 1."""
    wins_within: Interval | None
    """Its exact interval; ties count against either end."""
    effect: float | None
    """The mean in standard deviations of the differences (Cohen's d_z), with Hedges' correction for few pairs."""

    @property
    def least_p(self) -> float:
        """The smallest p that so many pairs can give."""
        return least_p(self.pairs)


def paired(own: Mapping[int, float | None], other: Mapping[int, float | None]) -> Difference:
    """Compare two arms, each seed -> value, None where its training failed. Seeds that only one has are no pairs yet.

    The same arguments give the same numbers.
    """
    both = sorted(own.keys() & other.keys())
    pairs = [(a, b) for seed in both if (a := own[seed]) is not None and (b := other[seed]) is not None]
    lost = tuple(seed for seed in both if own[seed] is None or other[seed] is None)
    differences = np.array([a - b for a, b in pairs])
    num, varies = len(pairs), bool(len(pairs) > 1 and np.ptp(differences) > 0)
    sd = float(differences.std(ddof=1)) if num > 1 else None
    above, below = int((differences > 0).sum()), int((differences < 0).sum())
    return Difference(
        pairs=num,
        lost=lost,
        mean=float(differences.mean()) if num else None,
        sd=sd,
        by_t=_by_t(differences) if varies else None,
        by_bootstrap=_by_bootstrap(differences) if varies and num >= FEWEST_RESAMPLED else None,
        p=_sign_flips(differences) if num > 1 else None,
        wins=(above + (num - above - below) / 2) / num if num else None,
        wins_within=_share_within(above, below, num) if num else None,
        effect=float(differences.mean()) / sd * _hedges(num - 1) if sd and varies and num > 2 else None,
    )


def least_p(pairs: int) -> float:
    """The smallest two-sided p of a sign-flip test: one of 2^n flips on either side."""
    return min(1.0, 2.0 ** (1 - pairs))


def holm(p: Sequence[float]) -> list[float]:
    """The p values of a family of comparisons, adjusted after Holm (1979)."""
    from statsmodels.stats.multitest import multipletests

    return [float(one) for one in multipletests(p, method="holm")[1]] if p else []


def _by_t(differences: Any) -> Interval:
    found = stats.ttest_1samp(differences, 0.0).confidence_interval(CONFIDENCE)
    return Interval(float(found.low), float(found.high))


def _by_bootstrap(differences: Any) -> Interval | None:
    """BCa, at a level that makes up for how narrow a bootstrap of few values is.

    Resampling n values has the spread of a normal sample with n in place of n - 1, and no t. Hesterberg (2015), What
    teachers should know about the bootstrap, The American Statistician 69, expands percentile intervals in this way.
    """
    num = len(differences)
    reach = math.sqrt(num / (num - 1)) * stats.t.ppf((1 + CONFIDENCE) / 2, num - 1)
    found = stats.bootstrap(
        (differences,),
        np.mean,
        method="BCa",
        n_resamples=RESAMPLES,
        confidence_level=float(1 - 2 * stats.norm.sf(reach)),
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(float(found.low), float(found.high)) if np.isfinite([found.low, found.high]).all() else None


def _sign_flips(differences: Any) -> float:
    found = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def _share_within(above: int, below: int, num: int) -> Interval:
    low = stats.binomtest(above, num).proportion_ci(CONFIDENCE, method="exact").low
    high = stats.binomtest(num - below, num).proportion_ci(CONFIDENCE, method="exact").high
    return Interval(float(low), float(high))


def _hedges(freedom: int) -> float:
    """Hedges' correction: the expected d of a normal sample is the true one divided by this."""
    logarithm = math.lgamma(freedom / 2) - math.log(math.sqrt(freedom / 2)) - math.lgamma((freedom - 1) / 2)
    return math.exp(logarithm)
