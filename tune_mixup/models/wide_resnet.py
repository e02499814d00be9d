"""Wide residual networks in the two forms that the published mixing code trains.

Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016, arXiv:1605.07146. In both forms the shortcut, projected or
not, carries the raw tensor; the paper's projections see the activated one.

- `plain`: no convolution has a bias and the first one of a block has the stride, as in the paper; Kaiming-normal
  (fan-out) initialisation, classifier included. 28-10 has 36,479,194 parameters at 10 classes.
- `puzzlemix` (PuzzleMix, Co-Mixup, AlignMixup): every convolution has a bias, the second one of a block has the stride,
  and the last batch norm has momentum 0.9 in torch's sense, so that its running statistics are mostly those of the
  latest batch; torch's default initialisation. 28-10 has 36,546,980 parameters at 100 classes.
"""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import override

from tune_mixup.models.base import Model, StagedNetwork, pooled_linear

STEM_WIDTH = 16


class WideBlock(nn.Module):
    """Twice batch norm, ReLU and a 3 x 3 convolution: [B, inputs, H, W] to [B, outputs, H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, *, strides: tuple[int, int], bias: bool) -> None:
        super().__init__()
        first, second = strides
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(inputs, outputs, 3, stride=first, padding=1, bias=bias),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, stride=second, padding=1, bias=bias),
        )
        self.shortcut: nn.Module = nn.Identity()
        if first * second != 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=first * second, bias=bias)

    @override
    def forward(self, hidden: Tensor) -> Tensor:
        residual: Tensor = self.residual(hidden)
        shortcut: Tensor = self.shortcut(hidden)
        return residual + shortcut


class WideResNet(Model):
    """Three stages of (depth - 4) / 6 blocks; 16, 32 and 64 times `width` channels."""

    min_side: ClassVar[int] = 4
    num_stages: ClassVar[int] = 3
    name: Literal["wide_resnet"] = "wide_resnet"
    depth: int = Field(default=28, ge=10)
    """Layers with weights: 6 n + 4, such as 16, 28 or 40."""
    width: int = Field(default=10, ge=1)
    """Factor on the 16, 32 and 64 channels of the thin network."""
    variant: Literal["plain", "puzzlemix"] = "plain"
    """Whose published form; the module's docstring says how they differ."""

    @model_validator(mode="after")
    def _depth_fills_three_stages(self) -> Self:
        if (self.depth - 4) % 6:
            raise ValueError(f"depth is {self.depth}, but three equal stages need 6 n + 4; take 16, 22, 28 or 40")
        return self

    @override
    def build(self, *, channels: int, num_classes: int) -> StagedNetwork:
        """Stages [B, 16 * width * 2^i, H / 2^i, W / 2^i]; the last batch norm and ReLU belong to the head."""
        plain = self.variant == "plain"
        stages: list[nn.Module] = []
        inputs = STEM_WIDTH
        for depth in range(3):
            blocks = []
            for position in range((self.depth - 4) // 6):
                outputs = STEM_WIDTH * self.width * 2**depth
                stride = 2 if depth and not position else 1
                blocks.append(WideBlock(inputs, outputs, strides=(stride, 1) if plain else (1, stride), bias=not plain))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        stem = nn.Conv2d(channels, STEM_WIDTH, 3, padding=1, bias=not plain)
        normalise = nn.BatchNorm2d(inputs, momentum=0.1 if plain else 0.9)
        head = nn.Sequential(normalise, nn.ReLU(inplace=True), *pooled_linear(inputs, num_classes))
        network = StagedNetwork(stem, stages, head)
        if plain:
            for module in network.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
        return network
