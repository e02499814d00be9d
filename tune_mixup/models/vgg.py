"""VGG-11 with batch norm for small images, and the form that is trained on spectrograms of spoken words.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
arXiv:1409.1556, column A, with batch norm after each convolution and a mean over the last pixels in place of the first
fully connected layers.

- `cifar`: one linear layer on the 512 features. 9,231,114 parameters at 3 channels and 10 classes.
- `speech`: a hidden layer of 512 with ReLU and dropout 0.5 between. 9,502,878 parameters at 1 channel and 30 classes.

Differs from the published code in one place: the last max-pooling rounds up, so that images from 16 pixels on pass. On
32 x 32 images and 160 x 101 spectrograms nothing is rounded there, and the result is the same.
"""

from itertools import pairwise
from typing import ClassVar, Literal

from torch import nn
from typing_extensions import override

from tune_mixup.models.base import Model, StagedNetwork, pooled_linear

WIDTHS = ((64,), (128,), (256, 256), (512, 512), (512, 512))


class Vgg11(Model):
    """Five stages of one or two 3 x 3 convolutions, each ending with a max-pooling; nothing stands before them."""

    min_side: ClassVar[int] = 16
    num_stages: ClassVar[int] = 5
    name: Literal["vgg11"] = "vgg11"
    variant: Literal["cifar", "speech"] = "cifar"
    """Which head; the module's docstring says how they differ."""

    @override
    def build(self, *, channels: int, num_classes: int) -> StagedNetwork:
        """torch's default initialisation, as published; stages [B, 64 to 512, H / 2^(i + 1), W / 2^(i + 1)]."""
        stages: list[nn.Module] = []
        inputs = channels
        for depth, widths in enumerate(WIDTHS):
            layers: list[nn.Module] = []
            for before, after in pairwise((inputs, *widths)):
                layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
            layers.append(nn.MaxPool2d(2, ceil_mode=depth == len(WIDTHS) - 1))
            stages.append(nn.Sequential(*layers))
            inputs = widths[-1]
        if self.variant == "cifar":
            return StagedNetwork(nn.Identity(), stages, pooled_linear(inputs, num_classes))
        hidden = [nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(inputs, num_classes)]
        return StagedNetwork(nn.Identity(), stages, nn.Sequential(*pooled_linear(inputs, inputs), *hidden))
