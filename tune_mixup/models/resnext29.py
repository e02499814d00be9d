"""ResNeXt-29 4x24d for small images: three stages of three bottleneck blocks with 4 groups of 24 channels and up.

Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017, arXiv:1611.05431, section 5.3;
the 4x24d size is Co-Mixup's. Its blocks are the published ones.
"""

from typing import ClassVar, Literal

from torch import nn
from typing_extensions import override

from tune_mixup.models.base import Model, StagedNetwork, pooled_linear
from tune_mixup.models.residual import Bottleneck

STEM_WIDTH = 64


class ResNext29(Model):
    """4,845,002 parameters at 3 channels and 10 classes."""

    min_side: ClassVar[int] = 4
    num_stages: ClassVar[int] = 3
    name: Literal["resnext29_4x24"] = "resnext29_4x24"

    @override
    def build(self, *, channels: int, num_classes: int) -> StagedNetwork:
        """Kaiming-normal convolutions (fan-out) and classifier (fan-in); stages [B, 256 * 2^i, H / 2^i, W / 2^i]."""
        stem = nn.Sequential(
            nn.Conv2d(channels, STEM_WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(STEM_WIDTH), nn.ReLU(inplace=True)
        )
        stages: list[nn.Module] = []
        inputs = STEM_WIDTH
        for depth in range(3):
            planes = 64 * 2**depth
            blocks = []
            for position in range(3):
                stride = 2 if depth and not position else 1
                blocks.append(Bottleneck(inputs, planes, stride=stride, groups=4, group_width=24))
                inputs = planes * Bottleneck.expansion
            stages.append(nn.Sequential(*blocks))
        network = StagedNetwork(stem, stages, pooled_linear(inputs, num_classes))
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)
        return network
