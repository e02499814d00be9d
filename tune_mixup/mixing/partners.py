"""Who is mixed with whom, where a method leaves that open: settings of a rule that draws a partner for each example.

Any method that takes partners has a section `partners` for one of these, so that `mixing.partners.name = confusion`
makes CutMix, manifold mixup and the rest draw them as generalized mixup does.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.base import MixedBatch, State
from tune_mixup.parts import Part

DRAWS = 11
"""How many permutations are drawn to find one in which nobody meets themself; each is one with probability 1 / e."""


class Partners(Part, ABC):
    """A rule that draws partners; its state is the mixer's, and the methods of both mean the same."""

    between_epochs: ClassVar[frozenset[str]] = frozenset()
    """Settings that no draw knows: what follows from them is in the state."""

    @property
    @override
    def changeable(self) -> frozenset[str]:
        return self.between_epochs

    @property
    def needs_stratified_batches(self) -> bool:
        """Whether every batch must hold each class equally often."""
        return False

    @property
    def needs_fixed_batches(self) -> bool:
        """Whether a place in the batch must always hold the same class."""
        return False

    def canonical(self) -> "Partners":
        """The simplest rule that draws exactly like this one."""
        return self

    def check_classes(self, num_classes: int) -> None:
        """Raises ValueError for a number of classes that the rule can't pair."""

    def init(self, num_classes: int, *, device: torch.device, generator: Generator) -> State:
        """The state before epoch 0. `generator` is on the CPU."""
        return {}

    @abstractmethod
    def draw(self, targets: Tensor, state: State, *, generator: Generator) -> Tensor:
        """Each example's partner, int64 [B], for targets [B, K]; `generator` is on their device. No host sync."""

    def observe(self, state: State, mixed: MixedBatch, targets: Tensor, logits: Tensor) -> State:
        """The state after a step's forward pass (`logits` [B, K], detached)."""
        return state

    def end_epoch(self, state: State, *, epoch: int, generator: Generator) -> State:
        """The state for epoch `epoch + 1`. `generator` is on the CPU."""
        return state

    def snapshot(self, state: State) -> dict[str, Tensor]:
        """What is worth keeping of the state for each epoch, on the CPU."""
        return {}


class RandomPartners(Partners):
    """A uniformly random permutation of the batch, as in mixup and most methods since; some meet themselves."""

    name: Literal["random"] = "random"

    @override
    def draw(self, targets: Tensor, state: State, *, generator: Generator) -> Tensor:
        """Any permutation is equally likely."""
        return torch.randperm(len(targets), device=targets.device, generator=generator)


class DerangedPartners(Partners):
    """A random permutation in which nobody meets themself, as openmixup draws it for CutMix and FMix.

    The first such one of `DRAWS`; should there be none (six batches in a thousand), or only one example, the first.
    """

    name: Literal["deranged"] = "deranged"

    @override
    def draw(self, targets: Tensor, state: State, *, generator: Generator) -> Tensor:
        """Any derangement is equally likely."""
        size = len(targets)
        orders = torch.rand(DRAWS, size, dtype=torch.float64, device=targets.device, generator=generator).argsort(1)
        meets_itself = (orders == torch.arange(size, device=targets.device)).any(1)
        first = meets_itself.int().argmin().reshape(1)  # an index of one dimension: one of none waits for the device
        return orders.index_select(0, first).squeeze(0)
