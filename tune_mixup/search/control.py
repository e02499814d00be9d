"""The control group: trials that are never stopped, and what they say about those that are.

How well the value at a rung foretells the final one can only be seen on trials that went on whatever the rung said; of
those that were let through only the better part is seen, and in it the correlation is smaller.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import NormalDist, fmean
from typing import NamedTuple

from tune_mixup.stopping.rungs import num_going_on

FIRST, EARLY = 20, 2
"""The first FIRST numbers hold at least EARLY control trials, however small the fraction."""
ENOUGH = 8
"""Degrees of freedom, in trials, from which on a correlation is shown; below, its interval must be sure of the sign."""
FEW = 4
"""Degrees of freedom below which a correlation says nothing."""
NORMAL = NormalDist()


def is_control(number: int, *, seed: int, fraction: float) -> bool:
    """Whether trial `number` is in the control group; does not depend on how many trials are promised.

    One trial of each 1 / fraction consecutive ones, drawn by (seed, its place in the group); the first two come among
    the first 20.
    """
    if fraction == 0:
        return False
    near = int(number * fraction)  # its place, or one beside it, unless it is among the first FIRST
    places = {*range(EARLY), *range(max(0, near - 1), near + 2)}
    spans = ((place, _span(place, fraction)) for place in places)
    return any(number in span and number == _drawn(place, seed, span) for place, span in spans)


def _span(place: int, fraction: float) -> range:
    """The numbers of which one is the control trial at `place`."""
    if place < EARLY and EARLY / fraction > FIRST:
        return range(place * FIRST // EARLY, (place + 1) * FIRST // EARLY)
    return range(math.floor(place / fraction + 1e-9), math.floor((place + 1) / fraction + 1e-9))


def _drawn(place: int, seed: int, span: range) -> int:
    digest = hashlib.blake2b(f"{seed}/control/{place}".encode(), digest_size=8).digest()
    return span[int.from_bytes(digest, "little") % len(span)]


class Course(NamedTuple):
    """A trial that was trained to the end: its stratum, the smoothed metric at each rung, and at the end."""

    group: str
    at_rungs: Mapping[int, float]
    final: float


class Evidence(NamedTuple):
    """What finished trials say about a rung."""

    rung: int
    """Epoch."""
    num: int
    """Trials that went by it and were trained to the end."""
    correlation: float | None
    """Spearman's, between the value at the rung and the final one, within strata; None when one does not vary."""
    low: float
    high: float
    """Its interval at 95 %; -1 and 1 when nothing is known."""
    freedom: int
    """`num` less one for each stratum but the first: what the interval is made of."""
    best_stopped: float | None
    """Estimated chance that the rung stops the best trial that comes to it; None for too few trials."""


def evidence(
    courses: Sequence[Course], rungs: Sequence[int], *, reduction_factor: int, compared: Mapping[int, int]
) -> list[Evidence]:
    """For each rung what `courses` say about it; `compared` is how many trials of one stratum it compares."""
    return [_about(rung, courses, reduction_factor, compared.get(rung, 1)) for rung in rungs]


def _about(rung: int, courses: Sequence[Course], reduction_factor: int, compared: int) -> Evidence:
    strata: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for course in courses:
        if rung in course.at_rungs:
            strata[course.group].append((course.at_rungs[rung], course.final))
    num = sum(len(pairs) for pairs in strata.values())
    freedom = num - max(0, len(strata) - 1)
    correlation = within(list(strata.values()))
    low, high = interval(correlation, freedom)
    chance = None
    if correlation is not None and freedom >= FEW:
        chance = chance_best_stopped(correlation, compared, reduction_factor)
    return Evidence(rung, num, correlation, low, high, freedom, chance)


def within(strata: Sequence[Sequence[tuple[float, float]]]) -> float | None:
    """Spearman's correlation of pairs within strata: Pearson's, of ranks less their stratum's mean rank.

    With one stratum it is the ordinary one. None when either side does not vary.
    """
    from scipy.stats import rankdata

    product, squares = 0.0, [0.0, 0.0]
    for pairs in strata:
        if pairs:
            # multiples of a half, so that all of this is exact
            one, other = (rankdata(values) - (len(pairs) + 1) / 2 for values in zip(*pairs, strict=True))
            product += float(one @ other)
            squares = [squares[0] + float(one @ one), squares[1] + float(other @ other)]
    norm = math.prod(math.sqrt(value) for value in squares)
    return product / norm if norm > 0 else None


def interval(correlation: float | None, num: int, *, level: float = 0.95) -> tuple[float, float]:
    """Confidence interval of a rank correlation of `num` pairs; (-1, 1) for fewer than four.

    Fisher's transform with the variance (1 + r^2 / 2) / (n - 3) of Bonett and Wright, "Sample size requirements for
    estimating Pearson, Kendall and Spearman correlations", Psychometrika 65 (2000). Perfect order counts as half a
    neighbours' swap away from it, which keeps few trials from being certain.
    """
    if correlation is None or num < FEW:
        return -1.0, 1.0
    most = 1 - 6 / (num * (num**2 - 1))
    kept = min(most, max(-most, correlation))
    reach = NORMAL.inv_cdf((1 + level) / 2) * math.sqrt((1 + kept**2 / 2) / (num - 3))
    return math.tanh(math.atanh(kept) - reach), math.tanh(math.atanh(kept) + reach)


def chance_best_stopped(correlation: float, compared: int, reduction_factor: int, *, steps: int = 200) -> float:
    """The chance that the best of `compared` trials is not among those that a rung lets through, 0 to 1.

    For normal values at the rung and at the end with this rank correlation (r = 2 sin(pi rho / 6)): the mean, over the
    quantiles of the best final value, of the chance that its value at the rung is below the best 1/eta.
    """
    keep = num_going_on(compared, reduction_factor)
    if keep >= compared:
        return 0.0
    r = max(-0.999, min(0.999, 2 * math.sin(math.pi * correlation / 6)))
    cut = NORMAL.inv_cdf(1 - keep / compared)
    best = [NORMAL.inv_cdf(((step + 0.5) / steps) ** (1 / compared)) for step in range(steps)]
    return fmean(NORMAL.cdf((cut - r * value) / math.sqrt(1 - r**2)) for value in best)


def chance_of_any(table: Sequence[Evidence]) -> float | None:
    """The chance that some rung stops the best trial, as if they erred independently; None when nothing is known.

    Only the rungs count whose correlation is worth a word.
    """
    chances = [about.best_stopped for about in table if about.best_stopped is not None and telling(about)]
    return 1 - math.prod(1 - chance for chance in chances) if chances else None


def telling(about: Evidence) -> bool:
    """Whether a rung's correlation is worth a word: taken at its word, or of a sign that its interval is sure of."""
    if about.correlation is None or about.freedom < FEW:
        return False
    return about.freedom >= ENOUGH or about.low > 0 or about.high < 0
