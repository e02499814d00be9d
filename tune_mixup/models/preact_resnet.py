"""Pre-activation ResNet-18 in the two forms that the published mixing code trains; they differ in their details.

He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016, arXiv:1603.05027. As in both published forms, and
unlike the paper, nothing normalises the last features before they are pooled, and projections see the activated tensor.

- `facebook` (mixup's own code, and that of generalized mixup): the stem ends with batch norm and ReLU, and the identity
  shortcut carries the *activated* tensor instead of the raw one. 11,171,274 parameters at 10 classes.
- `puzzlemix` (PuzzleMix, Co-Mixup, manifold mixup): the stem is a bare convolution, the identity shortcut carries the
  raw tensor. 11,217,316 parameters at 100 classes.
"""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import override

from tune_mixup.models.base import Model, StagedNetwork, pooled_linear

WIDTHS = (64, 128, 256, 512)


class PreActBlock(nn.Module):
    """Twice batch norm, ReLU and a 3 x 3 convolution: [B, inputs, H, W] to [B, outputs, H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, activated_identity: bool) -> None:
        super().__init__()
        self.activated_identity = activated_identity
        self.activate = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True))
        self.projection: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.projection = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        )

    @override
    def forward(self, hidden: Tensor) -> Tensor:
        activated: Tensor = self.activate(hidden)
        if self.projection is not None:
            shortcut: Tensor = self.projection(activated)
        else:
            shortcut = activated if self.activated_identity else hidden
        residual: Tensor = self.residual(activated)
        return residual + shortcut


class PreActResNet18(Model):
    """Four stages of two pre-activation blocks, 64 to 512 channels wide."""

    min_side: ClassVar[int] = 8
    num_stages: ClassVar[int] = 4
    name: Literal["preact_resnet18"] = "preact_resnet18"
    variant: Literal["facebook", "puzzlemix"] = "facebook"
    """Whose published form; the module's docstring says how they differ."""
    stem_stride: int = Field(default=1, ge=1, le=2)
    """Stride of the first convolution, in pixels: 1 for 32 x 32, 2 is what `puzzlemix` takes for 64 x 64."""

    @model_validator(mode="after")
    def _stride_is_puzzlemix(self) -> Self:
        if self.stem_stride != 1 and self.variant != "puzzlemix":
            raise ValueError(
                f"stem_stride is {self.stem_stride}, but variant {self.variant} has a stem of stride 1; "
                f"leave it at 1 or take variant puzzlemix"
            )
        return self

    @override
    def build(self, *, channels: int, num_classes: int) -> StagedNetwork:
        """torch's default initialisation, as published; stages [B, 64 * 2^i, H / 2^i, W / 2^i]."""
        facebook = self.variant == "facebook"
        stem = nn.Sequential(nn.Conv2d(channels, WIDTHS[0], 3, stride=self.stem_stride, padding=1, bias=False))
        if facebook:
            stem.extend([nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(inplace=True)])
        stages: list[nn.Module] = []
        inputs = WIDTHS[0]
        for depth, outputs in enumerate(WIDTHS):
            stages.append(
                nn.Sequential(
                    PreActBlock(inputs, outputs, 2 if depth else 1, activated_identity=facebook),
                    PreActBlock(outputs, outputs, 1, activated_identity=facebook),
                )
            )
            inputs = outputs
        return StagedNetwork(stem, stages, pooled_linear(inputs, num_classes))
