"""The epochs after which trials are compared."""

import math
from collections.abc import Iterable

MARGIN = 0.1
"""Share of the epochs before a drop of the learning rate, or before the end, in which there is no rung."""


def grace_of(epochs: int) -> int:
    """The epochs before which no trial is stopped where nobody says: a third of all, of more than 54 epochs 18.

    Of more than 216 it is a twelfth, so that it never falls as `epochs` grow. docs/early_stopping.md says how that was
    chosen.
    """
    return max(min(18, math.ceil(epochs / 3)), math.ceil(epochs / 12))


def num_going_on(num: int, reduction_factor: int) -> int:
    """How many of the `num` trials that have come to a rung go on: one in `reduction_factor`, rounded up."""
    return math.ceil(num / reduction_factor)


def rung_epochs(
    epochs: int, *, grace_epochs: int | None, reduction_factor: int, drops: Iterable[int] = ()
) -> list[int]:
    """The epochs after which trials are compared: grace, grace * eta, ... below `epochs`.

    Where `grace_epochs` is empty it is as in `grace_of`. A rung that would lie in the last 10 % of the epochs before
    one of `drops` (epochs at which the learning rate falls at once) moves to just behind it: what is compared before a
    drop is the noise of a large rate. In the last 10 % of all epochs there is none: it could save next to nothing.
    """
    rung = grace_of(epochs) if grace_epochs is None else grace_epochs
    margin = max(1, round(MARGIN * epochs))
    rungs = set()
    while rung < epochs:
        behind = [drop + 1 for drop in drops if drop - margin < rung <= drop]
        rungs.add(behind[0] if behind else rung)
        rung *= reduction_factor
    return sorted(rung for rung in rungs if rung < epochs - margin)
