"""How much better is better, when one looks several times: boundaries for paired t values that grow seed by seed.

Lan and DeMets (1983), Discrete sequential boundaries for clinical trials, Biometrika 70, with their spending function
of the O'Brien-Fleming type: hardly anything of the error is spent on early looks. The boundaries are quantiles of
simulated paired t values at these numbers of seeds, since the usual normal ones are much too low for a few seeds.
"""

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

LOOKS = (3, 5, 8, 12, 20, 32, 50, 85)
"""Of a race."""
REPLICATES = 1_000_000
FEWEST = 50
"""A look whose boundary fewer of the simulated series cross spends nothing; a later one spends it."""
LEAST_LEVEL = 2e-4
"""Of both sides; below it the simulation counts too few crossings."""
POWER = 0.8
_NORMAL = NormalDist()


def looks_up_to(most: int, looks: Sequence[int] = LOOKS) -> tuple[int, ...]:
    """After which of the numbers of seeds is looked when `most` is the largest one; the last look is then."""
    return (*(seeds for seeds in looks if seeds < most), most)


@cache
def boundaries(looks: tuple[int, ...], level: float) -> tuple[float, ...]:
    """What the absolute paired t value must reach at each look; inf where a look spends nothing.

    For normal differences of mean zero, the chance to reach it at any look is `level`, half of it on either side.
    Raises ValueError for a level below LEAST_LEVEL.
    """
    if not LEAST_LEVEL <= level < 1:
        raise ValueError(
            f"got an error of {level:.2g} for each comparison, must be at least {LEAST_LEVEL:g} and below 1; compare "
            "fewer settings or allow a larger error"
        )
    values = _simulated(looks)
    found, spent = [], 0
    for seeds, at_look in zip(looks, values, strict=True):
        allowed = round(_spent(seeds / looks[-1], level) * REPLICATES) - spent
        if allowed < FEWEST and seeds < looks[-1]:
            found.append(math.inf)
            continue
        found.append(float(np.partition(at_look, -allowed)[-allowed]))
        crossed = at_look >= found[-1]
        spent += int(crossed.sum())
        values[:, crossed] = -1.0  # each series crosses once
    return tuple(found)


def seeds_to_resolve(margin: float, sd: float, level: float) -> int:
    """How many paired seeds find a difference of `margin` with the usual power, when differences have this `sd`.

    At one look with a two-sided error of `level`; the normal formula with the correction of Guenther (1981) for the t.
    """
    error = _NORMAL.inv_cdf(1 - level / 2)
    return math.ceil(((error + _NORMAL.inv_cdf(POWER)) * sd / margin) ** 2 + error**2 / 2)


def _spent(part: float, level: float) -> float:
    """What of a two-sided `level` is spent when this part of the seeds is there."""
    return 4 * (1 - _NORMAL.cdf(_NORMAL.inv_cdf(1 - level / 4) / math.sqrt(part)))


def _simulated(looks: Sequence[int]) -> npt.NDArray[np.float64]:
    """Absolute t values, look by series, from sums and sums of squares between looks: draws of a normal and a chi2."""
    random = np.random.default_rng(0)
    total, squares = np.zeros(REPLICATES), np.zeros(REPLICATES)
    values = np.empty((len(looks), REPLICATES))
    before = 0
    for row, seeds in enumerate(looks):
        more = seeds - before
        added = random.normal(scale=math.sqrt(more), size=REPLICATES)
        total += added
        squares += added**2 / more
        if more > 1:
            squares += random.chisquare(more - 1, size=REPLICATES)
        spread = (squares - total**2 / seeds) / (seeds - 1)
        values[row] = np.abs(total) / np.sqrt(seeds * spread)
        before = seeds
    return values
