"""Methods that learn how to mix: a block draws a mask from two images' features, and the trial's optimizer trains it.

Liu et al., ECCV 2022, arXiv:2103.13027 (AutoMix), section 4 and algorithm 1. Two mixtures are made of each batch. One
trains the network, and its mask gets no gradient. The other goes through a momentum encoder, whose weights get none, so
that all it trains is the block. The network has two heads, one for images as they are, one for mixed ones.

The block's parameters and the second head are tensors of the state that the optimizer trains; the encoder is one that
it does not. Which head is the network's own, that is evaluated and kept, is a setting.

Shapes: B batch, K classes, C channels, P = h w places of a map, H x W pixels.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from typing_extensions import override

from tune_mixup.loss import Loss
from tune_mixup.mixing.base import (
    Alpha,
    Blender,
    MixedBatch,
    Mixer,
    State,
    StepOutput,
    interpolate,
    mean_minor_share,
    sample_lam,
    take_rows,
)
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.features import check_forward
from tune_mixup.mixing.flat_weights import flat_weights, num_weights
from tune_mixup.mixing.mix_block import enlarge, mask_loss
from tune_mixup.mixing.momentum_encoder import averaged, encoded, head_logits, risen
from tune_mixup.mixing.saliency import evaluating

BLOCK, HEAD, ENCODER, STEPS = "block.", "head.", "encoder", "steps"
"""What the state calls the block's parameters, those of the second head, the encoder and the steps that it has seen."""


class Draws(NamedTuple):
    """What one step draws: lam float32 [2] and partners int64 [2, B]; the block's mixture first, then the network's."""

    lam: Tensor
    partner: Tensor


class Losses(NamedTuple):
    """The terms of the loss, each []: the network's on clean images and on its mixture, the encoder's, the mask's."""

    clean: Tensor
    mixed: Tensor
    encoder: Tensor
    mask: Tensor


class LearnedMixer(Blender):
    """A method with a block that learns masks; derived ones say what the block is made of."""

    in_state: ClassVar[frozenset[str]] = frozenset({"alpha", "mask_weight", "mask_margin", "lam_margin", "momentum"})
    smooth: ClassVar[bool]
    """Whether masks blend between the places of the map, or are made of blocks."""

    alpha: Alpha = 2.0
    """Both parameters of lam's Beta: >= 0, no unit. 0 gives lam = 1, that is plain training."""
    layer: int | None = Field(default=None, ge=1)
    """The stage of the network whose features the block sees, from 1; empty: the last but one."""
    head: Literal["mix", "one"] = "mix"
    """Which head is evaluated and kept: mix, the one that is trained on mixed images, or one, on images as they are."""
    mask_weight: float = Field(default=0.1, ge=0)
    """Weight of the mask's own loss: >= 0, no unit."""
    mask_margin: float = Field(default=0.1, ge=0, le=1)
    """How far the masks' mean may be from lam for nothing: 0 to 1."""
    lam_margin: float = Field(default=0.08, ge=0, le=0.5)
    """Where lam or 1 - lam is at most this, the network's mixture is plain mixup: 0 to 0.5."""
    momentum: float = Field(default=0.999, ge=0, lt=1)
    """Share of the encoder that stays in a step, 0 to below 1. 0 is the network as it is."""
    momentum_steps: int | None = Field(default=None, ge=1)
    """Steps over which the momentum rises to 0.999999 along a cosine, as published over all of training: at least 1;
    empty: it stays."""

    @property
    @override
    def min_stages(self) -> int:
        """The layer; the last but one is where it is."""
        return self.layer or 1

    @override
    def canonical(self) -> Mixer:
        """Without mixing this is plain training."""
        return Erm() if self.alpha == 0 else self

    @override
    def strength(self) -> float | None:
        """By the law of lam, which labels are mixed with, whatever masks show."""
        return mean_minor_share(self.alpha)

    @abstractmethod
    def first_block(self, channels: int, *, generator: Generator) -> dict[str, Tensor]:
        """The block's first parameters by name, float32 on the CPU, for features of so many channels."""

    @abstractmethod
    def partner_logits(self, block: Mapping[str, Tensor], features: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
        """The logit of the partner's weight at each place, float32 [B, P], for features float32 [B, P, C].

        `partner` int64 [B], `lam` [] is the weight that the own image should have.
        """

    def mask_loss(self, partner_mask: Tensor, lam: Tensor, *, margin: float | Tensor) -> Tensor:
        """What a mask [B, H, W] costs that should leave the own image the share `lam` []."""
        return mask_loss(partner_mask, lam, margin=margin)

    @override
    def begin(self, model: nn.Module, state: State, inputs: Tensor, *, generator: Generator) -> State:
        """A block for the network's features, a second head like its own, and the encoder like itself.

        Raises ValueError for features that are no maps, or maps that no mask can be made of.
        """
        check_forward(model, "until", method=self.name)
        depth = self._depth(model)
        with torch.no_grad(), evaluating(model):
            features = model(inputs, until=depth)
        self._check_map(features, inputs, depth)
        first = self.first_block(features.shape[1], generator=generator)
        head = model.get_submodule("head")
        begun = {
            **{BLOCK + name: nn.Parameter(tensor.to(inputs.device)) for name, tensor in first.items()},
            **{HEAD + name: nn.Parameter(tensor.detach().clone()) for name, tensor in head.named_parameters()},
        }
        seen = {} if self.momentum_steps is None else {STEPS: torch.zeros_like(inputs[0, 0, 0, 0]).double()}
        return {**state, **begun, **seen, ENCODER: self._now(model, begun)}

    def _check_map(self, features: Tensor, inputs: Tensor, depth: int) -> None:
        image, shape = tuple(inputs.shape[2:]), tuple(features.shape[1:])
        fits = features.ndim == 4 and all(place <= pixel for place, pixel in zip(shape[1:], image, strict=True))
        if not fits or features[0, 0].numel() < 2:
            raise ValueError(
                f"mixing.layer: the features after stage {depth} are {list(shape)} for images of {image[0]} x "
                f"{image[1]} pixels, {self.name} needs maps [channels, height, width] of at least two places and at "
                "most one for each pixel; set mixing.layer to another stage, or take larger images or another model"
            )

    @override
    def follow(self, model: nn.Module, state: State) -> State:
        """With the encoder a step nearer to the network. The first step finds them equal."""
        momentum = self.live("momentum", state)
        seen = {}
        if self.momentum_steps is not None:
            before = (state[STEPS] - 1).clamp_min(0)  # the step whose outcome the network is now
            momentum = risen(momentum, before, self.momentum_steps)
            seen = {STEPS: state[STEPS] + 1}
        return {**state, **seen, ENCODER: averaged(state[ENCODER], self._now(model, state), momentum)}

    @override
    def blend(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator
    ) -> MixedBatch:
        """The network's mixture of inputs [B, C, H, W]; lam is what targets [B, K] are blended with, not the mask's."""
        draws = self.draw(targets, state, generator=generator)
        return self._for_network(self._features(model, inputs, state), inputs, targets, state, draws)

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
        """The sum of all terms; logits and targets are those of the network's mixture."""
        state = self.follow(model, state)
        draws = self.draw(targets, state, generator=generator)
        terms, logits, soft_targets = self.losses(model, inputs, targets, state, draws=draws, loss=loss)
        return StepOutput(terms.clean + terms.mixed + terms.encoder + terms.mask, logits, soft_targets, state)

    def draw(self, targets: Tensor, state: State, *, generator: Generator) -> Draws:
        """Two lams for the batch, and two permutations of it."""
        device = targets.device
        lam = sample_lam(self.live("alpha", state), (2,), device=device, generator=generator)
        orders = [torch.randperm(len(targets), device=device, generator=generator) for _ in range(2)]
        return Draws(lam, torch.stack(orders))

    def losses(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, draws: Draws, loss: Loss
    ) -> tuple[Losses, Tensor, Tensor]:
        """The terms, and logits and targets [B, K] of the network's mixture. Arguments as those of `step`."""
        features = self._features(model, inputs, state)
        lam, partner = draws.lam[0], draws.partner[0]
        mask = self.partner_mask(features, inputs, state, partner, lam)
        for_block = self._mixed(inputs, targets, mask, partner, lam)
        encoder = loss(self._encoder_logits(model, for_block.inputs, state), for_block.soft_targets)
        cost = self.mask_loss(mask, lam, margin=self.live("mask_margin", state))
        for_network = self._for_network(features, inputs, targets, state, draws)
        clean = loss(self._logits(model, inputs, state, own=self.head == "one"), targets)
        logits = self._logits(model, for_network.inputs, state, own=self.head == "mix")
        mixed = loss(logits, for_network.soft_targets)
        weight = self.live("mask_weight", state)
        return Losses(clean, mixed, encoder, weight * cost), logits, for_network.soft_targets

    def partner_mask(self, features: Tensor, inputs: Tensor, state: State, partner: Tensor, lam: Tensor) -> Tensor:
        """Each pixel's weight of the partner, float32 [B, H, W], by features [B, C, h, w] of inputs [B, C, H, W]."""
        block = {name.removeprefix(BLOCK): tensor for name, tensor in state.items() if name.startswith(BLOCK)}
        with torch.autocast(features.device.type, enabled=False):  # a mask's mean must not depend on the precision
            places = features.float().flatten(2).mT
            logits = self.partner_logits(block, places, partner, lam).view(len(places), *features.shape[2:])
            height, width = inputs.shape[2:]
            return enlarge(logits, height=height, width=width, smooth=self.smooth).sigmoid()

    @torch.no_grad()
    def _for_network(self, features: Tensor, inputs: Tensor, targets: Tensor, state: State, draws: Draws) -> MixedBatch:
        lam, partner, margin = draws.lam[1], draws.partner[1], self.live("lam_margin", state)
        mask = self.partner_mask(features, inputs, state, partner, lam)
        mask = torch.where(torch.minimum(lam, 1 - lam) <= margin, 1 - lam, mask)
        return self._mixed(inputs, targets, mask, partner, lam)

    def _mixed(self, inputs: Tensor, targets: Tensor, mask: Tensor, partner: Tensor, lam: Tensor) -> MixedBatch:
        own = 1 - mask[:, None]
        mixed = interpolate(inputs, take_rows(inputs, partner), own)
        return MixedBatch(mixed, interpolate(targets, targets[partner], lam), lam, partner, own)

    # The passes

    def _depth(self, model: nn.Module) -> int:
        return self.layer or max(1, _num_stages(model) - 1)

    @torch.no_grad()
    def _features(self, model: nn.Module, inputs: Tensor, state: State) -> Tensor:
        """What the encoder sees in the images: [B, C, h, w]."""
        return encoded(model, state[ENCODER][: num_weights(model)], inputs, until=self._depth(model))

    def _encoder_logits(self, model: nn.Module, inputs: Tensor, state: State) -> Tensor:
        """Of the encoder's head for mixed images; only the images may get a gradient."""
        weights = state[ENCODER][: num_weights(model)]
        if self.head == "mix":
            return encoded(model, weights, inputs)
        head = model.get_submodule("head")
        names, shapes = zip(*((name, tensor.shape) for name, tensor in head.named_parameters()), strict=True)
        parts = torch.split(state[ENCODER][num_weights(model) :], [shape.numel() for shape in shapes])
        parameters = {name: part.view(shape) for name, shape, part in zip(names, shapes, parts, strict=True)}
        return head_logits(head, parameters, encoded(model, weights, inputs, until=_num_stages(model)))

    def _logits(self, model: nn.Module, inputs: Tensor, state: State, *, own: bool) -> Tensor:
        """Of the network by its own head, or by the second one."""
        if own:
            logits: Tensor = model(inputs)
            return logits
        second = {name.removeprefix(HEAD): tensor for name, tensor in state.items() if name.startswith(HEAD)}
        return head_logits(model.get_submodule("head"), second, model(inputs, until=_num_stages(model)))

    def _now(self, model: nn.Module, state: State) -> Tensor:
        """What the encoder averages: the network's weights, and behind them those of the head for mixed images."""
        second = [tensor.detach().flatten() for name, tensor in state.items() if name.startswith(HEAD)]
        return torch.cat([flat_weights(model), *(second if self.head == "one" else [])])


def _num_stages(model: nn.Module) -> int:
    return len(list(model.get_submodule("stages").children()))
