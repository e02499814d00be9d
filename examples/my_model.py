"""An architecture of your own: a plain convolutional network of three stages.

    tune-mixup train --config my.yaml --set model.name=my_model:PlainNet --set model.width=16 --out runs/plain

A model builds a `StagedNetwork`: a stem, stages after which features may be mixed, and a head.
"""

from typing import ClassVar

from pydantic import Field
from torch import nn
from typing_extensions import override

from tune_mixup.models.base import Model, StagedNetwork, pooled_linear


class PlainNet(Model):
    """Three stages of one convolution each; every stage halves the image and has twice the channels."""

    min_side: ClassVar[int] = 8
    num_stages: ClassVar[int] = 3
    width: int = Field(default=8, ge=1)
    """Channels of the stem."""

    @override
    def build(self, *, channels: int, num_classes: int) -> StagedNetwork:
        stages: list[nn.Module] = [_stage(self.width * 2**k) for k in range(3)]
        return StagedNetwork(_convolution(channels, self.width), stages, pooled_linear(self.width * 8, num_classes))


def _stage(inputs: int) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, 2 * inputs), nn.MaxPool2d(2))


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())
