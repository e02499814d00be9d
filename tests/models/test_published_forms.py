"""The published definitions: parameter counts, and forward passes written out from the description."""

from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from tune_mixup.models import MODELS
from tune_mixup.models.preact_resnet import PreActResNet18
from tune_mixup.models.resnet import ResNet18, ResNet50, ResNext50
from tune_mixup.models.resnext29 import ResNext29
from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.models.vgg import Vgg11
from tune_mixup.models.wide_resnet import WideResNet

PUZZLEMIX_16_8 = WideResNet(depth=16, width=8, variant="puzzlemix")


def resnext29_count(num_classes: int) -> int:
    """Bottlenecks of 1 x 1, grouped 3 x 3 and 1 x 1 convolutions, each followed by batch norm; 4 groups of 24 wide."""
    count = 3 * 64 * 9 + 2 * 64
    inputs = 64
    for planes in (64, 128, 256):
        middle, outputs = 4 * planes * 24 // 64, 4 * planes
        for _ in range(3):
            count += inputs * middle + middle * (middle // 4) * 9 + middle * outputs + 4 * middle + 2 * outputs
            inputs, before = outputs, inputs
            count += before * outputs + 2 * outputs if before != outputs else 0
    return count + inputs * num_classes + num_classes


@pytest.mark.parametrize(
    ("model", "channels", "num_classes", "expected"),
    [
        (TinyResNet(), 3, 10, 78_042),
        (PreActResNet18(), 3, 10, 11_171_274),
        (PreActResNet18(), 3, 100, 11_217_444),
        (PreActResNet18(), 1, 10, 11_170_122),
        (PreActResNet18(variant="puzzlemix"), 3, 100, 11_217_316),
        (PreActResNet18(variant="puzzlemix", stem_stride=2), 3, 200, 11_268_616),
        (ResNet18(), 3, 10, 11_173_962),
        (ResNet18(), 3, 100, 11_220_132),
        (ResNet18(), 3, 200, 11_271_432),
        (ResNext50(), 3, 10, 22_992_714),
        (ResNext50(), 3, 100, 23_177_124),
        (WideResNet(), 3, 10, 36_479_194),
        (WideResNet(), 3, 100, 36_536_884),
        (WideResNet(width=2), 3, 10, 1_467_610),
        (WideResNet(variant="fmix"), 3, 10, 36_479_194),
        (WideResNet(variant="saliencymix"), 3, 100, 36_536_884),
        (WideResNet(width=8, variant="openmixup"), 3, 100, 23_409_092),
        (WideResNet(variant="puzzlemix"), 3, 100, 36_546_980),
        (PUZZLEMIX_16_8, 3, 10, 10_965_866),
        (PUZZLEMIX_16_8, 3, 100, 11_012_036),
        (Vgg11(), 3, 10, 9_231_114),
        (Vgg11(variant="speech"), 1, 30, 9_502_878),
        (ResNext29(), 3, 10, resnext29_count(10)),
        (ResNext29(), 3, 100, resnext29_count(100)),
        (ResNet50(), 3, 1000, 25_557_032),
    ],
)
def test_parameter_counts_are_the_published_ones(model, channels, num_classes, expected, build):
    with torch.device("meta"):
        network = build(model, channels=channels, num_classes=num_classes)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


class Replay:
    """The layers of a network in the order they were made, for a forward pass written out by hand."""

    def __init__(self, network: nn.Module, eps: float = 1e-5) -> None:
        self.eps = eps
        self.convolutions = iter([m for m in network.modules() if isinstance(m, nn.Conv2d)])
        self.norms = iter([m for m in network.modules() if isinstance(m, nn.BatchNorm2d)])

    def convolve(self, inputs, stride, size):
        weight, bias = (layer := next(self.convolutions)).weight, layer.bias
        assert weight.shape[-1] == size
        return F.conv2d(inputs, weight, bias, stride=stride, padding=size // 2)

    def normalise(self, inputs):
        layer = next(self.norms)
        return F.batch_norm(inputs, None, None, layer.weight, layer.bias, training=True, eps=self.eps)


def randomise(network, seed=3):
    """Weights without structure, so that no two tensors of the forward pass agree by chance of initialisation."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.05 if parameter.ndim > 1 else 0.5))
    return network


def inputs_for(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(4))


def test_preact_resnet18_as_facebook_has_it(build):
    network = randomise(build(PreActResNet18()))
    inputs = inputs_for(3, 3, 32, 32)
    replay = Replay(network)
    hidden = torch.relu(replay.normalise(replay.convolve(inputs, 1, 3)))
    width = 64
    for stage in range(4):
        for block in range(2):
            stride = 2 if stage and not block else 1
            activated = torch.relu(replay.normalise(hidden))
            shortcut = activated  # the published quirk: the identity carries the activated tensor
            if stride == 2:
                shortcut = replay.convolve(activated, 2, 1)
                width *= 2
            out = replay.convolve(activated, stride, 3)
            out = replay.convolve(torch.relu(replay.normalise(out)), 1, 3)
            hidden = out + shortcut
        assert hidden.shape == (3, width, 32 // 2**stage, 32 // 2**stage)
    classifier = network.head[-1]
    logits = F.avg_pool2d(hidden, 4).flatten(1) @ classifier.weight.T + classifier.bias
    torch.testing.assert_close(network(inputs), logits)


@pytest.mark.parametrize("stem_stride", [1, 2])
def test_preact_resnet18_as_puzzlemix_has_it(stem_stride, build):
    network = randomise(build(PreActResNet18(variant="puzzlemix", stem_stride=stem_stride)))
    inputs = inputs_for(3, 3, 32 * stem_stride, 32 * stem_stride)
    replay = Replay(network)
    hidden = replay.convolve(inputs, stem_stride, 3)
    for stage in range(4):
        for block in range(2):
            stride = 2 if stage and not block else 1
            activated = torch.relu(replay.normalise(hidden))
            shortcut = replay.convolve(activated, 2, 1) if stride == 2 else hidden
            out = replay.convolve(activated, stride, 3)
            hidden = replay.convolve(torch.relu(replay.normalise(out)), 1, 3) + shortcut
    classifier = network.head[-1]
    logits = F.avg_pool2d(hidden, 4).flatten(1) @ classifier.weight.T + classifier.bias
    torch.testing.assert_close(network(inputs), logits)


class Wide(NamedTuple):
    """What the code of a published wide residual network says, read beside ours."""

    bias: bool = False
    second_strides: bool = False
    activated: str = ""
    """Stages whose projection sees the activated tensor."""
    dropout: float = 0.0
    slope: float = 0.0
    eps: float = 1e-5
    momentum: float = 0.1
    last_momentum: float = 0.1
    pooled: int = 8
    """Rows and columns of the last 8 x 8 pixels that the mean is taken over."""


WIDE = {
    "plain": Wide(),
    "puzzlemix": Wide(bias=True, second_strides=True, last_momentum=0.9),
    "fmix": Wide(activated="012", pooled=7),
    "saliencymix": Wide(activated="012", dropout=0.3),
    "openmixup": Wide(bias=True, activated="0", slope=0.1, eps=1e-3, momentum=1e-3, last_momentum=1e-3),
}


def wide_by_hand(network, inputs, form):
    replay = Replay(network, eps=form.eps)

    def activate(hidden):
        normalised = replay.normalise(hidden)
        return torch.where(normalised > 0, normalised, form.slope * normalised)

    hidden = replay.convolve(inputs, 1, 3)
    for stage in range(3):
        for block in range(2):
            stride = 2 if stage and not block else 1
            first, second = (1, stride) if form.second_strides else (stride, 1)
            activated = activate(hidden)
            out = activate(replay.convolve(activated, first, 3))
            if form.dropout:
                out = F.dropout(out, form.dropout)
            out = replay.convolve(out, second, 3)
            around = activated if str(stage) in form.activated else hidden
            projected = not block  # the first block of each stage widens
            hidden = out + (replay.convolve(around, stride, 1) if projected else hidden)
    hidden = activate(hidden)[:, :, : form.pooled, : form.pooled]
    classifier = network.head[-1]
    return hidden.mean(dim=(2, 3)) @ classifier.weight.T + classifier.bias


@pytest.mark.parametrize("variant", WIDE)
def test_wide_resnet_as_published(variant, build):
    form = WIDE[variant]
    network = randomise(build(WideResNet(depth=16, width=2, variant=variant)))
    inputs = inputs_for(3, 3, 32, 32)
    with torch.random.fork_rng(devices=[]):  # from which dropout draws
        torch.manual_seed(6)
        expected = wide_by_hand(network, inputs, form)
        torch.manual_seed(6)
        torch.testing.assert_close(network(inputs), expected)
    biases = [module.bias is not None for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert set(biases) == {form.bias}
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert [norm.momentum for norm in norms] == [form.momentum] * (len(norms) - 1) + [form.last_momentum]
    assert {norm.eps for norm in norms} == {form.eps}


def test_wide_resnets_drop_features_in_training_only(build):
    network = build(WideResNet(depth=10, width=1, variant="saliencymix")).eval()
    assert torch.equal(network(inputs_for(2, 3, 32, 32)), network(inputs_for(2, 3, 32, 32)))


@pytest.mark.parametrize(("side", "seen"), [(28, 7), (32, 7), (12, 3), (64, 14)])
def test_fmix_pools_whole_windows_of_seven(side, seen, build):
    """7 x 7 of the 7 x 7 that Fashion-MNIST leaves and of CIFAR's 8 x 8; all where there are fewer."""
    network = build(WideResNet(depth=10, width=1, variant="fmix")).eval()
    features = inputs_for(2, 64, side // 4, side // 4)
    classifier = network.head[-1]
    normalised = torch.relu(features / (1 + 1e-5) ** 0.5)
    expected = normalised[:, :, :seen, :seen].mean(dim=(2, 3)) @ classifier.weight.T + classifier.bias
    torch.testing.assert_close(network.head(features), expected)


@pytest.mark.parametrize(("variant", "shape"), [("cifar", (3, 32, 32)), ("speech", (1, 160, 101))])
def test_vgg11_as_published(variant, shape, build):
    network = randomise(build(Vgg11(variant=variant), channels=shape[0])).eval()
    inputs = inputs_for(2, *shape)
    layers = [module for stage in network.stages for module in stage]
    convolutions = iter([module for module in layers if isinstance(module, nn.Conv2d)])
    norms = iter([module for module in layers if isinstance(module, nn.BatchNorm2d)])
    hidden = inputs
    for width in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"):
        if width == "M":
            hidden = F.max_pool2d(hidden, 2)
        else:
            hidden = torch.relu(next(norms)(next(convolutions)(hidden)))
            assert hidden.shape[1] == width
    hidden = hidden.mean(dim=(2, 3))
    linear = [module for module in network.head if isinstance(module, nn.Linear)]
    for layer in linear[:-1]:
        hidden = torch.relu(layer(hidden))
    torch.testing.assert_close(network(inputs), linear[-1](hidden))
    dropouts = [module.p for module in network.head if isinstance(module, nn.Dropout)]
    assert (len(linear), dropouts) == ((1, []) if variant == "cifar" else (2, [0.5]))


def test_resnet50_is_torchvisions(build):
    network = build(ResNet50(), num_classes=11, seed=5).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        expected = torchvision.models.resnet50(num_classes=11).eval()
    inputs = inputs_for(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(network(inputs), expected(inputs))


@pytest.mark.parametrize(
    ("model", "reference"), [(ResNet18(), "resnet18"), (ResNext50(), "resnext50_32x4d")], ids=["resnet18", "resnext50"]
)
def test_resnets_for_small_images_are_torchvisions_without_the_large_stem(model, reference, build):
    network = randomise(build(model)).eval()
    with torch.random.fork_rng(devices=[]):
        expected = torchvision.models.get_model(reference, num_classes=10)
    expected.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False, device="meta")
    expected.maxpool = nn.Identity()
    ours, theirs = network.state_dict(), expected.state_dict()
    assert [tensor.shape for tensor in ours.values()] == [tensor.shape for tensor in theirs.values()]
    expected.load_state_dict(dict(zip(theirs, ours.values(), strict=True)), assign=True)
    inputs = inputs_for(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(inputs), expected.eval()(inputs))


@pytest.mark.parametrize("model", [ResNet18(), ResNext50(), ResNet50(zero_init=True)], ids=lambda model: model.name)
def test_the_last_norm_of_each_block_starts_at_zero(model, build):
    network = build(model)
    for stage in network.stages:
        for block in stage:
            norms = [module for name, module in block.named_children() if name.startswith("bn")]
            assert [norm.weight.unique().tolist() for norm in norms] == [[1.0]] * (len(norms) - 1) + [[0.0]]


def spread(layer: nn.Conv2d | nn.Linear) -> float:
    return layer.weight.std().item()


def fan_out_spread(layer: nn.Conv2d) -> float:
    return (2 / (layer.out_channels * layer.kernel_size[0] * layer.kernel_size[1])) ** 0.5


@pytest.mark.parametrize("name", ["tiny_resnet", "resnet18", "resnext50_32x4d", "resnext29_4x24", "wide_resnet"])
def test_convolutions_are_kaiming_normal_by_fan_out(name, build):
    model = WideResNet(depth=16, width=4) if name == "wide_resnet" else MODELS[name]()
    large = [m for m in build(model, channels=2).modules() if isinstance(m, nn.Conv2d) and m.weight.numel() > 2000]
    assert len(large) > 4
    for layer in large:
        assert spread(layer) == pytest.approx(fan_out_spread(layer), rel=0.1)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_stem_for_other_channels_is_drawn_like_the_rest(name, build):
    stem = build(MODELS[name](), channels=20).stem[0]
    assert spread(stem) == pytest.approx(fan_out_spread(stem), rel=0.05)


def test_classifiers_start_as_published(build):
    for model in (ResNet18(), ResNext50()):
        classifier = build(model, num_classes=100).head[-1]
        assert spread(classifier) == pytest.approx(0.01, rel=0.05)
        assert not classifier.bias.any()
    fan_in = build(ResNext29(), num_classes=100).head[-1]
    assert spread(fan_in) == pytest.approx((2 / 1024) ** 0.5, rel=0.05)
    fan_out = build(WideResNet(depth=10, width=4), num_classes=50).head[-1]
    assert spread(fan_out) == pytest.approx((2 / 50) ** 0.5, rel=0.05)
    assert not fan_in.bias.any() and not fan_out.bias.any()


@pytest.mark.parametrize("variant", ["fmix", "saliencymix", "openmixup"])
def test_wide_convolutions_are_kaiming_normal_by_fan_out(variant, build):
    network = build(WideResNet(depth=10, width=4, variant=variant), num_classes=100)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    for layer in convolutions:
        assert layer.weight.numel() < 2000 or spread(layer) == pytest.approx(fan_out_spread(layer), rel=0.1)
        assert layer.bias is None or not layer.bias.any()
    classifier = network.head[-1]
    as_torch = (1 / 3 / 256) ** 0.5  # uniform in plus and minus 1 / sqrt(256)
    assert spread(classifier) == pytest.approx(0.01 if variant == "openmixup" else as_torch, rel=0.05)
    assert not classifier.bias.any()
