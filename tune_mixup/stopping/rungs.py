"""The epochs after which trials are compared."""

import math
from collections.abc import Iterable

MARGIN = 0.1
"""Share of the epochs before a drop of the learning rate, or before the end, in which there is no rung."""


def grace_of(epochs: int, grace_epochs: int | None) -> int:
    """The epochs before which no trial is stopped: as asked, else 10 % of all, but of few epochs a third.

    At least 5, and in between 10: what short runs have reached after fewer says little about where they end.
    """
    if grace_epochs is not None:
        return grace_epochs
    return max(5, round(0.1 * epochs), min(10, math.ceil(epochs / 3)))


def num_going_on(num: int, reduction_factor: int) -> int:
    """How many of the `num` trials that have come to a rung go on: one in `reduction_factor`, rounded up."""
    return math.ceil(num / reduction_factor)


def rung_epochs(
    epochs: int, *, grace_epochs: int | None, reduction_factor: int, drops: Iterable[int] = ()
) -> list[int]:
    """The epochs after which trials are compared: grace, grace * eta, ... below `epochs`.

    Grace is as in `grace_of`. A rung that would lie in the last 10 % of the epochs before
    one of `drops` (epochs at which the learning rate falls at once) moves to just behind it: what is compared before a
    drop is the noise of a large rate. In the last 10 % of all epochs there is none: it could save next to nothing.
    """
    rung = grace_of(epochs, grace_epochs)
    margin = max(1, round(MARGIN * epochs))
    rungs = set()
    while rung < epochs:
        behind = [drop + 1 for drop in drops if drop - margin < rung <= drop]
        rungs.add(behind[0] if behind else rung)
        rung *= reduction_factor
    return sorted(rung for rung in rungs if rung < epochs - margin)
