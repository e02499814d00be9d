"""Images and features keep their memory layout through the mixing, and their gradients too."""

import pytest
import torch

from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.base import mix_rows, take_rows
from tune_mixup.mixing.features import exact_in_features
from tune_mixup.mixing.first_state import first_state
from tune_mixup.mixing.manifold_mixup import ManifoldMixup
from tune_mixup.models.tiny_resnet import TinyResNet

LAST = torch.channels_last
K = 4


def made(seed):
    return torch.Generator().manual_seed(seed)


def images(layout=LAST):
    return torch.randn(8, 3, 12, 10, generator=made(0)).contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", [LAST, torch.contiguous_format])
def test_rows_and_their_gradients_stay_in_the_layout(layout):
    index = torch.tensor([3, 0, 0, 7, 2, 1, 6, 5])
    rows = images(layout).requires_grad_()
    taken = take_rows(rows, index)
    assert torch.equal(taken, torch.stack([rows[i] for i in index]))
    assert taken.is_contiguous(memory_format=layout)
    weights = torch.randn(taken.shape, generator=made(1)).contiguous(memory_format=layout)
    (gradient,) = torch.autograd.grad((taken * weights).sum(), rows)
    assert gradient.is_contiguous(memory_format=layout)
    expected = torch.zeros_like(rows)
    for place, i in enumerate(index):
        expected[i] += weights[place]
    torch.testing.assert_close(gradient, expected)


def test_rows_of_other_shapes_are_taken_as_they_are():
    vectors = torch.randn(5, 7, generator=made(0))
    assert torch.equal(take_rows(vectors, torch.tensor([4, 4])), vectors[[4, 4]])


@pytest.mark.parametrize("name", sorted(MIXERS))
def test_mixed_batches_are_channels_last_where_the_images_are(name):
    mixer = MIXERS[name]().canonical()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TinyResNet(width=2).build(channels=3, num_classes=K)
    inputs, targets = images(), torch.eye(K)[torch.arange(8) % K]
    state = first_state(mixer, model, K, image=(3, 12, 10), device=torch.device("cpu"), generator=made(1))
    mixed = mixer.blend(model, inputs, targets, state, epoch=0, generator=made(2))
    assert mixed.inputs.is_contiguous(memory_format=LAST)
    again = mixer.blend(model, images(torch.contiguous_format), targets, state, epoch=0, generator=made(2))
    torch.testing.assert_close(mixed.inputs, again.inputs)


def test_gradients_of_mixed_features_stay_in_the_layout():
    rows, partner = images().requires_grad_(), torch.arange(8).flip(0)
    mixed = mix_rows(partner, torch.tensor(0.25), rows)
    assert mixed.is_contiguous(memory_format=LAST)
    mixed.backward(torch.ones_like(mixed))
    assert rows.grad.is_contiguous(memory_format=LAST)


def test_features_and_targets_have_one_lam_in_lower_precision():
    """lam and 1 - lam as bf16 and fp16 hold them are the numbers that the targets are mixed with."""
    lam = torch.rand(2000, generator=made(0))
    assert torch.equal(exact_in_features(lam), lam)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = exact_in_features(lam)
    assert (rounded - lam).abs().max() <= 1 / 512
    for dtype in (torch.bfloat16, torch.float16):
        assert torch.equal(rounded.to(dtype).float(), rounded)
        assert torch.equal((1 - rounded).to(dtype).float(), 1 - rounded)


def test_manifold_mixup_mixes_targets_by_what_the_features_are_weighed_with():
    inputs, targets = images(), torch.eye(K)[torch.arange(8) % K]
    mixer = ManifoldMixup(per="sample", layers=(1, 2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = mixer.blend(torch.nn.Identity(), inputs, targets, {}, epoch=0, generator=made(3))
    (weights,) = [lam for lam in mixed.hidden.values() if not torch.equal(lam, torch.ones_like(lam))]
    own, other = weights.bfloat16().float(), (1 - weights.bfloat16()).float()
    expected = own[:, None] * targets + other[:, None] * targets[mixed.partner]
    assert torch.equal(mixed.soft_targets, expected)
