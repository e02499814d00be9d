"""Which epochs and batches are mixed at all: settings of every mixing method.

Batches that are not mixed are trained on as `erm` does. Epochs without mixing do so on the host's word and draw nothing
but the order of batches; within an epoch the share that is mixed is drawn on the device.
"""

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from tune_mixup.parts import Part


class AppliedSettings(Part):
    """When a method is applied."""

    came_later: ClassVar[frozenset[str]] = frozenset({"applied", "warmup_epochs", "cooldown_epochs"})
    applied: float = Field(default=1.0, ge=0, le=1)
    """Share of batches that are mixed, 0 to 1; the others are trained on as they came."""
    warmup_epochs: int = Field(default=0, ge=0)
    """Epochs at the beginning that are trained without mixing: 0 or more."""
    cooldown_epochs: int = Field(default=0, ge=0)
    """Epochs at the end of the full budget that are trained without mixing: 0 or more."""

    def check_epochs(self, epochs: int) -> None:
        """Raise ValueError where no epoch of `epochs` would be mixed."""
        unmixed = self.warmup_epochs + self.cooldown_epochs
        if unmixed and unmixed >= epochs:
            raise ValueError(
                f"mixing.warmup_epochs: got {self.warmup_epochs}, and {self.cooldown_epochs} for "
                f"mixing.cooldown_epochs, must be fewer than training.epochs={epochs} in all; lower one, or set "
                "mixing.name=erm"
            )

    def when_applied(self) -> dict[str, Any]:
        """These settings alone, for a method that is to be applied to the same batches."""
        return {field: getattr(self, field) for field in AppliedSettings.model_fields if field != "name"}

    @property
    def has_unmixed_epochs(self) -> bool:
        """Whether some epoch is trained without mixing."""
        return self.warmup_epochs + self.cooldown_epochs > 0

    def mixes_in(self, epoch: int, *, epochs: int) -> bool:
        """Whether `epoch` (from 0) of `epochs` is trained with mixing."""
        return self.warmup_epochs <= epoch < epochs - self.cooldown_epochs

    def draw_applied(self, size: tuple[int, ...], *, device: torch.device, generator: Generator) -> Tensor:
        """What is mixed, bool of shape `size`: one draw each, whatever comes of it."""
        return torch.rand(size, device=device, generator=generator) < self.applied
