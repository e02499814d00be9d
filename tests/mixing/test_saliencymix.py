import tarfile
from itertools import islice
from pathlib import Path

import mixing_reference as reference
import numpy as np
import pytest
import torch
from PIL import Image
from saliency_reference import blobs, fine_grained_by_hand, fine_grained_of_floats_by_hand, residual_by_hand
from torch import nn

from tune_mixup.mixing.base import sample_lam
from tune_mixup.mixing.boxes import box_around, share_outside
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.saliency import SALIENCY, peak, spectral_residual
from tune_mixup.mixing.saliencymix import SaliencyMix, paste_peaks
from tune_mixup.models.tiny_resnet import TinyResNet

CIFAR10 = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "cifar10-imagefolder.tar.xz"


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(channels: int = 3) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TinyResNet(width=4).build(channels=channels, num_classes=5)


@pytest.mark.parametrize("per", ["batch", "sample"])
@pytest.mark.parametrize("seed", range(4))
def test_boxes_against_a_loop_over_pixels(per, seed):
    inputs, _, _ = blobs(9, 11, 2, 3, size=8, seed=seed)
    targets = torch.eye(8)
    maps = torch.rand(8, 9, 11, generator=generator(seed))
    partner = torch.randperm(8, generator=generator(seed))
    lam = torch.rand((8,) if per == "sample" else (), generator=generator(seed))
    mixed = paste_peaks(inputs, targets, maps, lam=lam, partner=partner)
    for i, j in enumerate(partner.tolist()):
        row, column = divmod(int(maps[i].argmax()), 11)
        top, bottom, left, right = reference.box(row, column, lam.expand(8)[i].item(), 9, 11)
        expected = inputs[i].clone()
        expected[:, top:bottom, left:right] = inputs[j][:, top:bottom, left:right]
        assert torch.equal(mixed.inputs[i], expected)
        share = 1 - (bottom - top) * (right - left) / 99
        assert mixed.lam[i].item() == pytest.approx(share, abs=1e-6)
        assert mixed.mask[i].mean().item() == pytest.approx(share, abs=1e-6)
        torch.testing.assert_close(mixed.soft_targets[i], share * targets[i] + (1 - share) * targets[j])


def pasted_where(mixer, inputs, model=None, seed=0):
    targets = torch.eye(len(inputs))
    return mixer.blend(model or nn.Identity(), inputs, targets, {}, epoch=0, generator=generator(seed))


def test_each_example_gets_the_blob_of_its_own_partner():
    inputs, top, left = blobs(32, 32, 3, 4)
    mixed = pasted_where(SaliencyMix(alpha=1e4), inputs)  # lam is 1/2: boxes of 22 x 22 hold the whole blob
    gone = mixed.mask[:, 0] == 0
    for i, j in enumerate(mixed.partner.tolist()):
        assert bool(gone[i, top[j] : top[j] + 4, left[j] : left[j] + 4].all())
    assert len(mixed.lam.unique()) > 1  # clipped at different edges


def test_official_puts_the_box_of_the_first_partner_into_all():
    inputs, top, left = blobs(32, 32, 3, 4)
    mixed = pasted_where(SaliencyMix(alpha=1e4, variant="official", saliency="spectral_residual"), inputs)
    assert mixed.mask.shape == (1, 1, 32, 32) and mixed.lam.shape == ()
    first = mixed.partner[0]
    assert bool((mixed.mask[0, 0, top[first] : top[first] + 4, left[first] : left[first] + 4] == 0).all())
    row, column = peak(spectral_residual(inputs[first][None]))
    box = box_around(row, column, torch.tensor(0.5), height=32, width=32)
    rows = (mixed.mask[0, 0] == 0).any(1).nonzero()
    assert abs(rows.min().item() - box.top.item()) <= 1 and abs(rows.max().item() + 1 - box.bottom.item()) <= 1


