"""A mixing method with a fixed share, and classes that differ from it by what they call themselves."""

from typing import Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from tune_mixup.mixing import MixedBatch
from tune_mixup.mixing.base import InputMixer, State
from tune_mixup.mixing.cutmix import CutMix


class Blend(InputMixer):
    """Every example keeps `share` of itself and takes the rest from the example after it."""

    share: float = Field(default=0.75, ge=0.5, le=1)
    """What stays of the own example: 0.5 to 1, no unit."""

    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        partner = torch.arange(len(inputs), device=inputs.device).roll(-1)
        lam = torch.full((), self.share, device=inputs.device)
        mixed = self.share * inputs + (1 - self.share) * inputs[partner]
        return MixedBatch(mixed, self.share * targets + (1 - self.share) * targets[partner], lam, partner)


class Named(Blend):
    """Has a name of its own, as the package's classes do."""

    name: Literal["named"] = "named"


class OtherNamed(Blend):
    """Has the same name as another class."""

    name: Literal["named"] = "named"


class Taken(Blend):
    """Calls itself like a method of the package."""

    name: Literal["cutmix"] = "cutmix"


class HalfCut(CutMix):
    """A method of the package with another default."""

    applied: float = 0.5


class Unfinished(InputMixer):
    """Does not say how it mixes."""


class Outer:
    class Inner(Blend):
        """Lies inside another class."""


READY = Blend()
