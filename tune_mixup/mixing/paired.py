"""Mixers that take a partner for each example, and the settings that say whom."""

from abc import abstractmethod
from typing import Annotated

import torch
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.base import BatchMixer, MixedBatch, State
from tune_mixup.mixing.confusion_partners import ConfusionPartners
from tune_mixup.mixing.partners import DerangedPartners, Partners, RandomPartners
from tune_mixup.parts import PartOf

PARTNERS: dict[str, type[Partners]] = {
    "random": RandomPartners,
    "deranged": DerangedPartners,
    "confusion": ConfusionPartners,
}

AnyPartners = Annotated[Partners, PartOf(PARTNERS, "a rule that draws partners")]


class PairMixer(BatchMixer):
    """A method that mixes every example with one partner; the rule's state is the mixer's."""

    @property
    @abstractmethod
    def partner_rule(self) -> Partners:
        """Who is mixed with whom."""

    @property
    @override
    def needs_stratified_batches(self) -> bool:
        """Whether the rule needs them."""
        return self.partner_rule.needs_stratified_batches

    @property
    @override
    def needs_fixed_batches(self) -> bool:
        """Whether the rule needs them."""
        return self.partner_rule.needs_fixed_batches

    @override
    def check_data(self, *, height: int, width: int, num_classes: int) -> None:
        """Raises ValueError for a number of classes that the rule can't pair."""
        self.partner_rule.check_classes(num_classes)

    @override
    def init(self, num_classes: int, *, device: torch.device, generator: Generator) -> State:
        """The settings `in_state`, and the rule's state before epoch 0."""
        numbers = super().init(num_classes, device=device, generator=generator)
        rule = self.partner_rule.init(num_classes, device=device, generator=generator)
        if both := numbers.keys() & rule.keys():
            raise ValueError(
                f"{self.partner_rule.name}: its state has {', '.join(both)}, as {self.name} has; rename it"
            )
        return {**numbers, **rule}

    def draw_partner(self, targets: Tensor, state: State, *, generator: Generator) -> Tensor:
        """Each example's partner, int64 [B]."""
        return self.partner_rule.draw(targets, state, generator=generator)

    @override
    def observe(self, state: State, mixed: MixedBatch, targets: Tensor, logits: Tensor) -> State:
        """What the rule learns from the outcome."""
        return self.partner_rule.observe(state, mixed, targets, logits)

    @override
    def end_epoch(self, state: State, *, epoch: int, generator: Generator) -> State:
        """The rule's state for epoch `epoch + 1`."""
        return {**state, **self.partner_rule.end_epoch(state, epoch=epoch, generator=generator)}

    @override
    def snapshot(self, state: State) -> dict[str, Tensor]:
        """What the rule remembers of each epoch."""
        return self.partner_rule.snapshot(state)


class Partnered(PairMixer):
    """A method whose partners are a setting of their own."""

    partners: AnyPartners = RandomPartners()
    """Who is mixed with whom: random; deranged, which pairs nobody with themself; or confusion, for the pairing of
    generalized mixup."""

    @property
    @override
    def partner_rule(self) -> Partners:
        """The setting."""
        return self.partners
