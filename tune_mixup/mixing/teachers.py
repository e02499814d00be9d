"""Teachers: networks that say where an image draws the eye, and the settings that say which.

A teacher's weights are the mixer's state: saved with every checkpoint, on the device of training, and in its precision
when they are used. The network that is trained lends its layers, so that a teacher has the same architecture, unless
it brings a network of its own.

Shapes: B batch, C channels, H x W pixels, h x w places of a map.
"""

from abc import ABC, abstractmethod
from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from typing_extensions import override

from tune_mixup.mixing.base import State
from tune_mixup.mixing.features import check_forward
from tune_mixup.mixing.flat_weights import flat_weights, named_weights, num_weights
from tune_mixup.mixing.saliency import evaluating
from tune_mixup.parts import Part, PartOf

WEIGHTS = "teacher"
"""What the weights are called in the state."""


class Teacher(Part, ABC):
    """Whose attention is followed. A class that keeps no `WEIGHTS` overrides `attention` as well, and `check`."""

    layer: int | None = Field(default=None, ge=1)
    """The stage of the network whose features are looked at, from 1; empty: the last one with more than one place."""

    def check(self, model: nn.Module, *, method: str) -> None:
        """Raises ValueError for a network, lent to the teacher, whose features `method` can't look at."""
        check_forward(model, "edits", method=method)

    @abstractmethod
    def follow(self, model: nn.Module, state: State) -> State:
        """The state with the teacher in it as it should be now; called on the first weights, then in every step.

        `model` is the network that is trained, whose weights no gradient may reach. No host sync after the first call.
        """

    def attention(self, model: nn.Module, images: Tensor, state: State) -> Tensor:
        """How much each place of images [B, C, H, W] draws the eye: float32 [B, h, w], no gradients, no host sync."""
        return attention_by(model, state[WEIGHTS], images, layer=self.layer)


class EmaTeacher(Teacher):
    """The network that is trained, averaged over its last steps."""

    name: Literal["ema"] = "ema"
    momentum: float = Field(default=0.99, ge=0, lt=1)
    """Share of the average that stays in a step, 0 to below 1; half of it is gone after 69 steps of 0.99, 693 of 0.999.
    0 asks the network as it is."""

    @override
    def follow(self, model: nn.Module, state: State) -> State:
        """A step nearer to the network."""
        now = flat_weights(model)
        before = state.get(WEIGHTS)
        return {**state, WEIGHTS: now if before is None else torch.lerp(now, before, self.momentum)}


TEACHERS: dict[str, type[Teacher]] = {"ema": EmaTeacher}

AnyTeacher = Annotated[Teacher, PartOf(TEACHERS, "a teacher")]


def attention_by(model: nn.Module, weights: Tensor, images: Tensor, *, layer: int | None) -> Tensor:
    """The mean over channels of the features that a network with these weights has of images, float32 [B, h, w].

    `weights` [P] are `flat_weights` of a network like `model`, which is left as it is and gets no gradient. Evaluated
    without dropout and with running statistics. The features are those after stage `layer`, or after the last stage
    that leaves more than one place; the images themselves where there is none.
    Raises ValueError for weights of another network, and where there is no such stage.
    """
    num_stages = len(list(model.get_submodule("stages").children()))
    depths = range(1, num_stages + 1) if layer is None else [layer]
    seen: dict[int, Tensor] = {}
    edits = {depth: partial(_see, seen, depth) for depth in depths}
    if len(weights) != num_weights(model):
        raise ValueError(
            f"mixing.teacher: got a network of {len(weights):,} weights and statistics, the one that is trained has "
            f"{num_weights(model):,}; a teacher must have the same architecture, with as many classes, or a network of "
            "its own"
        )
    with torch.no_grad(), evaluating(model):
        functional_call(model, named_weights(model, weights), (images,), {"edits": edits})
    maps = [features for features in seen.values() if features.ndim == 4 and features[0, 0].numel() > 1]
    return (maps[-1] if maps else images).detach().float().mean(1)


def _see(seen: dict[int, Tensor], depth: int, features: Tensor) -> Tensor:
    # A copy, for the layer behind may write its result over the features.
    seen[depth] = features.clone()
    return features
