"""How sure a number is that was made of a sample: intervals by resampling, the same for every measurement."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
RESAMPLES = 10_000


def interval(samples: Sequence[Floats], statistic: Callable[..., Floats]) -> tuple[float, float]:
    """Percentile bootstrap interval at 95 % of a statistic of one or more samples, each resampled by itself.

    `statistic` takes the samples as arrays [..., n] and the keyword `axis`, over which it goes.
    """
    found = stats.bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def crossed_interval(values: Floats, first: NDArray[np.intp], resamples: int = RESAMPLES) -> tuple[float, float]:
    """Percentile bootstrap interval at 95 % of `crossed_mean`, whose `values` and `first` these are."""
    return quantiles(crossed_means(values, first, resamples))


def quantiles(resampled: Floats) -> tuple[float, float]:
    """The middle 95 % of a statistic's resamples [resamples]."""
    low, high = np.quantile(resampled, [0.025, 0.975])
    return float(low), float(high)


def crossed_means(values: Floats, first: NDArray[np.intp], resamples: int = RESAMPLES) -> Floats:
    """`crossed_mean` of resampled searches and training seeds, [resamples]; the same ones for values of one shape.

    Both were sampled, and crossed: each search was made on some of the seeds and is judged on the others. So each is
    drawn with replacement by itself, and a value counts as often as its search times its seed times the seed that its
    search began with (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007, arXiv:0712.1111).
    """
    searches, seeds = values.shape
    rng = np.random.default_rng(0)
    by_search = rng.multinomial(searches, np.full(searches, 1 / searches), size=resamples)
    by_seed = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    weights = by_search * by_seed[:, first]
    known = ~np.isnan(values)
    total = (weights * (by_seed @ np.where(known, values, 0.0).T)).sum(axis=1)
    count = (weights * (by_seed @ known.T.astype(np.float64))).sum(axis=1)
    found: Floats = total[count > 0] / count[count > 0]  # a resample may hold no seed that a search is judged on
    return found


def crossed_mean(values: Floats) -> float:
    """The mean of what searches are worth on training seeds, [searches, seeds], NaN on those that a search has seen.

    All searches are judged on equally many. `crossed_interval` also wants the seed that each began with, [searches].
    """
    return float(np.nanmean(values))
