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