def test_gradient_looks_where_the_model_looks():
    """A model that sees one pixel only is most sensitive there, whatever the image shows."""
    inputs, _, _ = blobs(16, 16, 1, 3)

    class Keyhole(nn.Module):
        def forward(self, images):
            return images[:, 0, 11, 3][:, None] * torch.linspace(-1, 1, 20)

    mixed = pasted_where(SaliencyMix(alpha=1e4, saliency="gradient"), inputs, Keyhole())
    assert bool((mixed.mask[:, 0, 11, 3] == 0).all())
    assert len(mixed.mask.flatten(1).unique(dim=0)) == 1


@pytest.mark.parametrize("saliency", ["spectral_residual", "gradient", "fine_grained", None])
@pytest.mark.parametrize("per", ["batch", "sample"])
@pytest.mark.parametrize("variant", ["paper", "official"])
def test_the_whole_method_against_loops(saliency, per, variant):
    """Maps, peaks, boxes and labels by hand for ten batches; only lam and partners are drawn as the method draws them.

    The model is W x, so the gradient of the cross-entropy is W^T (softmax(W x) - t).
    """
    height, width, classes = 8, 11, 4
    weight = np.random.default_rng(0).normal(size=(classes, 3 * height * width)).astype(np.float32)
    linear = nn.Linear(weight.shape[1], classes, bias=False, device="meta")
    linear.weight = nn.Parameter(torch.tensor(weight))
    model = nn.Sequential(nn.Flatten(), linear)
    mixer = SaliencyMix(saliency=saliency, per=per, variant=variant, applied=0.7)
    for seed in range(10):
        inputs = torch.randn(5, 3, height, width, generator=generator(100 + seed))
        targets = torch.eye(classes)[torch.randint(classes, (5,), generator=generator(200 + seed))]
        mixed = mixer.blend(model, inputs, targets, {}, epoch=0, generator=generator(seed))
        made = generator(seed)
        size = (5,) if per == "sample" else ()
        drawn = sample_lam(1.0, size, device=torch.device("cpu"), generator=made)
        lam = torch.where(torch.rand(size, generator=made) < 0.7, drawn, 1.0).expand(5).tolist()
        partner = torch.randperm(5, generator=made).tolist()
        assert mixed.partner.tolist() == partner

        pixels, labels = inputs.double().numpy(), targets.double().numpy()
        for i, j in enumerate(partner):
            k = j if variant == "paper" else partner[0]
            if saliency == "gradient":
                powers = np.exp(weight @ pixels[k].ravel() - (weight @ pixels[k].ravel()).max())
                slope = (weight.T @ (powers / powers.sum() - labels[k])).reshape(3, height, width)
                look = np.sqrt((slope**2).mean(0))
            elif saliency == "fine_grained":
                stretch = 255 * (pixels[k] - pixels[k].min()) / (pixels[k].max() - pixels[k].min())
                look = fine_grained_by_hand(stretch.round().astype(np.uint8))
            elif saliency is None and variant == "official":
                look = fine_grained_of_floats_by_hand(inputs[k].numpy())
            else:
                look = residual_by_hand(pixels[k].mean(0))
            row, column = divmod(int(look.argmax()), width)
            top, bottom, left, right = reference.box(row, column, lam[i], height, width)
            expected = pixels[i].copy()
            expected[:, top:bottom, left:right] = pixels[j][:, top:bottom, left:right]
            np.testing.assert_array_equal(mixed.inputs[i].numpy(), expected)
            share = 1 - (bottom - top) * (right - left) / (height * width)
            soft = share * labels[i] + (1 - share) * labels[j]
            np.testing.assert_allclose(mixed.soft_targets[i].numpy(), soft, atol=1e-6)


