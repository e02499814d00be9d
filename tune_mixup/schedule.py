"""Learning-rate schedules: pure functions of how far training is.

Progress counts epochs from 0, fractions included: step i of n in epoch e is at e + i / n, before it is made. A schedule
always sees the full budget, also when a trial is stopped early.
"""

import math
from abc import ABC, abstractmethod
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator
from typing_extensions import override

from tune_mixup.faults import shown
from tune_mixup.parts import Part, PartOf

FIRST_WARMUP_FACTOR = 0.01


class Schedule(Part, ABC):
    """Settings of a schedule; `name` tells them apart."""

    warmup_epochs: float = Field(default=0.0, ge=0)
    """Epochs over which the rate climbs linearly to its full value: >= 0 and less than all of them; 0 for none."""
    per: Literal["step", "epoch"] = "epoch"
    """When the rate changes: before every step, or before every epoch as in the published protocols."""

    def lr_factor(self, progress_epochs: float, total_epochs: int) -> float:
        """What the learning rate is multiplied by, in (0, 1], for progress in [0, total_epochs).

        While warming up per epoch, epoch e of W has (e + 1) / (W + 1); per step it is progress / W, but at least 0.01.
        """
        unit = 1 if self.per == "epoch" else 0
        progress = math.floor(progress_epochs) if unit else progress_epochs
        if progress < self.warmup_epochs:
            return max(FIRST_WARMUP_FACTOR, (progress + unit) / (self.warmup_epochs + unit))
        return self._decay(progress, total_epochs)

    @abstractmethod
    def _decay(self, progress: float, total_epochs: int) -> float:
        """The factor once warm-up is over."""

    def drops(self, total_epochs: int) -> tuple[int, ...]:
        """The epochs, counted from 0, that are the first ones at an abruptly lower rate; none for smooth schedules."""
        return ()

    def check(self, total_epochs: int) -> None:
        """Raises ValueError if the warm-up leaves no epoch at the full rate."""
        if self.warmup_epochs >= total_epochs:
            raise ValueError(
                f"warmup_epochs is {self.warmup_epochs:g} of {total_epochs} epochs in all; "
                f"warm up for less or train for longer"
            )


class Constant(Schedule):
    """The full rate to the end."""

    name: Literal["constant"] = "constant"

    @override
    def _decay(self, progress: float, total_epochs: int) -> float:
        return 1.0


class Cosine(Schedule):
    """Half a cosine from the end of the warm-up to the end of training.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, arXiv:1608.03983,
    equation 5 without restarts.
    """

    name: Literal["cosine"] = "cosine"
    final_lr_fraction: float = Field(default=0.0, ge=0, le=1)
    """The factor at the end of the last epoch: in [0, 1], no unit."""

    @override
    def _decay(self, progress: float, total_epochs: int) -> float:
        passed = (progress - self.warmup_epochs) / (total_epochs - self.warmup_epochs)
        # (1 + cos(pi x)) / 2 as a square, which stays above 0 up to the very end.
        falling = math.cos(math.pi / 2 * passed) ** 2
        return self.final_lr_fraction + (1 - self.final_lr_fraction) * falling


class MultiStep(Schedule):
    """The rate is multiplied by `factor` at each milestone: a whole epoch, or a fraction of all epochs rounded to one.

    A milestone at epoch m means that epochs m and later, counted from 0, run at the lower rate; at least epoch 0 runs
    at the full one. Published protocols give epochs, such as 100 and 150 of 200; fractions hold for any number of them.
    """

    name: Literal["multistep"] = "multistep"
    milestones: Annotated[
        tuple[int | float, ...], BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given)
    ] = (0.5, 0.75)
    """Where the rate drops, rising: whole epochs from 1 such as 100 150, or fractions of all epochs, in (0, 1)."""
    factor: float = Field(default=0.1, gt=0, lt=1)
    """What the rate is multiplied by at each milestone: in (0, 1), no unit."""

    @field_validator("milestones")
    @classmethod
    def _milestones_rise(cls, milestones: tuple[int | float, ...]) -> tuple[int | float, ...]:
        epochs = all(isinstance(one, int) and one >= 1 for one in milestones)
        fractions = all(isinstance(one, float) and 0 < one < 1 for one in milestones)
        if not milestones or list(milestones) != sorted(set(milestones)) or not (epochs or fractions):
            raise ValueError(
                f"got {shown(list(milestones))}, must be rising whole epochs from 1 on such as [100, 150], "
                "or rising fractions of all epochs in (0, 1) such as [0.5, 0.75]"
            )
        return milestones

    @override
    def check(self, total_epochs: int) -> None:
        """Raises ValueError also for a milestone in epochs that the training does not come to."""
        super().check(total_epochs)
        if any(epoch >= total_epochs for epoch in self.milestones):  # fractions are below any number of epochs
            raise ValueError(
                f"schedule.milestones: got {shown(list(self.milestones))}, must be less than {total_epochs}, the "
                "number of epochs in all; train for longer, or give earlier milestones or fractions of all epochs"
            )

    @override
    def drops(self, total_epochs: int) -> tuple[int, ...]:
        """The milestones as whole epochs in [1, total_epochs), each once, however many fall on it."""
        return tuple(sorted({epoch for epoch in self._milestone_epochs(total_epochs) if epoch < total_epochs}))

    @override
    def _decay(self, progress: float, total_epochs: int) -> float:
        passed = sum(epoch <= progress for epoch in self._milestone_epochs(total_epochs))
        return float(self.factor**passed)

    def _milestone_epochs(self, total_epochs: int) -> list[int]:
        return [
            given if isinstance(given, int) else max(1, math.floor(given * total_epochs + 0.5))
            for given in self.milestones
        ]


SCHEDULES: dict[str, type[Schedule]] = {"cosine": Cosine, "multistep": MultiStep, "constant": Constant}

AnySchedule = Annotated[Schedule, PartOf(SCHEDULES, "a schedule")]
