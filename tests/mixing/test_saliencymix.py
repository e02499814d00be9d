import mixing_reference as reference
import pytest
import torch
from saliency_reference import blobs
from torch import nn

from tune_mixup.mixing.boxes import box_around
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.saliency import peak, spectral_residual
from tune_mixup.mixing.saliencymix import SaliencyMix, paste_peaks
from tune_mixup.models.tiny_resnet import TinyResNet


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
    mixed = pasted_where(SaliencyMix(alpha=1e4, variant="official"), inputs)
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


def test_training_mode_and_statistics_survive_a_step():
    model, plain = build(), build()
    inputs, targets = torch.randn(10, 3, 8, 8, generator=generator()), torch.eye(5).repeat(2, 1)
    mixer = SaliencyMix(saliency="gradient")
    mixed = mixer.blend(model, inputs, targets, {}, epoch=0, generator=generator())
    assert model.training
    model(mixed.inputs), plain(mixed.inputs)
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


@pytest.mark.parametrize("settings", [{"alpha": 0.0}, {"probability": 0.0}])
@pytest.mark.parametrize("variant", ["paper", "official"])
def test_settings_without_cutting_are_plain_training(settings, variant):
    mixer = SaliencyMix(**settings, variant=variant)
    assert mixer.canonical() == Erm()
    inputs, _, _ = blobs(12, 12, 3, 3)
    assert torch.equal(pasted_where(mixer, inputs).inputs, inputs)


def test_probability_is_the_share_of_batches_that_are_cut():
    inputs, _, _ = blobs(12, 12, 1, 3, size=4)
    cut = sum(
        bool((pasted_where(SaliencyMix(probability=0.3, alpha=100.0), inputs, seed=seed).lam < 1).any())
        for seed in range(400)
    )
    assert cut / 400 == pytest.approx(0.3, abs=4 * (0.21 / 400) ** 0.5)
