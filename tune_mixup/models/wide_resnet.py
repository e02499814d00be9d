"""Wide residual networks in the five forms that published mixing code trains; they differ in their details.

Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016, arXiv:1605.07146. A block is twice batch norm, activation
and convolution; where it changes the number of channels, a 1 x 1 convolution, the projection, leads around it.

- `plain` is the form of one study that repeats mixup's experiments (TuanTran1504/COMP8240), and of no other: as in the
  paper, no convolution has a bias and the first one of a block has the stride, but the projections see the raw tensor,
  and the classifier is drawn like the convolutions, Kaiming-normal by fan-out. 28-10 has 36,479,194 parameters at 10
  classes, and so have the next two.
- `saliencymix` is the paper's form, as SaliencyMix trains it on CIFAR: the projections see the activated tensor, 30 %
  of the features are dropped between the two convolutions of a block, and the classifier's weights are torch's default.
- `fmix` is that without dropout. FMix's code averages the last features over windows of 7 x 7, made for images of
  28 x 28: of the 8 x 8 pixels that are left of 32 x 32, the last row and the last column are not looked at.
- `puzzlemix` (PuzzleMix, Co-Mixup, AlignMixup): every convolution has a bias, the second one of a block has the stride,
  projections see the raw tensor, and the last batch norm has momentum 0.9 in torch's sense, so that its running
  statistics are mostly those of the latest batch; torch's default initialisation. 28-10 has 36,546,980 parameters at
  100 classes.
- `openmixup`: every convolution has a bias, activations leak (0.1), batch norms have eps 0.001 and momentum 0.001, so
  that running statistics need thousands of steps, and of the three projections only the first sees the activated
  tensor. The classifier is drawn from N(0, 0.01^2). 28-8, its table's, has 23,409,092 parameters at 100 classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import override

from tune_mixup.models.base import Model, StagedNetwork, pooled_linear
from tune_mixup.models.residual import kaiming

STEM_WIDTH = 16


def fan_out(classifier: nn.Linear) -> None:
    """Draw it like a convolution, without a bias."""
    nn.init.kaiming_normal_(classifier.weight, mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(classifier.bias)


def small(classifier: nn.Linear) -> None:
    """Draw it from N(0, 0.01^2), without a bias."""
    nn.init.normal_(classifier.weight, std=0.01)
    nn.init.zeros_(classifier.bias)


def unbiased(classifier: nn.Linear) -> None:
    """Leave the weights that torch has drawn, without a bias."""
    nn.init.zeros_(classifier.bias)


@dataclass(frozen=True)
class Form:
    """What the published forms differ in."""

    bias: bool
    """Whether convolutions have one; it starts at zero where `classifier` is given."""
    first_strides: bool
    """Whether the first convolution of a block has the stride, or the second."""
    activated: tuple[bool, bool, bool]
    """Whether the projection of a stage sees the activated tensor, or the raw one."""
    classifier: Callable[[nn.Linear], None] | None
    """How it starts, after convolutions that are Kaiming-normal by fan-out; None: all is as torch draws it."""
    dropout: float = 0.0
    """Share of the features that is dropped between the convolutions of a block."""
    leak: float = 0.0
    """Slope of the activation below 0."""
    eps: float = 1e-5
    """Added to the variance by batch norms."""
    momentum: float = 0.1
    """Share of a batch in the running statistics of batch norms."""
    last_momentum: float = 0.1
    """The same for the one before the classifier."""
    window: int = 1
    """The last features are averaged over whole windows of so many pixels along a side."""

    def convolution(self, inputs: int, outputs: int, *, size: int = 3, stride: int = 1) -> nn.Conv2d:
        """A convolution whose outputs are as large as its inputs, but for the stride."""
        return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=self.bias)

    def activation(self, features: int, momentum: float) -> list[nn.Module]:
        """Batch norm and what follows it."""
        leaky = nn.LeakyReLU(self.leak, inplace=True) if self.leak else nn.ReLU(inplace=True)
        return [nn.BatchNorm2d(features, eps=self.eps, momentum=momentum), leaky]

    def initialise(self, network: StagedNetwork) -> None:
        """Draw the first weights of the form."""
        if self.classifier is None:
            return
        modules = list(network.modules())
        kaiming(modules)
        for module in modules:
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.Linear):
                self.classifier(module)


PAPER = Form(bias=False, first_strides=True, activated=(True, True, True), classifier=unbiased)
FORMS = {
    "plain": Form(bias=False, first_strides=True, activated=(False, False, False), classifier=fan_out),
    "puzzlemix": Form(
        bias=True, first_strides=False, activated=(False, False, False), classifier=None, last_momentum=0.9
    ),
    "fmix": replace(PAPER, window=7),
    "saliencymix": replace(PAPER, dropout=0.3),
    "openmixup": Form(
        bias=True,
        first_strides=True,
        activated=(True, False, False),
        classifier=small,
        leak=0.1,
        eps=0.001,
        momentum=0.001,
        last_momentum=0.001,
    ),
}


class WideBlock(nn.Module):
    """Twice batch norm, activation and 3 x 3 convolution: [B, inputs, H, W] to [B, outputs, H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, form: Form, activated: bool) -> None:
        super().__init__()
        first, second = (stride, 1) if form.first_strides else (1, stride)
        projected = stride != 1 or inputs != outputs
        activation = form.activation(inputs, form.momentum)
        shared = projected and activated
        self.shared = nn.Sequential(*activation) if shared else nn.Identity()
        self.residual = nn.Sequential(
            *([] if shared else activation),
            form.convolution(inputs, outputs, stride=first),
            *form.activation(outputs, form.momentum),
            *([nn.Dropout(form.dropout)] if form.dropout else []),
            form.convolution(outputs, outputs, stride=second),
        )
        self.shortcut = form.convolution(inputs, outputs, size=1, stride=stride) if projected else nn.Identity()

    @override
    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.shared(hidden)
        residual: Tensor = self.residual(hidden)
        shortcut: Tensor = self.shortcut(hidden)
        return residual + shortcut


