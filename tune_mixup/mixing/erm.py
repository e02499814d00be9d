"""Plain training (empirical risk minimisation): no mixing, the baseline of every comparison.

Vapnik, "Principles of Risk Minimization for Learning Theory", NIPS 1991.
"""

from typing import Literal

import torch
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.base import InputMixer, MixedBatch, State


class Erm(InputMixer):
    """Every example keeps its own pixels and target."""

    name: Literal["erm"] = "erm"

    @override
    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        """The batch as it came: lam = 1, everybody is their own partner."""
        own = torch.arange(len(inputs), device=inputs.device)
        return MixedBatch(inputs, targets, torch.ones((), device=inputs.device), own)
