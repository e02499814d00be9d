"""Settings of rules that compare trials at rungs: where these lie, with whom a trial is compared, and by what value."""

from abc import ABC
from collections.abc import Iterable
from typing import Literal

from pydantic import Field
from typing_extensions import override

from tune_mixup.stopping.base import Objective
from tune_mixup.stopping.rungs import rung_epochs
from tune_mixup.stopping.with_grace import WithGrace


class WithRungs(WithGrace, ABC):
    """The settings that ASHA and Hyperband share."""

    reduction_factor: int = Field(default=3, ge=2)
    """Of the trials at a rung, one in this many goes on, rounded up."""
    strata: Literal["mixing", "strength", "none"] = "mixing"
    """Whom a trial is compared with at a rung. mixing: those of like mixing strength; strength: likewise, by the lam
    that methods draw before boxes are cut off, as sweeps of before have it; none: all."""
    smoothing: int | None = Field(default=None, ge=1)
    """Reports over whose median a rung decides; empty: 5, or 1 for `_median` metrics, which are medians already."""
    has_rungs = True

    @override
    def rungs(self, epochs: int, drops: Iterable[int] = ()) -> list[int]:
        return rung_epochs(epochs, grace_epochs=self.grace_epochs, reduction_factor=self.reduction_factor, drops=drops)

    @property
    @override
    def one_in(self) -> int:
        return self.reduction_factor

    @property
    @override
    def by_strength(self) -> bool:
        return self.strata != "none"

    @property
    @override
    def by_nominal_strength(self) -> bool:
        return self.strata == "strength"

    @override
    def reports_smoothed(self, objective: Objective) -> int:
        return super().reports_smoothed(objective) if self.smoothing is None else self.smoothing

    @override
    def check(self, objective: Objective) -> None:
        if self.smoothing is not None and self.smoothing > 1 and objective.is_median:
            raise ValueError(
                f"smoothing: got {self.smoothing}, but {objective.name} is a median of epochs already; set "
                "training.median_epochs instead, or take the metric without _median"
            )