class WholeWindows(nn.Module):
    """Cuts off the last rows and columns that fill no window; where there is no whole window, nothing."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    @override
    def forward(self, hidden: Tensor) -> Tensor:
        height, width = hidden.shape[2:]
        return hidden[:, :, : height - height % self.side or height, : width - width % self.side or width]


class WideResNet(Model):
    """Three stages of (depth - 4) / 6 blocks; 16, 32 and 64 times `width` channels."""

    min_side: ClassVar[int] = 4
    num_stages: ClassVar[int] = 3
    name: Literal["wide_resnet"] = "wide_resnet"
    depth: int = Field(default=28, ge=10)
    """Layers with weights: 6 n + 4, such as 16, 28 or 40."""
    width: int = Field(default=10, ge=1)
    """Factor on the 16, 32 and 64 channels of the thin network."""
    variant: Literal["plain", "puzzlemix", "fmix", "saliencymix", "openmixup"] = "plain"
    """Whose published form; the module's docstring says how they differ."""

    @model_validator(mode="after")
    def _depth_fills_three_stages(self) -> Self:
        if (self.depth - 4) % 6:
            raise ValueError(f"depth is {self.depth}, but three equal stages need 6 n + 4; take 16, 22, 28 or 40")
        return self

    @override
    def build(self, *, channels: int, num_classes: int) -> StagedNetwork:
        """Stages [B, 16 * width * 2^i, H / 2^i, W / 2^i]; the last batch norm and activation belong to the head."""
        form = FORMS[self.variant]
        stages: list[nn.Module] = []
        inputs = STEM_WIDTH
        for depth, activated in enumerate(form.activated):
            blocks = []
            for position in range((self.depth - 4) // 6):
                outputs = STEM_WIDTH * self.width * 2**depth
                stride = 2 if depth and not position else 1
                blocks.append(WideBlock(inputs, outputs, stride=stride, form=form, activated=activated))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        stem = form.convolution(channels, STEM_WIDTH)
        windows = [WholeWindows(form.window)] if form.window > 1 else []
        activation = form.activation(inputs, form.last_momentum)
        network = StagedNetwork(stem, stages, nn.Sequential(*activation, *windows, *pooled_linear(inputs, num_classes)))
        form.initialise(network)
        return network
