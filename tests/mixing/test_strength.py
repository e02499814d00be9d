"""Mixing strength, E[min(lam, 1 - lam)] times the share of mixed batches: closed forms against integrals and draws."""

import math

import pytest
import torch
from scipy import integrate, stats

from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.base import mean_minor_share
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.gridmix import GridMix
from tune_mixup.mixing.manifold_mixup import ManifoldMixup
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.resizemix import ResizeMix
from tune_mixup.mixing.saliencymix import SaliencyMix
from tune_mixup.mixing.smoothmix import SmoothMix

CPU = torch.device("cpu")


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2, 0.7, 1.0, 2.0, 4.0, 50.0, 900.0])
def test_the_minor_share_of_a_beta_against_its_integral(alpha):
    integral, _ = integrate.quad(lambda share: share * stats.beta.pdf(share, alpha, alpha), 0, 0.5, limit=200)
    assert mean_minor_share(alpha) == pytest.approx(2 * integral, rel=1e-6)


def test_the_minor_share_at_the_ends():
    assert mean_minor_share(0) == pytest.approx(0, abs=1e-15)
    for alpha in (1e-12, 1e-9, 1e-6):  # lam is 0 or 1 but for a share of the draws: alpha log 2 to first order
        assert mean_minor_share(alpha) == pytest.approx(alpha * math.log(2), rel=1e-3, abs=1e-15)
    for alpha in (1e5, 9.99e5, 1.01e6, 1e9, 1e300):  # lam is nearly normal around 1/2, with sd 1 / sqrt(8 alpha)
        assert 0.5 - mean_minor_share(alpha) == pytest.approx(1 / math.sqrt(4 * math.pi * alpha), rel=1e-4, abs=1e-15)
    values = [mean_minor_share(10 ** (power / 4)) for power in range(-60, 60)]
    assert values == sorted(values) and values[-1] < 0.5


@pytest.mark.parametrize("alpha", [0.1, 1.0, 4.0])
def test_methods_with_a_beta_have_its_minor_share(alpha):
    expected = mean_minor_share(alpha)
    names = ("mixup", "fmix", "generalized_mixup", "manifold_mixup", "alignmixup")
    assert [MIXERS[name](alpha=alpha).strength() for name in names] == [expected] * 5
    for method in (CutMix, SaliencyMix):
        assert method(alpha=alpha, probability=0.4).strength() == pytest.approx(0.4 * expected)


def test_what_mixes_nothing_has_no_strength():
    for mixer in (Erm(), Mixup(alpha=0.0), CutMix(probability=0.0), ManifoldMixup(alpha=0.0), ResizeMix(alpha=0.0)):
        assert mixer.canonical().strength() is None


def test_a_mixture_has_the_mean_of_its_members():
    mixture = Mixture(members={"erm": Erm(), "mixup": Mixup(alpha=1.0)}, weights={"erm": 3.0, "mixup": 1.0})
    assert mixture.strength() == pytest.approx(0.25 / 4)


@pytest.mark.parametrize(
    ("mixer", "tolerance"),
    [
        (Mixup(alpha=0.3, per="sample"), 0.01),
        (CutMix(alpha=2.0, per="sample", probability=0.5), 0.02),
        (SmoothMix(per="sample"), 0.01),
        (SmoothMix(per="sample", min_sigma=0.05, max_sigma=0.1), 0.01),
        # nominal laws: boxes are cut off at the edge, holes rounded to pixels
        (GridMix(per="sample", alpha=1.0, max_holes=3), 0.04),
        (ResizeMix(per="sample", alpha=3.0), 0.1),
        (ResizeMix(per="sample", alpha=1.0, max_tau=0.3), 0.02),
    ],
)
def test_the_strength_is_what_is_drawn(mixer, tolerance):
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(4000, 1, 32, 32)
    targets = torch.eye(10).repeat(400, 1)
    mixed = mixer.mix(images, targets, {}, epoch=0, generator=generator)
    drawn = torch.minimum(mixed.lam, 1 - mixed.lam).mean().item()
    assert mixer.strength() == pytest.approx(drawn, abs=tolerance)


def test_more_mixing_is_more_strength():
    rising = [
        [GridMix(alpha=alpha).strength() for alpha in (0.1, 0.5, 2.0)],
        [GridMix(min_area=area, max_area=area).strength() for area in (0.2, 0.5)],
        [ResizeMix(max_tau=tau).strength() for tau in (0.2, 0.4, 0.7)],
        [SmoothMix(min_sigma=sigma, max_sigma=sigma).strength() for sigma in (0.05, 0.1, 0.3)],
    ]
    assert all(values == sorted(values) and len(set(values)) == len(values) for values in rising)
    every = [mixer().strength() for name, mixer in MIXERS.items() if name != "erm"]
    assert all(value is not None and 0 < value < 0.5 for value in every)