def test_a_measure_of_saliency_can_be_added(monkeypatch):
    """One that finds the brightest pixel of the first channel; settings name it like those that ship."""
    monkeypatch.setitem(SALIENCY, "brightest", lambda model, images, targets: images[:, 0])
    inputs = torch.rand(12, 3, 16, 16, generator=generator())
    mixer = SaliencyMix.parse({"alpha": 1e4, "saliency": "brightest"})
    mixed = pasted_where(mixer, inputs)
    for i, j in enumerate(mixed.partner.tolist()):
        row, column = divmod(int(inputs[j, 0].argmax()), 16)
        assert mixed.mask[i, 0, row, column] == 0 or row + column == 0
        assert not bool((mixed.mask[i, 0, : max(row - 5, 0)] == 0).any())
    monkeypatch.undo()
    with pytest.raises(ValueError, match="^saliency: got 'brightest', which is not known; known: fine_grained, flo"):
        SaliencyMix.parse({"saliency": "brightest"})


def test_training_mode_and_statistics_survive_a_step():
    model, plain = build(), build()
    inputs, targets = torch.randn(10, 3, 8, 8, generator=generator()), torch.eye(5).repeat(2, 1)
    mixer = SaliencyMix(saliency="gradient")
    mixed = mixer.blend(model, inputs, targets, {}, epoch=0, generator=generator())
    assert model.training
    model(mixed.inputs), plain(mixed.inputs)
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def crops_of_cifar10(num=1000):
    """Images as they are trained on: cropped after 4 pixels of black were put around them, then normalised."""
    images = torch.zeros(num, 3, 40, 40)
    with tarfile.open(CIFAR10, "r|xz") as archive:
        files = (member for member in archive if member.name.endswith(".jpg"))
        for number, member in enumerate(islice(files, 0, None, 60_000 // num)):
            pixels = np.array(Image.open(archive.extractfile(member)).convert("RGB"))
            images[number, :, 4:36, 4:36] = torch.tensor(pixels).permute(2, 0, 1)
    top, left = torch.randint(9, (2, num, 1, 1, 1), generator=generator())
    rows, columns = top + torch.arange(32)[:, None], left + torch.arange(32)
    cropped = images[torch.arange(num)[:, None, None, None], torch.arange(3)[:, None, None], rows, columns]
    mean, std = (torch.tensor(each)[:, None, None] for each in ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)))
    return (cropped / 255 - mean) / std


@pytest.mark.slow
@pytest.mark.skipif(not CIFAR10.is_file(), reason="needs the shared data folder beside the checkout")
def test_on_real_images_official_has_the_lam_of_the_released_code():
    """At alpha 0.2, that code's lam has a mean of 0.735 and is below a quarter in 2 % of the batches."""
    inputs = crops_of_cifar10()
    row, column = peak(SALIENCY[SaliencyMix(variant="official").measure](nn.Identity(), inputs, torch.zeros(1000, 2)))
    drawn = sample_lam(0.2, (20, 1000), device=torch.device("cpu"), generator=generator())
    lam = share_outside(box_around(row, column, drawn, height=32, width=32), height=32, width=32)
    error = lam.mean(0).std().item() / 1000**0.5  # what is drawn for one image goes by one peak
    assert lam.mean().item() == pytest.approx(0.735, abs=4 * error)
    assert 0.01 < (lam < 0.25).float().mean().item() < 0.03


@pytest.mark.parametrize("settings", [{"alpha": 0.0}, {"applied": 0.0}])
@pytest.mark.parametrize("variant", ["paper", "official"])
def test_settings_without_cutting_are_plain_training(settings, variant):
    mixer = SaliencyMix(**settings, variant=variant)
    assert mixer.simplest() == Erm()
    inputs, _, _ = blobs(12, 12, 3, 3)
    assert torch.equal(pasted_where(mixer, inputs).inputs, inputs)


def test_applied_is_the_share_of_batches_that_are_cut():
    inputs, _, _ = blobs(12, 12, 1, 3, size=4)
    cut = sum(
        bool((pasted_where(SaliencyMix(applied=0.3, alpha=100.0), inputs, seed=seed).lam < 1).any())
        for seed in range(400)
    )
    assert cut / 400 == pytest.approx(0.3, abs=4 * (0.21 / 400) ** 0.5)
