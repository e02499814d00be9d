"""ResNet-8, the smallest of the CIFAR residual networks: for quick starts and tests.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385, section 4.2 with n = 1, with
projection shortcuts. 78,042 parameters at width 16 for 3 channels and 10 classes.
"""

from typing import ClassVar, Literal

from pydantic import Field
from torch import nn
from typing_extensions import override

from tune_mixup.models.base import Model, StagedNetwork, pooled_linear
from tune_mixup.models.residual import BasicBlock, kaiming


class TinyResNet(Model):
    """Three stages of one residual block each; their widths are 1, 2 and 4 times `width`."""

    min_side: ClassVar[int] = 4
    num_stages: ClassVar[int] = 3
    name: Literal["tiny_resnet"] = "tiny_resnet"
    width: int = Field(default=16, ge=1)
    """Channels of the first stage."""

    @override
    def build(self, *, channels: int, num_classes: int) -> StagedNetwork:
        """Kaiming-normal (fan-out) convolutions, the rest torch's; stages [B, width * 2^i, H / 2^i, W / 2^i]."""
        stem = nn.Sequential(
            nn.Conv2d(channels, self.width, 3, padding=1, bias=False), nn.BatchNorm2d(self.width), nn.ReLU(inplace=True)
        )
        stages: list[nn.Module] = [BasicBlock(self.width, self.width)]
        for doublings in (1, 2):
            outputs = self.width * 2**doublings
            stages.append(BasicBlock(outputs // 2, outputs, stride=2))
        network = StagedNetwork(stem, stages, pooled_linear(4 * self.width, num_classes))
        kaiming([*network.modules()])
        return network
