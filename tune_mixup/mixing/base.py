"""What a mixer is: the only thing the trainer knows about mixing methods.

A mixer is its own settings: a frozen `Schema` whose `name` is its key in `MIXERS`. Whatever changes while training
lives in a state that goes in and comes out; arguments are never changed.

Shapes: B batch, K classes, C channels, H x W pixels. `lam` weighs the row's *own* example everywhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple, final

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

from tune_mixup.loss import Loss
from tune_mixup.mixing.features import check_forward
from tune_mixup.mixing.lam import Alpha as Alpha
from tune_mixup.mixing.lam import Per as Per
from tune_mixup.mixing.lam import draw_size as draw_size
from tune_mixup.mixing.lam import mean_minor_share as mean_minor_share
from tune_mixup.mixing.lam import sample_lam as sample_lam
from tune_mixup.mixing.mixed_batch import Blend as Blend
from tune_mixup.mixing.mixed_batch import MixedBatch as MixedBatch
from tune_mixup.mixing.needs import Needs
from tune_mixup.mixing.rows import forward as forward
from tune_mixup.mixing.rows import interpolate as interpolate
from tune_mixup.mixing.rows import mix_rows as mix_rows
from tune_mixup.mixing.rows import take_rows as take_rows
from tune_mixup.mixing.selection import select, unmixed

State = Mapping[str, Tensor]
"""A mixer's state: named tensors, saved with every checkpoint. Empty for methods that remember nothing.
One that requires a gradient is a parameter, which the optimizer trains beside the network's; steps give it back as is.
"""


class StepOutput(NamedTuple):
    """One training step before the backward pass: loss [], logits [B, K], soft_targets [B, K] and the next state.

    A method that goes through the batch R times has R B rows.
    """

    loss: Tensor
    logits: Tensor
    soft_targets: Tensor
    state: State


class Mixer(Needs, ABC):
    """A mixing method. Final classes set `name: Literal[...]`; nothing else of the project changes with a new one."""

    between_epochs: ClassVar[frozenset[str]] = frozenset()
    """Settings that no step knows: what follows from them is in the state."""
    in_state: ClassVar[frozenset[str]] = frozenset()
    """Numbers that a step reads from the state, by `live`, so that one captured step serves all their values."""

    @property
    def capturable(self) -> bool:
        """Whether a CUDA graph can have the step: the same kernels in any epoch, on tensors of the same sizes."""
        return True

    @property
    def step_applies(self) -> bool:
        """Whether `step` itself leaves batches as they came where `applied` says so, before the network sees them."""
        return False

    def canonical(self) -> "Mixer":
        """The simplest mixer that trains exactly like this one; degenerate settings then share one identity."""
        return self

    @final
    def simplest(self) -> "Mixer":
        """`canonical`, or plain training where no batch is ever mixed: what is trained, and has the identity."""
        from tune_mixup.mixing.erm import Erm  # here, because it is made of this module's parts

        return Erm() if self.applied == 0 else self.canonical()

    def check_data(self, *, height: int, width: int, num_classes: int) -> None:
        """Before all else, raises ValueError for sizes of images and numbers of classes that the method can't mix."""

    def strength(self) -> float | None:
        """How strongly a batch is mixed that is: E[min(lam, 1 - lam)], 0 to 1/2.

        lam is what labels are mixed with, on images of 32 x 32 pixels where their size matters (`even_draws`). From the
        settings alone. None for a method that mixes nothing, or whose lam the settings do not tell.
        """
        return None

    def nominal_strength(self) -> float | None:
        """`strength` by the lam that is drawn, whatever boxes leave of it: the strata of sweeps of before go by it."""
        return self.strength()

    @final
    def mean_strength(self, *, nominal: bool = False) -> float | None:
        """The mean of `strength`, or of `nominal_strength`, over all batches of an epoch with mixing."""
        strength = self.nominal_strength() if nominal else self.strength()
        return None if strength is None else strength * self.applied

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
        live = {name for name in self._read_live() if getattr(self, name)}
        return self.between_epochs | {"warmup_epochs", "cooldown_epochs"} | live

    @classmethod
    def _read_live(cls) -> frozenset[str]:
        """Settings `in_state`, where what reads them is no newer than the class that names them: it may not know."""
        order = list(cls.__mro__)
        named = next(place for place, kind in enumerate(order) if "in_state" in vars(kind))
        readers = ("mix", "blend", "step", "init")
        changed = any(reader in vars(kind) for kind in order[:named] for reader in readers)
        return frozenset() if changed else cls.in_state

    def begin(self, model: nn.Module, state: State, inputs: Tensor, *, generator: Generator) -> State:
        """The state with which training begins, from that of `init` and a look at the network's first weights.

        Here a method makes its parameters. `inputs` float [1, C, H, W] has the shape of an image, and no content;
        `generator` is on the CPU. Raises ValueError for a network or images that the method can't work with.
        """
        if self.min_stages:
            check_forward(model, "edits", method=self.name)
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

    def take_step(
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
        """`step` for the share `applied` of the batches, `plain_step` for the others: what trains an epoch with mixing.

        Both are made where there is a choice, which is drawn behind all that `step` draws.
        """
        mixed = self.step(model, inputs, targets, state, epoch=epoch, generator=generator, loss=loss)
        if self.applied == 1 or self.step_applies:
            return mixed
        chosen = self.draw_applied((), device=inputs.device, generator=generator)
        plain = self.plain_step(model, inputs, targets, mixed.state, loss=loss)
        times = (len(mixed.logits) // len(inputs), 1)
        return StepOutput(
            torch.where(chosen, mixed.loss, plain.loss),
            torch.where(chosen, mixed.logits, plain.logits.repeat(times)),
            torch.where(chosen, mixed.soft_targets, plain.soft_targets.repeat(times)),
            mixed.state,
        )

    def plain_step(self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, loss: Loss) -> StepOutput:
        """The step of an epoch without mixing: that of plain training, and what the state takes from the network."""
        state = self.follow(model, state)
        logits = model(inputs)
        return StepOutput(loss(logits, targets), logits, targets, state)

    def end_epoch(self, state: State, *, epoch: int, generator: Generator) -> State:
        """The state for epoch `epoch + 1`. `generator` is on the CPU."""
        return state

    def snapshot(self, state: State) -> dict[str, Tensor]:
        """What is worth keeping of the state for each epoch, on the CPU; mostly nothing. Numbers go into its report."""
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

    draws_applied: ClassVar[bool] = False
    """Whether `blend` itself draws what is mixed, among its other draws, as methods did before all could."""

    @property
    @override
    def step_applies(self) -> bool:
        return True

    @property
    def trains_beside(self) -> str:
        """The setting that has `step` train on more than the mixed batch, which a mixture does not; empty for none."""
        return ""

    def mixed_batch(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator
    ) -> MixedBatch:
        """What `blend` makes of the share `applied` of the batches, and the others as they came: what is trained on."""
        mixed = self.blend(model, inputs, targets, state, epoch=epoch, generator=generator)
        if self.applied == 1 or self.draws_applied:
            return mixed
        chosen = self.draw_applied((), device=inputs.device, generator=generator)
        return select(chosen, mixed, unmixed(inputs, targets))

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
        mixed = self.mixed_batch(model, inputs, targets, state, epoch=epoch, generator=generator)
        logits = forward(model, mixed)
        state = self.observe(state, mixed, targets, logits.detach())
        return StepOutput(loss(logits, mixed.soft_targets), logits, mixed.soft_targets, state)

    @override
    def plain_step(self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, loss: Loss) -> StepOutput:
        """That of plain training; the state learns from the outcome as from that of mixed batches."""
        output = super().plain_step(model, inputs, targets, state, loss=loss)
        state = self.observe(output.state, unmixed(inputs, targets), targets, output.logits.detach())
        return output._replace(state=state)


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
