"""A mixture of methods: each batch, or each example, is mixed by one of several, drawn with given probabilities.

As openmixup (`mix_mode`, `mix_prob`, `mix_repeat`) and timm (mixup and CutMix) do per batch.

Every member mixes the whole batch and the draw selects from what they made, so no value is read on the host. What the
members cost adds up; it is little beside the network's own cost, unless a member asks the network too.

Differs from openmixup: with repeats, a draw of plain training leaves the probabilities of the next ones as they were.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, model_validator
from torch import Generator, Tensor, nn
from typing_extensions import override

from tune_mixup.loss import Loss
from tune_mixup.mixing.base import BatchMixer, MixedBatch, Mixer, Per, State, StepOutput, draw_size
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.methods import LEARNED, METHODS
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.selection import select
from tune_mixup.parts import PartOf
from tune_mixup.schema import suggest

AnyMethod = Annotated[BatchMixer, PartOf(METHODS, "a method that mixes a batch once")]


NO_MIXTURE = "a mixture can't hold another mixture; give its members here"


def _name_members(members: Any) -> Any:
    """A member without a `name` is the method that it is called after."""
    if not isinstance(members, Mapping) or not members:
        raise ValueError(f"got {members!r}, must be settings of one method or more, such as mixup.alpha")
    named = {
        label: {"name": label, **settings} if isinstance(settings, Mapping) else settings
        for label, settings in members.items()
    }
    if any(isinstance(settings, Mapping) and settings["name"] == "mixture" for settings in named.values()):
        raise ValueError(NO_MIXTURE)
    for settings in named.values():
        if isinstance(settings, Mapping) and settings["name"] in LEARNED:
            raise ValueError(
                f"got {settings['name']}, which makes two mixtures of each batch and trains on both, so a mixture "
                "can't hold it; take methods that mix a batch once"
            )
    return named


def _no_mixture(members: dict[str, BatchMixer]) -> dict[str, BatchMixer]:
    if any(isinstance(member, Mixture) for member in members.values()):
        raise ValueError(NO_MIXTURE)
    return members


Label = Annotated[str, Field(pattern=r"^\w+$")]
Weight = Annotated[float, Field(ge=0)]


class Mixture(BatchMixer):
    """Draws one of `members` by `weights`; state and snapshots of each are kept as `label.name`."""

    name: Literal["mixture"] = "mixture"
    members: Annotated[dict[Label, AnyMethod], BeforeValidator(_name_members), AfterValidator(_no_mixture)] = {
        "mixup": Mixup(alpha=0.1),
        "cutmix": CutMix(alpha=1.0),
    }
    """What is mixed: label -> settings of a method. The method is the one that the label names, unless `name` says:
    another method, or a class of your own as my_package.my_module:MyMixer."""
    weights: dict[str, Weight] = {}
    """How often each member is drawn: label -> weight >= 0, of any sum; empty draws all alike. With weight 0 a member
    is as good as absent."""
    per: Per = "batch"
    """Whether one member is drawn for the batch, or one for each example."""
    repeats: int = Field(default=1, ge=1)
    """How often each batch is mixed and goes through the network; the losses are averaged and the cost multiplied."""

    _active: dict[str, BatchMixer] = PrivateAttr()
    """The members that are ever drawn, in their simplest form and each once."""
    _weights: dict[str, float] = PrivateAttr()
    """How often each of them is drawn, relative to the most frequent one."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for label in self.weights:
            if label not in self.members:
                raise ValueError(f"weights.{label} is for no member{suggest(label, list(self.members))}")
        for label in self.members:
            if self.weights and label not in self.weights:
                raise ValueError(f"weights.{label} is missing; give every member a weight, or none to draw all alike")
        for label, member in self.members.items():
            if member.has_unmixed_epochs:
                raise ValueError(
                    f"members.{label}: got warmup_epochs={member.warmup_epochs} and cooldown_epochs="
                    f"{member.cooldown_epochs}, must be 0: epochs are mixed or not by the whole mixture; set "
                    "mixing.warmup_epochs and mixing.cooldown_epochs"
                )
        weights = {label: self.weights.get(label, 1.0) for label in sorted(self.members)}
        if not 0 < sum(weights.values()) < math.inf:
            raise ValueError(f"weights: got {self.weights}, must have a positive, finite sum; raise one of them")
        self._activate(weights)
        if self.per == "sample" and self.min_stages:
            deep = [label for label, member in self._active.items() if member.min_stages]
            raise ValueError(
                f"per: got 'sample', but {deep[0]} mixes features, which the whole batch must take part in; "
                "set per=batch or leave it out"
            )
        return self

    def _activate(self, weights: Mapping[str, float]) -> None:
        self._active = {}
        drawn: dict[str, float] = {}
        for label, weight in _relative(weights).items():
            if weight == 0:
                continue
            member = self.members[label].simplest()
            if not isinstance(member, BatchMixer):
                raise ValueError(f"members.{label}: its canonical form, {member.name}, does not mix a batch once")
            if setting := member.trains_beside:
                raise ValueError(
                    f"members.{label}.{setting}: got {getattr(member, setting)}, must be 0 in a mixture, which trains "
                    "on mixed batches alone; leave it out"
                )
            same = next((other for other, known in self._active.items() if known == member), label)
            self._active[same] = member
            drawn[same] = drawn.get(same, 0.0) + weight
        self._weights = _relative(drawn)

    @property
    @override
    def needs_stratified_batches(self) -> bool:
        """Whether a member does."""
        return any(member.needs_stratified_batches for member in self._active.values())

    @property
    @override
    def needs_fixed_batches(self) -> bool:
        """Whether a member does."""
        return any(member.needs_fixed_batches for member in self._active.values())

    @property
    @override
    def min_stages(self) -> int:
        """What the most demanding member asks for."""
        return max(member.min_stages for member in self._active.values())

    @property
    @override
    def weighs_examples(self) -> bool:
        """Whether all members do."""
        return all(member.weighs_examples for member in self._active.values())

    @property
    def probabilities(self) -> dict[str, float]:
        """How often each member is drawn; they sum to 1."""
        total = sum(self._weights.values())
        return {label: weight / total for label, weight in self._weights.items()}

    @override
    def canonical(self) -> Mixer:
        """A mixture of one is that one; what never happens is left out, and weights are relative to the largest."""
        if len(self._active) == 1 and self.repeats == 1:
            (only,) = self._active.values()
            return only.replace(**{**self.when_applied(), "applied": self.applied * only.applied}).simplest()
        per: Per = self.per if len(self._active) > 1 else "batch"
        return Mixture(
            members=self._active, weights=self._weights, per=per, repeats=self.repeats, **self.when_applied()
        )

    @override
    def check_data(self, *, height: int, width: int, num_classes: int) -> None:
        """Raises ValueError for what a member can't mix."""
        for member in self._active.values():
            member.check_data(height=height, width=width, num_classes=num_classes)

    @override
    def strength(self) -> float | None:
        """The members' mean; plain training counts as 0."""
        return self._mean({label: member.mean_strength() for label, member in self._active.items()})

    @override
    def nominal_strength(self) -> float | None:
        """The members' mean likewise."""
        return self._mean({label: member.mean_strength(nominal=True) for label, member in self._active.items()})

    def _mean(self, strengths: Mapping[str, float | None]) -> float | None:
        if all(strength is None for strength in strengths.values()):
            return None
        return sum(probability * (strengths[label] or 0.0) for label, probability in self.probabilities.items())

    @override
    def init(self, num_classes: int, *, device: torch.device, generator: Generator) -> State:
        """Every member's state before epoch 0."""
        return _joined(
            (label, member.init(num_classes, device=device, generator=generator))
            for label, member in self._active.items()
        )

    @override
    def begin(self, model: nn.Module, state: State, inputs: Tensor, *, generator: Generator) -> State:
        """What every member begins with."""
        return _joined(
            (label, member.begin(model, _of(label, state), inputs, generator=generator))
            for label, member in self._active.items()
        )

    @override
    def follow(self, model: nn.Module, state: State) -> State:
        """What every member takes from the network."""
        return _joined((label, member.follow(model, _of(label, state))) for label, member in self._active.items())

    @override
    def blend(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator
    ) -> MixedBatch:
        """What the member drawn made of each row; lam is [B] where there is a choice."""
        mixed = [
            member.mixed_batch(model, inputs, targets, _of(label, state), epoch=epoch, generator=generator)
            for label, member in self._active.items()
        ]
        result = mixed[0]
        if len(mixed) > 1:
            size = draw_size(self.per, inputs)
            uniform = torch.rand(size, dtype=torch.float64, device=inputs.device, generator=generator)
            for bound, made in zip(accumulate(self.probabilities.values()), mixed[1:], strict=False):
                result = select(uniform >= bound, made, result)
        return result

    @override
    def observe(self, state: State, mixed: MixedBatch, targets: Tensor, logits: Tensor) -> State:
        """Every member learns from the batch, whoever mixed it."""
        return _joined(
            (label, member.observe(_of(label, state), mixed, targets, logits)) for label, member in self._active.items()
        )

    @override
    def step(
        self,
        model: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        *,
        epoch: int,
        generator: Generator,
        loss: Loss,
    ) -> StepOutput:
        """Mix, forward and loss, `repeats` times over; logits and targets of all of them."""
        outputs = []
        for _ in range(self.repeats):
            output = super().step(model, inputs, targets, state, epoch=epoch, generator=generator, loss=loss)
            outputs.append(output)
            state = output.state
        if len(outputs) == 1:
            return outputs[0]
        return StepOutput(
            torch.stack([output.loss for output in outputs]).mean(),
            torch.cat([output.logits for output in outputs]),
            torch.cat([output.soft_targets for output in outputs]),
            state,
        )

    @override
    def end_epoch(self, state: State, *, epoch: int, generator: Generator) -> State:
        """Every member's state for epoch `epoch + 1`."""
        return _joined(
            (label, member.end_epoch(_of(label, state), epoch=epoch, generator=generator))
            for label, member in self._active.items()
        )

    @override
    def snapshot(self, state: State) -> dict[str, Tensor]:
        """What every member remembers."""
        return dict(_joined((label, member.snapshot(_of(label, state))) for label, member in self._active.items()))


def _relative(weights: Mapping[str, float]) -> dict[str, float]:
    """Over the largest, to twelve digits: 0.4 to 0.6 is 2 to 3."""
    largest = max(weights.values())
    return {label: float(f"{weight / largest:.12g}") for label, weight in weights.items()}


def _of(label: str, state: State) -> State:
    prefix = f"{label}."
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def _joined(states: Iterator[tuple[str, State]]) -> State:
    return {f"{label}.{key}": tensor for label, state in states for key, tensor in state.items()}
