"""Settings of rules that wait for a while and spare some trials; where they are empty they follow from the sweep."""

import math
from abc import ABC
from collections.abc import Callable
from typing import Self

from pydantic import Field
from typing_extensions import override

from tune_mixup.stopping.base import Stopping
from tune_mixup.stopping.rungs import grace_of

CONTROL = 0.05
"""Share of the trials of a large sweep that are never stopped."""
LARGE = 160
"""Promised trials from which on that share can say something about the rungs, for it is eight of them."""


class WithGrace(Stopping, ABC):
    """The settings that all rules of ours share. A sweep notes the numbers when it begins, and keeps to them."""

    grace_epochs: int | None = Field(default=None, ge=1)
    """No trial is stopped before this many epochs; empty: a third of the epochs, but 18 of 54 to 216, and a twelfth of
    more."""
    control_fraction: float | None = Field(default=None, ge=0, le=1)
    """Share of the trials that are never stopped, to measure what stopping does: 0, or up to 1 with at least 2 of the
    first 20; empty: 0.05 in a sweep that begins with 160 trials or more, else 0."""

    @property
    @override
    def share_spared(self) -> float:
        return self.control_fraction or 0.0

    @override
    def settled(self, *, epochs: Callable[[], int], trials: int) -> Self:
        return self._with(lambda: grace_of(epochs()), CONTROL if trials >= LARGE else 0.0)

    @override
    def settled_before(self, *, epochs: Callable[[], int]) -> Self:
        return self._with(lambda: _grace_before(epochs()), CONTROL)

    def _with(self, grace: Callable[[], int], control: float) -> Self:
        if self.grace_epochs is not None and self.control_fraction is not None:
            return self
        return self.replace(
            grace_epochs=grace() if self.grace_epochs is None else self.grace_epochs,
            control_fraction=control if self.control_fraction is None else self.control_fraction,
        )


def _grace_before(epochs: int) -> int:
    """What an empty grace was before sweeps noted the number."""
    return max(5, round(0.1 * epochs), min(10, math.ceil(epochs / 3)))
