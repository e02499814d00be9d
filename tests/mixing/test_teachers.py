"""Teachers: averages in closed form, attention against the network itself, and no trace of asking in it."""

import pytest
import torch
from torch import nn

from tune_mixup.mixing.teachers import WEIGHTS, EmaTeacher, attention_by, flat_weights
from tune_mixup.models.base import StagedNetwork, pooled_linear
from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.testing.watching import no_reads_on_the_host


def drawn(build, seed=0):
    """Layers with first weights that are always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def network(seed=0, classes=5, width=4):
    def build():
        model = TinyResNet(width=width).build(channels=3, num_classes=classes)
        model(torch.randn(8, 3, 16, 12))  # running statistics of its own
        return model

    return drawn(build, seed)


def images(size=4, height=16, width=12):
    return torch.randn(size, 3, height, width, generator=torch.Generator().manual_seed(1))


def features(model, pixels, depth):
    hidden = pixels
    for part in [model.stem, *model.stages[:depth]]:
        hidden = part(hidden)
    return hidden


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_the_average_is_the_geometric_sum_of_what_it_saw(momentum):
    teacher, model, state = EmaTeacher(momentum=momentum), drawn(lambda: nn.Linear(2, 2, bias=False)), {}
    seen = []
    for step in range(4):
        with torch.no_grad():
            model.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]) * (step + 1) ** 2)
        seen.append((step + 1) ** 2)
        state = teacher.follow(model, state)
    shares = [momentum**3, *((1 - momentum) * momentum ** (3 - step) for step in (1, 2, 3))]
    expected = sum(share * value for share, value in zip(shares, seen, strict=True))
    torch.testing.assert_close(state[WEIGHTS], expected * torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert not state[WEIGHTS].requires_grad


def test_statistics_are_averaged_as_weights_are():
    model = network()
    weights = flat_weights(model)
    numbers = sum(p.numel() for p in model.parameters()) + sum(
        b.numel() for name, b in model.named_buffers() if not name.endswith("num_batches_tracked")
    )
    assert weights.shape == (numbers,) and weights.dtype == torch.float32
    before = weights.clone()
    with torch.no_grad():
        model.stem[1].running_mean.add_(1.0)
    assert torch.equal(weights, before), "a copy"
    assert int((flat_weights(model) != before).sum()) == 4


@pytest.mark.parametrize("layer", [None, 1, 2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_attention_is_that_of_the_other_network(layer, layout):
    ours, other, pixels = network(0).to(memory_format=layout), network(1), images().contiguous(memory_format=layout)
    found = attention_by(ours, flat_weights(other.to(memory_format=layout)), pixels, layer=layer)
    expected = features(other.eval(), pixels, layer or 3).mean(1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert found.shape == (4, *{None: (4, 3), 1: (16, 12), 2: (8, 6)}[layer])


def test_asking_leaves_no_trace_in_the_network_and_reads_nothing_on_the_host():
    model, weights = network(0).train(), flat_weights(network(1))
    model.stages[1].eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pixels = images().requires_grad_()
    with no_reads_on_the_host():
        found = attention_by(model, weights, pixels, layer=None)
        EmaTeacher().follow(model, {WEIGHTS: weights})
    assert not found.requires_grad
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_last_map_with_more_than_one_place_is_looked_at():
    """On images of 4 x 4 pixels the last stage leaves one place, and a network of vectors has the images themselves."""
    model, pixels = network(), images(2, 4, 4)
    found = attention_by(model, flat_weights(model), pixels, layer=None)
    torch.testing.assert_close(found, features(model.eval(), pixels, 2).mean(1))
    vectors = drawn(lambda: StagedNetwork(nn.Flatten(), [nn.Linear(48, 8)], nn.Linear(8, 2)))
    torch.testing.assert_close(attention_by(vectors, flat_weights(vectors), pixels, layer=None), pixels.mean(1))


def test_a_layer_that_writes_over_its_input_is_seen_before():
    convolution = drawn(lambda: nn.Conv2d(3, 4, 1))
    stages = [convolution, nn.Sequential(nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1))]
    model, pixels = StagedNetwork(nn.Identity(), stages, drawn(lambda: pooled_linear(4, 2))), images(2)
    found = attention_by(model, flat_weights(model), pixels, layer=None)
    torch.testing.assert_close(found, convolution(pixels).mean(1))
    assert bool((found < 0).any())


def test_weights_are_used_in_the_precision_of_the_network():
    model = network().bfloat16()
    weights = flat_weights(network(1))
    found = attention_by(model, weights, images().bfloat16(), layer=None)
    expected = features(network(1).bfloat16().eval(), images().bfloat16(), 3).float().mean(1)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("other", [network(classes=7), network(width=6)])
def test_a_teacher_of_other_classes_or_layers_is_refused(other):
    with pytest.raises(ValueError, match=r"^mixing.teacher: got a network of [\d,]+ .* has 5,297; a teacher must have"):
        attention_by(network(), flat_weights(other), images(), layer=None)


def test_a_stage_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="the network has stages 1 to 3"):
        attention_by(network(), flat_weights(network()), images(), layer=4)
