"""Puzzle Mix as a whole: against what the released code recorded, and what its settings and odd images make of it."""

import math

import numpy as np
import pytest
import torch
from golden import cases
from torch import nn

from tune_mixup.loss import SoftmaxBce
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.puzzle import Cutting
from tune_mixup.mixing.puzzlemix import PIXEL_STD, PuzzleMix
from tune_mixup.mixing.saliency import input_gradient


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(size=6, height=16, width=16, channels=3, seed=0):
    return torch.randn(size, channels, height, width, generator=generator(seed))


def network(inputs, num_classes=4):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(inputs[0].numel(), 8), nn.Tanh(), nn.Linear(8, num_classes))


def blended(mixer, inputs, seed=0, num_classes=4):
    targets = torch.eye(num_classes)[torch.arange(len(inputs)) % num_classes]
    model = network(inputs, num_classes)
    return mixer.blend(model, inputs, targets, {}, epoch=0, generator=generator(seed))


def tensor(array):
    return torch.tensor(np.asarray(array, dtype=np.float32))


@pytest.mark.parametrize("variant", ["paper", "published"])
def test_mixed_images_masks_and_targets_are_those_of_the_released_code(variant):
    """Wherever both find the same mask, for which pixels must have one standard deviation: it is put into them."""
    equal = 0
    for settings, arrays in cases("puzzlemix_1", "puzzlemix_2", int32_overflow_in_solver_cost=False):
        mixer = PuzzleMix(
            variant=variant,
            **{key: settings[key] for key in ("beta", "gamma", "eta", "neigh_size", "transport", "t_eps")},
            num_labels=settings["n_labels"],
            t_size=max(settings["t_size"], 0),
        )
        factor = tensor(arrays["std"])[:, None, None] / PIXEL_STD
        size, classes = settings["N"], torch.tensor(arrays["labels"]).long()
        mixed = mixer.assemble(
            tensor(arrays["images"]) * factor,
            torch.eye(settings["K"])[classes],
            tensor(arrays["saliency"]),
            lam=torch.full((size,), settings["lam"]),
            cutting=Cutting((settings["block_num"],), torch.zeros(size, dtype=torch.int64)),
            partner=torch.tensor(arrays["perm"]).long(),
        )
        block = settings["W"] // settings["block_num"]
        theirs = np.kron(arrays["mask_grid"], np.ones((block, block), dtype=np.float32))
        for row in range(size):
            if np.array_equal(mixed.mask[row, 0].numpy(), theirs[row]):
                equal += 1
                assert mixed.lam[row].item() == pytest.approx(arrays["lam_per_sample"][row], abs=1e-6)
                torch.testing.assert_close(mixed.soft_targets[row], tensor(arrays["target"][row]))
                expected = tensor(arrays["mixed"][row])
                torch.testing.assert_close(mixed.inputs[row] / factor, expected, atol=1e-5, rtol=0)
    assert equal >= 15


def recorded_network(arrays):
    conv, linear = nn.Conv2d(3, 6, 3, padding=1, device="meta"), nn.Linear(6, len(arrays["fc_w"]), device="meta")
    for layer, name in ((conv, "conv"), (linear, "fc")):
        layer.weight, layer.bias = (nn.Parameter(tensor(arrays[f"{name}_{part}"])) for part in "wb")
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)


def test_saliency_and_loss_are_those_of_the_released_code():
    """Its saliency is that of a mean or a weighted sum over the batch: the same maps but for one factor."""
    for _, arrays in cases("puzzlemix_3"):
        model, inputs = recorded_network(arrays), tensor(arrays["images"])
        targets = torch.eye(len(arrays["fc_w"]))[torch.tensor(arrays["labels"]).long()]
        ours, theirs = input_gradient(model, inputs, targets), tensor(arrays["saliency"])
        torch.testing.assert_close(ours / ours.mean(), theirs / theirs.mean(), atol=1e-5, rtol=1e-4)
        loss = SoftmaxBce()(tensor(arrays["logits"]), tensor(arrays["target"]))
        assert loss.item() == pytest.approx(float(arrays["loss_softmax_bce"]), rel=1e-5)


