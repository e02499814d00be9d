"""What a mixer is: the only thing the trainer knows about mixing methods.

A mixer is its own settings: a frozen `Schema` whose `name` is its key in `MIXERS`. Whatever changes while training
lives in a state that goes in and comes out; arguments are never changed.

Shapes: B batch, K classes, C channels, H x W pixels. `lam` weighs the row's *own* example everywhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

from tune_mixup.loss import Loss
from tune_mixup.mixing.lam import Alpha as Alpha
from tune_mixup.mixing.lam import mean_minor_share as mean_minor_share
from tune_mixup.mixing.lam import sample_lam as sample_lam
from tune_mixup.parts import Part

State = Mapping[str, Tensor]
"""A mixer's state: named tensors, saved with every checkpoint. Empty for methods that remember nothing.

A tensor that requires a gradient is a parameter of the method: the trial's optimizer trains it, beside the network's,
and steps give it back as it came in.
"""
Per = Literal["batch", "sample"]
"""What gets its own lam, and its own mask where there is one."""
Blend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From own rows [B, ...], other rows and lam [] or [B] to blended rows; exactly the own ones where lam is 1."""


class MixedBatch(NamedTuple):
    """A mixed batch: inputs float [B, C, H, W], soft_targets float [B, K], lam [] or [B] in [0, 1], partner [B].

    `mask` float32 [1 or B, 1, H, W] in [0, 1]: each pixel's weight of the own image, where a method mixes by pixel.
    `hidden` depth -> float32 [] or [B]: the weight of the own features after that stage of the network, where a method
    mixes features; the partner's have the rest. `blends` depth -> how they are blended, if not by `interpolate`.
    """

    inputs: Tensor
    soft_targets: Tensor
    lam: Tensor
    partner: Tensor
    mask: Tensor | None = None
    hidden: Mapping[int, Tensor] = MappingProxyType({})
    blends: Mapping[int, Blend] = MappingProxyType({})


class StepOutput(NamedTuple):
    """One training step before the backward pass: loss [], logits [B, K], soft_targets [B, K] and the next state.

    A method that goes through the batch R times has R B rows.
    """

    loss: Tensor
    logits: Tensor
    soft_targets: Tensor
    state: State


class Mixer(Part, ABC):
    """A mixing method. Final classes set `name: Literal[...]`; nothing else of the project changes with a new one."""

    between_epochs: ClassVar[frozenset[str]] = frozenset()
    """Settings that no step knows: what follows from them is in the state."""
    in_state: ClassVar[frozenset[str]] = frozenset()
    """Numbers that a step reads from the state, by `live`, so that one captured step serves all their values."""

    @property
    def needs_stratified_batches(self) -> bool:
        """Whether every batch must hold each class equally often (`data.batches = stratified`, or `fixed`)."""
        return False

    @property
    def needs_fixed_batches(self) -> bool:
        """Whether a place in the batch must always hold the same class (`data.batches = fixed`)."""
        return False

    @property
    def capturable(self) -> bool:
        """Whether a CUDA graph can have the step: the same kernels in any epoch, on tensors of the same sizes."""
        return True

    @property
    def min_stages(self) -> int:
        """How many stages the network must have for the features that are mixed; 0 for methods that mix inputs."""
        return 0

    def canonical(self) -> "Mixer":
        """The simplest mixer that trains exactly like this one; degenerate settings then share one identity."""
        return self

    def check_data(self, *, height: int, width: int, num_classes: int) -> None:
        """Before all else, raises ValueError for sizes of images and numbers of classes that the method can't mix."""

    def strength(self) -> float | None:
        """How strongly the batches are mixed: E[min(lam, 1 - lam)] times the share that is mixed, 0 to 1/2.

        lam is what labels are mixed with, on images of 32 x 32 pixels where their size matters (`even_draws`). From the
        settings alone. None for a method that mixes nothing, or whose lam the settings do not tell.
        """
        return None

    def nominal_strength(self) -> float | None:
        """`strength` by the lam that is drawn, whatever boxes leave of it: the strata of sweeps of before go by it."""
        return self.strength()

    def init(self, num_classes: int, *, device: torch.device, generator: Generator) -> State:
        """The state before epoch 0: the settings `in_state`, each as float64 []. `generator` is on the CPU.

        A setting of 0 is left out: 0 turns the mixing off, which is another structure.
        """
        numbers = {name: getattr(self, name) for name in sorted(self.in_state)}
        return {
            name: torch.tensor(number, dtype=torch.float64, device=device) for name, number in numbers.items() if number
        }

    def live(self, name: str, state: State) -> float | Tensor:
        """The value of a setting `in_state`: the state's, or the setting's own where the state has none."""
        setting: float = getattr(self, name)
        return state.get(name, setting)

    @property
    @override
    def changeable(self) -> frozenset[str]:
        return self.between_epochs | {name for name in self._read_live() if getattr(self, name)}

    @classmethod
    def _read_live(cls) -> frozenset[str]:
        """The settings `in_state` where the methods that read them are those of the class that names them, or older.

        A class derived from that one may go by the setting itself.
        """
        order = list(cls.__mro__)
        named = next(place for place, kind in enumerate(order) if "in_state" in vars(kind))
        readers = ("mix", "blend", "step", "init")
        changed = any(reader in vars(kind) for kind in order[:named] for reader in readers)
        return frozenset() if changed else cls.in_state

    def begin(self, model: nn.Module, state: State, inputs: Tensor, *, generator: Generator) -> State:
        """The state with which training begins, from that of `init` and a look at the network's first weights.

        Here a method makes its parameters, which may be as many as features have channels: `inputs` float
        [1, C, H, W] has the shape of an image, and no content. `generator` is on the CPU. Raises ValueError for a
        network or images that the method can't work with.
        """
        return self.follow(model, state)

    def follow(self, model: nn.Module, state: State) -> State:
        """The state with what it has of the network's weights as they are now; called on the first ones, too."""
        return state

    @abstractmethod
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
        """Forward pass and loss.

        `model` is a `StagedNetwork`, or anything that maps inputs to logits where `min_stages` is 0. `inputs` float
        [B, C, H, W], normalised; `targets` float [B, K], rows sum to 1; `epoch` counts from 0; `generator` is on the
        device of `inputs`. Reads no value on the host, so the device never waits.
        """

    def end_epoch(self, state: State, *, epoch: int, generator: Generator) -> State:
        """The state for epoch `epoch + 1`. `generator` is on the CPU."""
        return state

    def snapshot(self, state: State) -> dict[str, Tensor]:
        """What is worth keeping of the state for each epoch (a confusion matrix), on the CPU; mostly nothing."""
        return {}


