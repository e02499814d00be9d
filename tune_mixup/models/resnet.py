"""Residual networks with torchvision's topology: ResNet-18 and ResNeXt-50 for small images, ResNet-50 for large ones.

He et al., CVPR 2016, arXiv:1512.03385; Xie et al., "Aggregated Residual Transformations for Deep Neural Networks",
CVPR 2017, arXiv:1611.05431. The forms for small images are those of the OpenMixup benchmark: a 3 x 3 stem of stride 1
without pooling, the last batch norm of each block starting at zero, and a classifier drawn from N(0, 0.01^2).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from torch import nn
from typing_extensions import override

from tune_mixup.models.base import Model, StagedNetwork
from tune_mixup.models.residual import BasicBlock, Bottleneck, kaiming

if TYPE_CHECKING:
    from torchvision.models.resnet import ResNet

Block = BasicBlock | Bottleneck


class ResNet18(Model):
    """Two basic blocks in each of four stages, 64 to 512 wide: 11,173,962 parameters at 3 channels, 10 classes."""

    min_side: ClassVar[int] = 8
    num_stages: ClassVar[int] = 4
    name: Literal["resnet18"] = "resnet18"

    @override
    def build(self, *, channels: int, num_classes: int) -> StagedNetwork:
        """Kaiming-normal (fan-out) convolutions; stages [B, 64 * 2^i, H / 2^i, W / 2^i]."""

        def stage(inputs: int, planes: int, stride: int) -> list[Block]:
            return [BasicBlock(inputs, planes, stride=stride), BasicBlock(planes, planes)]

        return _small_images(stage, channels, num_classes, expansion=1)


class ResNext50(Model):
    """ResNeXt-50 32x4d for small images: 22,992,714 parameters at 3 channels and 10 classes."""

    min_side: ClassVar[int] = 8
    num_stages: ClassVar[int] = 4
    name: Literal["resnext50_32x4d"] = "resnext50_32x4d"

    @override
    def build(self, *, channels: int, num_classes: int) -> StagedNetwork:
        """Kaiming-normal (fan-out) convolutions; stages [B, 256 * 2^i, H / 2^i, W / 2^i]."""
        depths = {64: 3, 128: 4, 256: 6, 512: 3}

        def stage(inputs: int, planes: int, stride: int) -> list[Block]:
            first = Bottleneck(inputs, planes, stride=stride, groups=32, group_width=4)
            others = [
                Bottleneck(planes * Bottleneck.expansion, planes, groups=32, group_width=4)
                for _ in range(depths[planes] - 1)
            ]
            return [first, *others]

        return _small_images(stage, channels, num_classes, expansion=Bottleneck.expansion)


class ResNet50(Model):
    """torchvision's ImageNet ResNet-50: 25,557,032 parameters at 3 channels and 1000 classes."""

    min_side: ClassVar[int] = 16
    num_stages: ClassVar[int] = 4
    name: Literal["resnet50"] = "resnet50"
    zero_init: bool = False
    """Whether the last batch norm of each block starts at zero (Co-Mixup's ImageNet protocol) or at one."""

    @override
    def build(self, *, channels: int, num_classes: int) -> StagedNetwork:
        """torchvision's initialisation; stages [B, 256 * 2^i, H / 2^(i + 2), W / 2^(i + 2)]."""
        from torchvision.models.resnet import Bottleneck, ResNet

        network = ResNet(Bottleneck, [3, 4, 6, 3], num_classes, zero_init_residual=self.zero_init)
        if channels != network.conv1.in_channels:
            network.conv1 = _stem_convolution(channels, network.conv1.out_channels, kernel_size=7, stride=2)
        return _staged(network, network.conv1, network.bn1, network.relu, network.maxpool)


def _small_images(
    stage: Callable[[int, int, int], list[Block]], channels: int, num_classes: int, *, expansion: int
) -> StagedNetwork:
    """Stages of 64 to 512 planes by `stage(inputs, planes, stride)`, between a small stem and a classifier.

    Draws what torchvision's constructor draws, in its order, whose large stem is then replaced: a seed gives the same
    weights whichever of the two builds the network.
    """
    large_stem = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
    bn1 = nn.BatchNorm2d(64)
    stages = [stage(64, 64, 1)]
    for planes in (128, 256, 512):
        stages.append(stage(planes // 2 * expansion, planes, 2))
    fc = nn.Linear(512 * expansion, num_classes)
    kaiming([large_stem, *(module for blocks in stages for block in blocks for module in block.modules())])
    for blocks in stages:
        for block in blocks:
            nn.init.zeros_(block.last_norm.weight)
    nn.init.normal_(fc.weight, std=0.01)
    nn.init.zeros_(fc.bias)
    stem = nn.Sequential(_stem_convolution(channels, 64, kernel_size=3, stride=1), bn1, nn.ReLU(inplace=True))
    return StagedNetwork(
        stem, [nn.Sequential(*blocks) for blocks in stages], nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), fc)
    )


def _staged(network: "ResNet", *stem: nn.Module) -> StagedNetwork:
    stages: list[nn.Module] = [network.layer1, network.layer2, network.layer3, network.layer4]
    return StagedNetwork(nn.Sequential(*stem), stages, nn.Sequential(network.avgpool, nn.Flatten(), network.fc))


def _stem_convolution(inputs: int, outputs: int, *, kernel_size: int, stride: int) -> nn.Conv2d:
    convolution = nn.Conv2d(inputs, outputs, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution
