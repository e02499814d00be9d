"""The shared pieces of every mixer: lam, interpolation, the loss."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing.base import interpolate, sample_lam

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.5, 1.0, 2.0, 8.0])
def test_lam_follows_the_beta_distribution(alpha):
    lam = sample_lam(alpha, (20_000,), device=CPU, generator=generator()).double().numpy()
    expected = stats.beta(alpha, alpha)
    # float32 has nothing between 1 - 6e-8 and 1, where a small alpha puts much of the mass: compare below 0.9.
    below = lam < 0.9
    assert stats.binomtest(int(below.sum()), len(lam), expected.cdf(0.9)).pvalue > 0.01
    assert stats.kstest(lam[below], lambda x: expected.cdf(x) / expected.cdf(0.9)).pvalue > 0.01
    assert lam.mean() == pytest.approx(0.5, abs=4 * expected.std() / np.sqrt(len(lam)))
    spread_of_squares = stats.moment((lam - 0.5) ** 2, 2) ** 0.5
    assert ((lam - 0.5) ** 2).mean() == pytest.approx(expected.var(), abs=4 * spread_of_squares / np.sqrt(len(lam)))


@pytest.mark.parametrize("alpha", [5e-324, 1e-308, 1e-30, 1e-3, 1e3, 1e30])
def test_lam_stays_a_share_for_extreme_alpha(alpha):
    lam = sample_lam(alpha, (2_000,), device=CPU, generator=generator())
    assert bool(((lam >= 0) & (lam <= 1)).all())
    assert lam.double().mean().item() == pytest.approx(0.5, abs=0.05)
    if alpha <= 1e-30:
        assert set(lam.unique().tolist()) == {0.0, 1.0}
    if alpha >= 1e30:
        assert lam.unique().tolist() == [0.5]


def test_no_alpha_is_no_mixing():
    assert sample_lam(0.0, device=CPU, generator=generator()).item() == 1.0
    assert torch.equal(sample_lam(0.0, (3, 2), device=CPU, generator=generator()), torch.ones(3, 2))


def test_lam_is_a_float32_scalar_by_default():
    lam = sample_lam(1.0, device=CPU, generator=generator())
    assert lam.dtype == torch.float32
    assert lam.shape == ()


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 1, 5, 7)])
def test_interpolation_of_scalar_and_per_row_lam_against_a_loop(shape):
    own, other = torch.rand(shape, generator=generator(1)), torch.rand(shape, generator=generator(2))
    per_row = torch.tensor([0.0, 0.25, 0.5, 1.0])
    expected = torch.stack([own[i] * lam + other[i] * (1 - lam) for i, lam in enumerate(per_row.tolist())])
    torch.testing.assert_close(interpolate(own, other, per_row), expected)
    torch.testing.assert_close(interpolate(own, other, torch.tensor(0.3)), own * 0.3 + other * 0.7)
    assert torch.equal(interpolate(own, other, torch.tensor(1.0)), own)
    assert torch.equal(interpolate(own, other, torch.tensor(0.0)), other)


def test_soft_loss_is_the_pair_loss():
    logits = torch.randn(16, 7, generator=generator())
    own = torch.randint(7, (16,), generator=generator(1))
    other = torch.randint(7, (16,), generator=generator(2))
    lam = 0.3
    soft = lam * F.one_hot(own, 7) + (1 - lam) * F.one_hot(other, 7)
    pair = lam * F.cross_entropy(logits, own) + (1 - lam) * F.cross_entropy(logits, other)
    torch.testing.assert_close(CrossEntropy()(logits, soft), pair)


def test_loss_is_float32_for_half_precision_logits():
    logits = torch.randn(8, 5, generator=generator()).bfloat16()
    soft = torch.full((8, 5), 0.2)
    expected = -(soft * logits.float().log_softmax(1)).sum(1).mean()
    assert CrossEntropy()(logits, soft).dtype == torch.float32
    torch.testing.assert_close(CrossEntropy()(logits, soft), expected)