class Blender(Mixer):
    """A method whose mixed batches can be looked at."""

    @abstractmethod
    def blend(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator
    ) -> MixedBatch:
        """The mixed batch, arguments as in `step`; `model` is for methods that look where it looks."""


class BatchMixer(Blender):
    """A method that mixes the batch once: `blend` says how, and `observe` may learn from the outcome."""

    def observe(self, state: State, mixed: MixedBatch, targets: Tensor, logits: Tensor) -> State:
        """The state after the step's forward pass (`logits` [B, K], detached)."""
        return state

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
        state = self.follow(model, state)
        mixed = self.blend(model, inputs, targets, state, epoch=epoch, generator=generator)
        logits = forward(model, mixed)
        state = self.observe(state, mixed, targets, logits.detach())
        return StepOutput(loss(logits, mixed.soft_targets), logits, mixed.soft_targets, state)


class InputMixer(BatchMixer):
    """A method that mixes inputs and targets without a look at the model: only `mix` is left to say."""

    @abstractmethod
    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        """The mixed batch; pure, shapes as in `step`."""

    @override
    def blend(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator
    ) -> MixedBatch:
        return self.mix(inputs, targets, state, epoch=epoch, generator=generator)


def forward(model: nn.Module, mixed: MixedBatch) -> Tensor:
    """The logits [B, K] of a mixed batch, with its features mixed where it says so."""
    edits = {
        depth: partial(mix_rows, mixed.partner, lam, blend=mixed.blends.get(depth, interpolate))
        for depth, lam in mixed.hidden.items()
    }
    logits: Tensor = model(mixed.inputs, edits=edits) if edits else model(mixed.inputs)
    return logits


def draw_size(per: Per, inputs: Tensor) -> tuple[int, ...]:
    """The shape of what is drawn once per batch, (), or once per sample, (B,), for inputs [B, ...]."""
    return () if per == "batch" else (len(inputs),)


def interpolate(own: Tensor, other: Tensor, lam: Tensor) -> Tensor:
    """lam * own + (1 - lam) * other for `own`, `other` [B, ...]; exactly `own` where lam is 1.

    `lam` is [], [B], or a mask of as many dimensions as `own`.
    """
    weight = lam.to(own.dtype).reshape(lam.shape + (1,) * (own.ndim - lam.ndim if lam.ndim else 0))
    return own * weight + other * (1 - weight)


def mix_rows(partner: Tensor, lam: Tensor, rows: Tensor, *, blend: Blend = interpolate) -> Tensor:
    """`rows` [B, ...] blended with those of their partners, int64 [B]; lam as in `interpolate`."""
    return blend(rows, take_rows(rows, partner), lam)


def take_rows(rows: Tensor, index: Tensor) -> Tensor:
    """The rows `index` int64 [B] of `rows` [B, ...], in the memory layout that `rows` have, and so is the gradient.

    Indexed as they are, channels-last rows and their gradient would come back in the other layout, and each layer
    behind would have to convert them.
    """
    if rows.ndim == 4 and not rows.is_contiguous() and rows.is_contiguous(memory_format=torch.channels_last):
        return rows.permute(0, 2, 3, 1)[index].permute(0, 3, 1, 2)
    return rows[index]
