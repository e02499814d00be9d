"""Mixing strength, E[min(lam, 1 - lam)] times the share of mixed batches: closed forms against integrals and draws."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution
from scipy import integrate, special, stats

from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.base import mean_minor_share
from tune_mixup.mixing.boxes import mean_minor_share_of_boxes
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.fmix import FMix
from tune_mixup.mixing.gridmix import GridMix
from tune_mixup.mixing.manifold_mixup import ManifoldMixup
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.resizemix import ResizeMix
from tune_mixup.mixing.saliency import SALIENCY
from tune_mixup.mixing.saliencymix import SaliencyMix
from tune_mixup.mixing.smoothmix import SmoothMix
from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.schema import nest
from tune_mixup.space_files import load_space

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
def test_methods_that_train_with_the_lam_they_draw_have_its_minor_share(alpha):
    expected = mean_minor_share(alpha)
    names = ("mixup", "fmix", "generalized_mixup", "manifold_mixup", "alignmixup", *sorted(BY_DATA))
    mixers = [MIXERS[name](alpha=alpha) for name in names]
    assert [mixer.strength() for mixer in mixers] == [expected] * 9


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.2, 1.0, 4.0, 1e6])
def test_the_minor_share_of_boxes_against_a_sum_over_all_boxes(alpha):
    """Half a side is h pixels where lam is above 1 - ((h + 1) / 16)^2, up to 1 - (h / 16)^2, and 16 where lam is 0."""
    expected = 0.0
    edges = [1.0, *(1 - (half / 16) ** 2 for half in range(1, 16)), 2**-54, 0.0]  # 2^-54 is what 1 - lam takes for 0
    for half in range(17):
        sides = [min(centre + half, 32) - max(centre - half, 0) for centre in range(32)]
        areas = np.outer(sides, sides) / 1024
        chance = special.betainc(alpha, alpha, edges[half]) - special.betainc(alpha, alpha, edges[half + 1])
        expected += chance * np.minimum(areas, 1 - areas).mean()
    assert mean_minor_share_of_boxes(alpha) == pytest.approx(expected, abs=1e-12)
    for method in (CutMix, SaliencyMix):
        assert method(alpha=alpha, applied=0.4).mean_strength() == 0.4 * mean_minor_share_of_boxes(alpha)


def test_what_mixes_nothing_has_no_strength():
    for mixer in (
        Erm(),
        Mixup(alpha=0.0),
        CutMix(applied=0.0),
        FMix(applied=0.0),
        ManifoldMixup(alpha=0.0),
        ResizeMix(alpha=0.0),
    ):
        assert mixer.simplest().mean_strength() is None


def test_a_mixture_has_the_mean_of_its_members():
    mixture = Mixture(members={"erm": Erm(), "mixup": Mixup(alpha=1.0)}, weights={"erm": 3.0, "mixup": 1.0})
    assert mixture.strength() == pytest.approx(0.25 / 4)
    rarely = mixture.replace(members={"erm": Erm(), "mixup": Mixup(alpha=1.0, applied=0.6)}, applied=0.5)
    assert rarely.mean_strength() == pytest.approx(0.5 * 0.6 * 0.25 / 4)


SETTINGS = {
    "mixup": ("alpha",),
    "cutmix": ("alpha", "applied"),
    "manifold_mixup": ("alpha", "layers"),
    "alignmixup": ("alpha", "aligned"),
    "smoothmix": ("min_sigma", "max_sigma"),
    "saliencymix": ("alpha", "applied"),
    "gridmix": ("alpha", "min_holes", "max_holes"),
    "resizemix": ("alpha", "min_tau", "max_tau"),
    "fmix": ("alpha", "decay"),
    "generalized_mixup": ("alpha",),
    "mixture": ("members.mixup.alpha", "members.cutmix.alpha", "members.resizemix.alpha", "weights.resizemix"),
}
"""What each method's own space searches of what its strength depends on, and a little more."""
BY_DATA = {"attentivemix", "puzzlemix", "automix", "samix"}
"""Methods whose masks follow the images and the network, and whose strength goes by the lam that is drawn."""
MEASURED = {"comixup"}
"""Methods that draw no lam, and whose strength is what was seen; their own tests look for it."""
VARIANTS = [
    SmoothMix(variant="openmixup"),
    GridMix(variant="openmixup", alpha=2.0),
    GridMix(max_holes=3, alpha=2.0),
    GridMix(min_area=0.2, max_area=0.4, hole_aspect=3.0, alpha=1.0),
    ResizeMix(min_tau=0.5, max_tau=0.5),
    ResizeMix(max_tau=1.0, alpha=0.1),
    FMix(variant="official", max_soft=0.3, alpha=0.1),
    CutMix(alpha=0.001),
    Mixture(),
]


