"""What a mixer is: the only thing the trainer knows about mixing methods.

A mixer is its own settings: a frozen `Schema` whose `name` is its key in `MIXERS`. Whatever changes while training
lives in a state that goes in and comes out; arguments are never changed.

Shapes: B batch, K classes, C channels, H x W pixels. `lam` weighs the row's *own* example everywhere.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import AfterValidator, Field
from torch import Generator, Tensor, nn
from typing_extensions import override

from tune_mixup.loss import Loss
from tune_mixup.mixing.mixed_batch import Blend as Blend
from tune_mixup.mixing.mixed_batch import MixedBatch as MixedBatch
from tune_mixup.parts import Part
from tune_mixup.torch_internals import standard_gamma

State = Mapping[str, Tensor]
"""A mixer's state: named tensors, saved with every checkpoint. Empty for methods that remember nothing."""
SMALLEST_ALPHA = 1e-3
"""Below it lam is 0 or 1 but for one draw in fifty: swapping images is no mixing."""


def _drawable(alpha: float) -> float:
    if 0 < alpha < SMALLEST_ALPHA:
        raise ValueError(f"got {alpha}, must be 0 (plain training) or at least {SMALLEST_ALPHA}; lam would be 0 or 1")
    return alpha


Alpha = Annotated[float, Field(ge=0), AfterValidator(_drawable)]
"""Both parameters of lam's Beta distribution: 0 (no mixing), or from `SMALLEST_ALPHA` up; no unit."""
Per = Literal["batch", "sample"]
"""What gets its own lam, and its own mask where there is one."""


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


class BatchMixer(Mixer):
    """A method that mixes the batch once: `blend` says how, and `observe` may learn from the outcome."""

    @property
    def trains_beside(self) -> str:
        """The setting that has `step` train on more than the mixed batch, which a mixture does not; empty for none."""
        return ""

    @abstractmethod
    def blend(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator
    ) -> MixedBatch:
        """The mixed batch, arguments as in `step`; `model` is for methods that look where it looks."""

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


def sample_lam(
    alpha: float | Tensor, size: tuple[int, ...] = (), *, device: torch.device, generator: Generator
) -> Tensor:
    """lam ~ Beta(alpha, alpha), float32 of shape `size`; alpha = 0 gives 1, that is no mixing.

    `alpha` is a number, or float64 [] on the device and above 0; the draws are the same.

    Drawn as the logistic of a difference of log-gammas, with log Gamma(a) = log Gamma(a + 1) + log(U) / a, so that a
    small alpha neither underflows nor gives 0/0. No value is read on the host.
    """
    if not isinstance(alpha, Tensor) and alpha == 0:
        return torch.ones(size, device=device)
    shape = torch.ones((2, *size), dtype=torch.float64, device=device) + alpha
    uniform = torch.rand((2, *size), dtype=torch.float64, device=device, generator=generator)
    log_gamma = standard_gamma(shape, generator=generator).log()
    log_uniform = (1 - uniform).log()
    # The difference before the division: the quotients overflow for the smallest alpha, and inf - inf has no value.
    return torch.sigmoid(log_gamma[0] - log_gamma[1] + (log_uniform[0] - log_uniform[1]) / alpha).float()


def mean_minor_share(alpha: float) -> float:
    """E[min(lam, 1 - lam)] for lam ~ Beta(alpha, alpha): 1/2 - 2^(-2 alpha) / (alpha B(alpha, alpha)), in [0, 1/2).

    Written with the ratio Gamma(alpha + 1/2) / (sqrt(pi) Gamma(alpha + 1)), which neither overflows nor divides by 0.
    """
    if alpha < 1e6:
        log_ratio = math.lgamma(alpha + 0.5) - math.lgamma(alpha + 1) - math.log(math.pi) / 2
    else:  # there the difference of the two is all rounding
        log_ratio = -math.log(math.pi * (alpha + 0.25)) / 2
    return -math.expm1(log_ratio) / 2


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