def test_blocks_show_what_the_model_looks_at():
    """A model that sees one corner of one image and another one of its partner: each shows its own."""
    inputs = images(2, 8, 8, 1)

    class Corners(nn.Module):
        def forward(self, pixels):
            seen = torch.stack([pixels[0, 0, :4, :4].sum(), pixels[1, 0, 4:, 4:].sum()])
            return seen[:, None] * torch.tensor([1.0, -1.0])

    mixer = PuzzleMix(grids=(2,), beta=0.1, eta=0.0, transport=False, partners={"name": "deranged"})
    mixed = mixer.blend(Corners(), inputs, torch.eye(2), {}, epoch=0, generator=generator())
    assert mixed.partner.tolist() == [1, 0]
    for row in range(2):
        for image, corner in ((0, (slice(0, 4), slice(0, 4))), (1, (slice(4, 8), slice(4, 8)))):
            assert torch.equal(mixed.inputs[row, 0][corner], inputs[image, 0][corner])


@pytest.mark.parametrize("per", ["batch", "sample"])
@pytest.mark.parametrize("variant", ["paper", "published"])
def test_lam_is_the_mean_of_the_mask_and_labels_weigh_as_pixels_do(per, variant):
    """Of images of one value; only the published variant may leave places blank."""
    mixer = PuzzleMix(per=per, variant=variant, t_eps=0.02)
    value = torch.linspace(1, 2, 12)
    for seed in range(4):
        inputs = value[:, None, None, None].expand(12, 3, 16, 16)
        mixed = blended(mixer, inputs, seed)
        torch.testing.assert_close(mixed.mask.mean((1, 2, 3)), mixed.lam)
        weight = mixed.lam[:, None]
        targets = torch.eye(4)[torch.arange(12) % 4]
        torch.testing.assert_close(mixed.soft_targets, weight * targets + (1 - weight) * targets[mixed.partner])
        expected = mixed.lam * value + (1 - mixed.lam) * value[mixed.partner]
        found = mixed.inputs.mean((1, 2, 3))
        assert torch.allclose(found, expected, atol=1e-5) or variant == "published"
        assert bool((found <= expected + 1e-5).all())


def edges_of(mask):
    """The smallest block that a mask [H, W] can be made of, by where its values change."""
    steps = [mask.shape[0]]
    for turned in (mask, mask.T):
        steps += (1 + (turned[1:] != turned[:-1]).any(1).nonzero().flatten()).tolist()
    return math.gcd(*steps)


def test_grids_are_drawn_for_the_batch_or_for_each_example():
    """Blocks of 8, 4, 2 and 1 pixels; where nothing makes neighbours alike, few masks have coarser ones."""
    inputs, seen = images(4, 16, 16), []
    for seed in range(40):
        masks = blended(PuzzleMix(beta=0.0, eta=0.0, num_labels=2, transport=False), inputs, seed).mask[:, 0]
        seen.append({edges_of(mask) for mask in masks if 0 < mask.mean() < 1})
    assert {min(found) for found in seen if found} == {1, 2, 4, 8}
    assert sum(len(found) > 1 for found in seen) <= 8, "now and then a mask is coarser by chance"
    mixer = PuzzleMix(beta=0.0, eta=0.0, num_labels=2, transport=False, per="sample")
    found = [edges_of(mask) for mask in blended(mixer, images(40, 16, 16)).mask[:, 0] if 0 < mask.mean() < 1]
    assert all(found.count(block) >= 3 for block in (1, 2, 4, 8))


def test_only_the_grids_asked_for_are_drawn():
    for grids, block in ((4, 4), (8, 2)):
        mixer = PuzzleMix(grids=(grids,), beta=0.0, eta=0.0, num_labels=2, transport=False)
        assert {edges_of(mask) for mask in blended(mixer, images(20)).mask[:, 0]} == {block}


