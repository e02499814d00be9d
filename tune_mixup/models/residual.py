"""Residual blocks, and the order in which a network of them draws its first weights.

He et al., CVPR 2016, arXiv:1512.03385, figure 5; grouped as in Xie et al., CVPR 2017, arXiv:1611.05431. Blocks, names
of their parts and draws are those of torchvision's `resnet`, which tests compare; importing that brings along torch's
compiler, 79 MB and seconds in every worker.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

THIN = 8
"""Channels below which a 1 x 1 convolution with a stride must not be left to torch. With torch 2.14.1 its backward pass
on channels-last features writes outside of its memory, in oneDNN's kernels for AVX2 (seen on an AMD EPYC)."""


def thin_projections(network: nn.Module) -> list[str]:
    """The names of the convolutions of a network that must not be left to torch (see `THIN`), and are."""
    return [
        name
        for name, layer in network.named_modules()
        if type(layer) is nn.Conv2d
        and layer.kernel_size == (1, 1)
        and max(layer.stride) > 1
        and 1 < layer.in_channels < THIN
    ]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut: [B, inputs, H, W] to [B, width, H / stride, W / stride]."""

    def __init__(self, inputs: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        around = shortcut(inputs, width, stride)  # drawn first, listed last
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = around

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The one before the shortcut is added."""
        return self.bn2

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.relu(self.bn1(self.conv1(inputs)))
        around = inputs if self.downsample is None else self.downsample(inputs)
        outputs: Tensor = self.relu(self.bn2(self.conv2(hidden)) + around)
        return outputs


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 in groups, 1 x 1 and a shortcut: [B, inputs, H, W] to [B, 4 planes, H / stride, W / stride]."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, *, stride: int = 1, groups: int = 1, group_width: int = 64) -> None:
        """`planes` // 64 times `group_width` channels in each of `groups` in the middle."""
        super().__init__()
        width, outputs = planes * group_width // 64 * groups, planes * self.expansion
        around = shortcut(inputs, outputs, stride)
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = around

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The one before the shortcut is added."""
        return self.bn3

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.relu(self.bn1(self.conv1(inputs)))
        hidden = self.relu(self.bn2(self.conv2(hidden)))
        around = inputs if self.downsample is None else self.downsample(inputs)
        outputs: Tensor = self.relu(self.bn3(self.conv3(hidden)) + around)
        return outputs


class ThinProjection(nn.Conv2d):
    """A 1 x 1 convolution with a stride, as one without a stride on the pixels that it looks at."""

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        rows, columns = self.stride
        return F.conv2d(inputs[:, :, ::rows, ::columns], self.weight, self.bias)


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """The projection around a block that changes the size or the number of channels; None where it changes neither."""
    if stride == 1 and inputs == outputs:
        return None
    convolution = ThinProjection if stride > 1 and inputs < THIN else nn.Conv2d
    return nn.Sequential(convolution(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def kaiming(modules: Sequence[nn.Module]) -> None:
    """Draw the weights of all convolutions, in the modules' order, from He's normal law by their outputs (fan-out)."""
    for module in modules:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
