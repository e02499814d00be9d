import math

import mask_reference as reference
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tune_mixup.mixing.smoothmix import SmoothMix, gaussian


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bump(row, column, sigma, height, width):
    return gaussian(torch.tensor(row), torch.tensor(column), torch.tensor(sigma), height=height, width=width)


def mix(mixer, inputs, seed=0):
    return mixer.mix(inputs, torch.eye(len(inputs)), {}, epoch=0, generator=generator(seed))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_gaussian_against_the_formula_pixel_by_pixel(data):
    height, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    sigma = data.draw(st.floats(0.0625, 2, width=32))
    expected = reference.gaussian(row, column, sigma, height, width)
    np.testing.assert_allclose(bump(row, column, sigma, height, width).numpy(), expected, atol=1e-6)


def test_many_gaussians_at_once_are_each_what_they_are_alone():
    rows, columns = torch.tensor([0, 3, 8]), torch.tensor([6, 2, 1])
    sigmas = torch.tensor([0.25, 0.5, 0.3])
    together = gaussian(rows, columns, sigmas, height=9, width=7)
    for i in range(3):
        alone = gaussian(rows[i], columns[i], sigmas[i], height=9, width=7)
        torch.testing.assert_close(together[i], alone)


@pytest.mark.parametrize("size", [8, 9])
def test_gaussian_is_a_window_of_a_larger_one_that_moves(size):
    """The released construction: a Gaussian in the middle of a larger canvas, rolled to the centre and cropped."""
    sigma = 0.3
    canvas = np.array([math.exp(-((i - 1.5 * size + 0.5) ** 2) / (2 * (sigma * size) ** 2)) for i in range(3 * size)])
    for row in range(size):
        for column in range(size):
            moved = np.outer(np.roll(canvas, row - size // 2), np.roll(canvas, column - size // 2))
            expected = moved[size : 2 * size, size : 2 * size]
            np.testing.assert_allclose(bump(row, column, sigma, size, size).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(("sigma", "mean"), [(0.25, 0.358), (0.5, 0.732)])
def test_mean_of_a_gaussian_in_the_middle(sigma, mean):
    """(sqrt(2 pi) sigma erf(1 / (2 sqrt(2) sigma)))^2, the integral over the unit square."""
    integral = (math.sqrt(2 * math.pi) * sigma * math.erf(1 / (2 * math.sqrt(2) * sigma))) ** 2
    assert integral == pytest.approx(mean, abs=5e-4)
    assert bump(32, 32, sigma, 64, 64).mean().item() == pytest.approx(integral, abs=5e-4)
    assert bump(32, 20, sigma, 64, 40).mean().item() == pytest.approx(integral, abs=1e-3)


@pytest.mark.parametrize("per", ["batch", "sample"])
@pytest.mark.parametrize("seed", range(4))
def test_mix_against_a_loop(per, seed):
    inputs = torch.randn(5, 2, 7, 6, generator=generator(50 + seed))
    mixed = mix(SmoothMix(per=per), inputs, seed)
    masks = mixed.mask.expand(5, 1, 7, 6)
    for i, j in enumerate(mixed.partner.tolist()):
        mean = masks[i].mean().item()
        assert mixed.lam.expand(5)[i].item() == pytest.approx(mean, abs=1e-6)
        torch.testing.assert_close(mixed.inputs[i], masks[i] * inputs[i] + (1 - masks[i]) * inputs[j])
        own = torch.eye(5)[i] * mean + torch.eye(5)[j] * (1 - mean)
        torch.testing.assert_close(mixed.soft_targets[i], own)
    assert len(masks.flatten(1).unique(dim=0)) == (1 if per == "batch" else 5)


def test_openmixup_swaps_what_the_images_weigh_but_not_the_targets():
    inputs = torch.randn(6, 1, 8, 8, generator=generator(1))
    for seed in range(5):
        paper = mix(SmoothMix(), inputs, seed)
        openmixup = mix(SmoothMix(variant="openmixup"), inputs, seed)
        assert torch.equal(paper.partner, openmixup.partner)
        assert torch.equal(paper.lam, openmixup.lam)
        assert torch.equal(paper.soft_targets, openmixup.soft_targets)
        torch.testing.assert_close(openmixup.mask, 1 - paper.mask)
        expected = (1 - paper.mask) * inputs + paper.mask * inputs[paper.partner]
        torch.testing.assert_close(openmixup.inputs, expected)


def test_every_centre_is_as_likely():
    inputs, draws = torch.zeros(1, 1, 3, 4), 1_200
    centres = [(row, column) for row in range(3) for column in range(4)]
    known = torch.stack([bump(row, column, 0.4, 3, 4) for row, column in centres])
    mixer = SmoothMix(min_sigma=0.4, max_sigma=0.4)
    counts = np.zeros(len(centres))
    for seed in range(draws):
        distance = (mix(mixer, inputs, seed).mask - known[:, None]).abs().amax((1, 2, 3))
        counts[int(distance.argmin())] += 1
        assert distance.min().item() < 1e-6
    assert stats.chisquare(counts).pvalue > 0.001


def test_sigma_is_uniform_in_its_range():
    """The second difference of log G along a row is -1 / (sigma W)^2, wherever the centre lies."""
    inputs = torch.zeros(2_000, 1, 1, 3)
    mask = mix(SmoothMix(min_sigma=0.2, max_sigma=0.6, per="sample"), inputs).mask.double().log().reshape(-1, 3)
    sigma = (-1 / (mask[:, 0] - 2 * mask[:, 1] + mask[:, 2])).sqrt() / 3
    assert stats.kstest(sigma.numpy(), stats.uniform(0.2, 0.4).cdf).pvalue > 0.001


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_gaussian_compiles_as_one_graph(backend):
    compiled = torch.compile(gaussian, backend=backend, fullgraph=True)
    arguments = torch.tensor([1, 2]), torch.tensor([3, 0]), torch.tensor([0.3, 0.4])
    torch.testing.assert_close(
        compiled(*arguments, height=5, width=6), gaussian(*arguments, height=5, width=6), rtol=0, atol=1e-7
    )


def test_no_setting_is_plain_training():
    assert SmoothMix().canonical() == SmoothMix()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"min_sigma": 0.6}, "^max_sigma: got 0.5, must be at least min_sigma, which is 0.6$"),
        ({"min_sigma": 0.3, "max_sigma": 0.2}, "^max_sigma: got 0.2, must be at least min_sigma, which is 0.3$"),
        ({"min_sigma": 0.0}, "^min_sigma: got 0.0, must be greater than or equal to 0.01$"),
        ({"max_sigma": 11.0}, "^max_sigma: got 11.0"),
        ({"max_sigma": float("nan")}, "^max_sigma: got nan"),
        ({"variant": "published"}, "^variant: got 'published'"),
        ({"per": "epoch"}, "^per: got 'epoch'"),
        ({"alpha": 1.0}, "^alpha: there is no such setting here"),
    ],
)
def test_bad_settings_are_refused_by_name(bad, words):
    with pytest.raises(ValueError, match=words):
        SmoothMix.parse(bad)