def corners():
    """Each method of the registry as it comes, and at every corner of its own space."""
    for name in sorted(MIXERS.keys() - {"erm", *BY_DATA, *MEASURED}):
        space = load_space(name)
        fixed = {key: value for key, value in space.fixed.items() if key.startswith("mixing.")}
        ends = []
        for key in SETTINGS[name]:
            found = space.free.get(f"mixing.{key}")
            assert found or name == "generalized_mixup"
            found = found or FloatDistribution(0.1, 2.0)
            is_choice = isinstance(found, CategoricalDistribution)
            ends.append(found.choices[:: len(found.choices) - 1] if is_choice else (found.low, found.high))
        if name != "mixture":
            yield MIXERS[name]()
        for values in product(*ends):
            point = {f"mixing.{key}": value for key, value in zip(SETTINGS[name], values, strict=True)}
            rest = {"mixing.weights.cutmix": 1.5} if name == "mixture" else {}
            settings = {key.removeprefix("mixing."): value for key, value in {**fixed, **rest, **point}.items()}
            yield MIXERS[name].parse(nest(settings))


def drawn_minor_shares(mixer, side, num):
    """min(lam, 1 - lam) of `num` examples of `side` x `side` pixels, each with draws of its own."""
    generator = torch.Generator().manual_seed(0)
    mixer = mixer.replace(per="sample")
    if isinstance(mixer, Mixture):
        mixer = mixer.replace(members={label: one.replace(per="sample") for label, one in mixer.members.items()})
    with torch.random.fork_rng(devices=[]):
        network = TinyResNet(width=1).build(channels=1, num_classes=10)
    shares, size = [], 1000
    state = mixer.init(10, device=CPU, generator=generator)
    for _ in range(0, num, size):
        images = torch.rand(size, 1, side, side, generator=generator)
        targets = torch.eye(10).repeat(size // 10, 1)
        mixed = mixer.mixed_batch(network, images, targets, state, epoch=0, generator=generator)
        shares.append(torch.minimum(mixed.lam, 1 - mixed.lam).double().expand(size))
    return torch.cat(shares)


@pytest.fixture
def peaks_anywhere(monkeypatch):
    """Peaks are where noise has its largest value: in every place equally often."""
    monkeypatch.setitem(SALIENCY, "spectral_residual", lambda model, images, targets: images[:, 0])


@pytest.mark.usefixtures("peaks_anywhere")
@pytest.mark.parametrize(
    ("mixer", "num"), [*((mixer, 4000) for mixer in corners()), *((mixer, 16_000) for mixer in VARIANTS)]
)
def test_the_strength_is_what_is_drawn(mixer, num):
    """Within four standard errors of the draws, and what 1024 even ones may be off."""
    shares = drawn_minor_shares(mixer, 32, num)
    tolerance = 4 * shares.std().item() / len(shares) ** 0.5 + 0.002
    assert mixer.mean_strength() == pytest.approx(shares.mean().item(), abs=tolerance)


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


@pytest.mark.parametrize("side", [28, 64])
@pytest.mark.parametrize("name", ["cutmix", "smoothmix", "gridmix", "resizemix"])
def test_on_images_of_other_sizes_it_is_nearly_so(name, side):
    """Sides of boxes and cells lose up to two pixels, whatever the size."""
    mixer = MIXERS[name]()
    shares = drawn_minor_shares(mixer, side, 4000)
    assert abs(mixer.strength() - shares.mean().item()) <= 0.01 + 4 * shares.std().item() / len(shares) ** 0.5
