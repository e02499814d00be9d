"""Whether a sweep's own curves show what strata assume: that trials of stronger mixing rise later."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tune_mixup.search.control import interval, within

RISEN = 0.9
"""Share of the way from the first value to the last after which a trial has risen."""


class Rise(NamedTuple):
    """How late trials rise by their mixing strength."""

    trials: int
    """How many were trained to the end, mix and have a curve that rises or falls at all."""
    correlation: float | None
    """Spearman's, between strength and the epoch by which a trial has risen; None as long as its sign is unknown."""
    low: float
    """Its 95 % interval."""
    high: float


def rise(curves: Sequence[tuple[float, Mapping[int, float]]]) -> Rise:
    """What the strength and the values by epoch of each trial say."""
    pairs = [(strength, float(epoch)) for strength, values in curves if (epoch := risen(values)) is not None]
    correlation = within([pairs])
    low, high = interval(correlation, len(pairs))
    return Rise(len(pairs), correlation if low > 0 or high < 0 else None, low, high)


def risen(values: Mapping[int, float]) -> int | None:
    """The first epoch at which a curve has come `RISEN` of its way, up or down; None where it ends as it began."""
    first, last = values[min(values)], values[max(values)]
    if first == last:
        return None
    return next(epoch for epoch in sorted(values) if (values[epoch] - first) / (last - first) >= RISEN)
