import numpy as np
import pytest
import torch
from saliency_reference import blobs, residual_by_hand
from torch import nn

from tune_mixup.mixing.saliency import input_gradient, peak, spectral_residual
from tune_mixup.models.tiny_resnet import TinyResNet


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(channels: int = 3) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TinyResNet(width=4).build(channels=channels, num_classes=5)


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize(
    ("height", "width", "channels", "side"),
    [(32, 32, 3, 4), (32, 32, 3, 7), (28, 28, 1, 5), (160, 101, 1, 12), (33, 47, 3, 6), (64, 64, 3, 3)],
)
def test_the_peak_lies_in_a_bright_blob(height, width, channels, side, noise):
    images, top, left = blobs(height, width, channels, side, noise=noise)
    row, column = peak(spectral_residual(images))
    assert bool(((row >= top) & (row < top + side) & (column >= left) & (column < left + side)).all())


@pytest.mark.parametrize("shape", [(2, 3, 12, 12), (1, 1, 9, 14), (1, 2, 1, 7)])
def test_spectral_residual_against_a_loop(shape):
    images = torch.randn(shape, generator=generator())
    maps = spectral_residual(images)
    assert maps.shape == (shape[0], *shape[2:]) and maps.dtype == torch.float32
    for image, got in zip(images.numpy(), maps.numpy(), strict=True):
        np.testing.assert_allclose(got, residual_by_hand(image.mean(0).astype(np.float64)), rtol=1e-3)


def test_saliency_does_not_depend_on_brightness_unit_or_precision_of_training():
    images, _, _ = blobs(32, 32, 3, 5)
    expected = peak(spectral_residual(images))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for same in (images, 100 * images, -images):
            assert all(torch.equal(*pair) for pair in zip(expected, peak(spectral_residual(same)), strict=True))


@pytest.mark.parametrize("images", [torch.zeros(2, 3, 9, 8), torch.ones(2, 3, 8, 8), 1e-20 * torch.ones(1, 1, 1, 1)])
def test_images_of_one_colour_have_finite_maps(images):
    maps = spectral_residual(images)
    assert bool(maps.isfinite().all()) and bool((maps >= 0).all())


def test_gradient_saliency_of_a_linear_model_in_closed_form():
    """d CE / d x = W^T (softmax(W x + b) - t)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 3 * 4, 5))
    inputs = torch.randn(6, 2, 3, 4, generator=generator())
    targets = torch.eye(5)[:1].repeat(6, 1) * 0.7 + torch.eye(5)[1:2] * 0.3
    with torch.no_grad():
        gradient = ((model(inputs).softmax(1) - targets) @ model[1].weight).reshape(inputs.shape)
    expected = gradient.square().mean(1).sqrt()
    torch.testing.assert_close(input_gradient(model, inputs, targets), expected)


def test_gradient_saliency_leaves_no_trace_in_the_model():
    model = build()
    model.stages[0].eval()  # a frozen part must stay frozen
    inputs, targets = torch.randn(8, 3, 8, 8, generator=generator()), torch.eye(5)[torch.arange(8) % 5]
    model(inputs).sum().backward()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    modes = [module.training for module in model.modules()]
    before = inputs.clone()
    with torch.no_grad():
        maps = input_gradient(model, inputs, targets)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in state.items())
    assert all(torch.equal(a, b.grad) for a, b in zip(gradients, model.parameters(), strict=True))
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(inputs, before) and not inputs.requires_grad
    assert not maps.requires_grad


def test_the_mode_comes_back_when_the_model_fails():
    model = build()
    with pytest.raises(RuntimeError):
        input_gradient(model, torch.zeros(2, 7, 8, 8), torch.eye(5)[:2])
    assert all(module.training for module in model.modules())


def test_gradient_saliency_of_an_image_does_not_depend_on_its_batch():
    model = build()
    inputs, targets = torch.randn(6, 3, 8, 8, generator=generator()), torch.eye(5)[[0, 1, 2, 3, 4, 0]]
    whole = input_gradient(model, inputs, targets)
    alone = torch.cat([input_gradient(model, inputs[i : i + 1], targets[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(whole, alone)


def test_gradients_of_a_certain_model_survive_half_precision():
    """At a wrong share of 1e-12 the gradient of the loss is far below what half precision can hold."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3, bias=False))
    inputs = torch.randn(6, 3, 4, 4, generator=generator())
    with torch.no_grad():
        logits = model(inputs)
        gaps = logits.topk(2, dim=1).values
        inputs *= (28 / (gaps[:, 0] - gaps[:, 1]))[:, None, None, None]  # exp(-28) is 7e-13
    targets = torch.eye(3)[logits.argmax(1)]
    expected = input_gradient(model, inputs, targets)
    assert 0 < expected.amax() < 1e-11
    with torch.autocast("cpu", dtype=torch.float16):
        maps = input_gradient(model, inputs, targets)
    torch.testing.assert_close(maps, expected, rtol=0.2, atol=0)


def test_peaks_are_the_first_of_the_largest():
    maps = torch.zeros(3, 4, 5)
    maps[0, 3, 4] = maps[1, 0, 2] = maps[1, 2, 0] = 1.0
    row, column = peak(maps)
    assert (row.tolist(), column.tolist()) == ([3, 0, 0], [4, 2, 0])