@pytest.mark.parametrize("shape", [(16, 16), (8, 24), (12, 4), (6, 10), (28, 28)])
@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("num_classes", [1, 4])
def test_odd_batches_are_mixed(shape, size, num_classes):
    mixer = PuzzleMix(t_eps=0.05, per="sample")
    mixer.check_data(height=shape[0], width=shape[1], num_classes=num_classes)
    inputs = images(size, *shape)
    mixed = blended(mixer, inputs, num_classes=num_classes)
    assert mixed.inputs.shape == inputs.shape and bool(mixed.inputs.isfinite().all())
    torch.testing.assert_close(mixed.soft_targets.sum(1), torch.ones(size))
    torch.testing.assert_close(mixed.mask.mean((1, 2, 3)), mixed.lam)


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({}, (7, 5), "a grid of 2 x 2 blocks does not divide images of 7 x 5 pixels, and each must; crop or pad"),
        ({}, (9, 27), "a grid of 2 x 2 .* set mixing.grids to some of 3, 9$"),
        ({"grids": (4, 8)}, (28, 28), "a grid of 8 x 8 .* set mixing.grids to some of 2, 4, 7, 14, 28$"),
        ({"grids": (4,)}, (8, 6), "a grid of 4 x 4 .* set mixing.grids to some of 2$"),
        ({"grids": (4,), "transport": False}, (8, 6), "a grid of 4 x 4"),
        ({"t_size": 1}, (64, 64), "t_size=1 cuts images of 64 x 64 pixels into 4096 patches to move, must be 1024 or"),
    ],
)
def test_images_that_do_not_fit_are_refused_in_one_line(settings, shape, message):
    with pytest.raises(ValueError, match=f"^puzzlemix: .*{message}") as error:
        PuzzleMix(**settings).check_data(height=shape[0], width=shape[1], num_classes=3)
    assert "\n" not in str(error.value)


def test_the_published_sizes_fit():
    for size, settings in ((32, {}), (64, {"t_size": 0}), (224, {"t_size": 0}), (28, {"grids": "2 4 7 14"})):
        PuzzleMix.parse(settings).check_data(height=size, width=size, num_classes=10)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"grids": [1, 2]}, r"grids.*got \[1, 2\], must be one or more different numbers of blocks from 2 up"),
        ({"grids": "2 2"}, "grids.*got '2 2', must be"),
        ({"grids": []}, "grids.*must be one or more"),
        ({"num_labels": 1}, "num_labels: got 1"),
        ({"beta": -1.0}, "beta: got -1"),
        ({"t_eps": 0.0}, "t_eps: got 0"),
        ({"variant": "official"}, "variant: got 'official'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PuzzleMix.parse(settings)


def test_settings_without_effect_have_one_identity():
    assert PuzzleMix(alpha=0.0).canonical() == Erm()
    still = PuzzleMix(transport=False)
    assert PuzzleMix(transport=False, t_eps=0.3, t_size=2, variant="published").canonical() == still.canonical()
    assert PuzzleMix(beta=0.0, gamma=0.7, neigh_size=2).canonical() == PuzzleMix(beta=0.0, gamma=0.0).canonical()
    for settings in ({"t_eps": 0.3}, {"t_size": 2}, {"variant": "published"}, {"gamma": 0.1}, {"neigh_size": 2}):
        assert PuzzleMix(**settings).canonical() != PuzzleMix().canonical()
    inputs = images(8)
    one, other = (blended(mixer, inputs) for mixer in (PuzzleMix(beta=0.0, gamma=0.7), PuzzleMix(beta=0.0, gamma=0.0)))
    assert torch.equal(one.inputs, other.inputs)


def test_masks_follow_lam_with_a_strong_prior_and_saliency_without():
    """With eta 1,000 every block has the likeliest label; the binomial's mode is half and half between 1/3 and 2/3."""
    mixer, inputs = PuzzleMix(eta=1e3, per="sample"), images(30)
    lam = torch.linspace(0.01, 0.99, 30)
    cutting = Cutting((4,), torch.zeros(30, dtype=torch.int64))
    partner = torch.arange(30).roll(1)
    mixed = mixer.assemble(inputs, torch.eye(30), inputs.square().mean(1), lam=lam, cutting=cutting, partner=partner)
    expected = torch.where(lam < 1 / 3, 0.0, torch.where(lam < 2 / 3, 0.5, 1.0))
    assert torch.equal(mixed.lam, expected)


def test_weights_and_statistics_survive_the_extra_pass():
    inputs, targets = images(8), torch.eye(4).repeat(2, 1)
    with torch.random.fork_rng(devices=[]):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 14 * 14, 4))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    PuzzleMix().blend(model, inputs, targets, {}, epoch=0, generator=generator())
    assert model.training and all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
