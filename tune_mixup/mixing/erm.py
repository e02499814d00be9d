"""Plain training (empirical risk minimisation): no mixing, the baseline of every comparison.

Vapnik, "Principles of Risk Minimization for Learning Theory", NIPS 1991.
"""

from typing import Literal

from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.base import InputMixer, MixedBatch, Mixer, State
from tune_mixup.mixing.selection import unmixed


class Erm(InputMixer):
    """Every example keeps its own pixels and target."""

    name: Literal["erm"] = "erm"

    @property
    @override
    def weighs_examples(self) -> bool:
        return True

    @override
    def canonical(self) -> Mixer:
        """When nothing is done makes no difference."""
        return Erm()

    @override
    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        """The batch as it came."""
        return unmixed(inputs, targets)
