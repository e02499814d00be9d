"""What a model is: settings that build a network of a stem, stages and a head.

Shapes: B batch, C channels, H x W pixels, K classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from tune_mixup.parts import Part


class StagedNetwork(nn.Module):
    """Classifier cut at the places where features may be mixed: `head(stages[-1](... stages[0](stem(x))))`."""

    def __init__(self, stem: nn.Module, stages: list[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(stages)
        self.head = head

    @override
    def forward(
        self,
        inputs: Tensor,
        *,
        edits: Mapping[int, Callable[[Tensor], Tensor]] | None = None,
        until: int | None = None,
    ) -> Tensor:
        """Logits [B, K] of inputs float [B, C, H, W], or the features after stage `until`, counted from 1.

        The features after stage d (counted from 1; 0 is the input itself) are replaced by `edits[d](features)`, which
        is how methods that mix hidden layers reach them. An edit must not write into its argument. Raises ValueError
        if there is no such stage.
        """
        edits = edits or {}
        for depth in edits:
            if not 0 <= depth <= len(self.stages):
                raise ValueError(
                    f"an edit after stage {depth}; the network has stages 1 to {len(self.stages)}, and 0 is its input"
                )
        if until is not None and not 1 <= until <= len(self.stages):
            raise ValueError(f"features after stage {until}; the network has stages 1 to {len(self.stages)}")
        hidden: Tensor = self.stem(edits[0](inputs) if 0 in edits else inputs)
        for depth, stage in enumerate(self.stages, start=1):
            hidden = stage(hidden)
            if depth in edits:
                hidden = edits[depth](hidden)
            if depth == until:
                return hidden
        logits: Tensor = self.head(hidden)
        return logits


class Model(Part, ABC):
    """Settings of an architecture; `name` is its key in `MODELS`."""

    min_side: ClassVar[int]
    """The smallest height and width that the network is meant for, in pixels.

    At this size the last layers may see one pixel per image; batch norm then needs two images to train on.
    """

    num_stages: ClassVar[int]
    """Stages of the network: how many places there are, beside the input, where features can be mixed."""

    num_classes: int | None = Field(default=None, ge=2)
    """Outputs of the classifier: at least as many as the data has classes; empty takes the data's number."""

    @abstractmethod
    def build(self, *, channels: int, num_classes: int) -> StagedNetwork:
        """A freshly initialised network; draws from torch's global generator, which the trainer seeds around it.

        So does dropout, in the networks that have it, whenever they run in training mode.
        """

    def check_size(self, height: int, width: int) -> None:
        """Raises ValueError for images of fewer than `min_side` pixels along a side."""
        if min(height, width) < self.min_side:
            raise ValueError(
                f"the images are {height} x {width} pixels, model {self.name} needs at least {self.min_side} along "
                f"each side; resize them or take a smaller model such as tiny_resnet"
            )

    def outputs(self, data_classes: int) -> int:
        """How many outputs to build for data of `data_classes` classes. Raises ValueError if the setting is too low."""
        if self.num_classes is None:
            return data_classes
        if self.num_classes < data_classes:
            raise ValueError(
                f"the data has {data_classes} classes, model.num_classes is {self.num_classes}; "
                f"leave it empty or set it to at least {data_classes}"
            )
        return self.num_classes


def pooled_linear(features: int, num_classes: int) -> nn.Sequential:
    """The usual head: mean over all pixels of [B, features, H, W], then a linear layer to [B, num_classes]."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, num_classes))
