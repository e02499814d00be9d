"""An architecture of one's own: two convolutions, small enough for a first look.

cd examples && tune-mixup train --space quickstart --out /tmp/small --set model.name=my_model:SmallNet
"""

from typing import ClassVar

from pydantic import Field
from torch import nn
from typing_extensions import override

from tune_mixup.models.base import Model, StagedNetwork, pooled_linear


class SmallNet(Model):
    """Two stages of a convolution each, the second at half the resolution."""

    min_side: ClassVar[int] = 4
    num_stages: ClassVar[int] = 2
    width: int = Field(default=16, ge=1)
    """Channels of the first stage; the second has twice as many."""

    @override
    def build(self, *, channels: int, num_classes: int) -> StagedNetwork:
        """Features [B, width, H, W] and [B, 2 width, H / 2, W / 2]; torch's own initial weights."""
        stages: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(self.width, self.width, 3, padding=1), nn.BatchNorm2d(self.width), nn.ReLU()),
            nn.Sequential(
                nn.Conv2d(self.width, 2 * self.width, 3, stride=2, padding=1), nn.BatchNorm2d(2 * self.width), nn.ReLU()
            ),
        ]
        stem = nn.Conv2d(channels, self.width, 3, padding=1)
        return StagedNetwork(stem, stages, pooled_linear(2 * self.width, num_classes))
