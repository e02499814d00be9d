import mixing_reference as reference
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.mixing.sinkhorn import doubly_stochastic, round_to_margins


def assert_doubly_stochastic(matrix: torch.Tensor, tolerance: float) -> None:
    assert bool((matrix >= 0).all())
    np.testing.assert_allclose(matrix.sum(0).numpy(), 1, atol=tolerance)
    np.testing.assert_allclose(matrix.sum(1).numpy(), 1, atol=tolerance)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 30), st.floats(0.1, 60), st.integers(0, 2**32 - 1))
def test_any_positive_matrix_becomes_doubly_stochastic_by_scaling(size, spread, seed):
    log_weights = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * spread
    balanced = doubly_stochastic(log_weights)
    assert_doubly_stochastic(balanced, 1e-12)
    # Scaling rows and columns leaves cross ratios as they were; rounding may blur those of the smallest entries.
    large = balanced > 1e-6
    ratio = balanced.clamp_min(1e-300).log() - log_weights
    for i in range(1, size):
        for j in range(1, size):
            if large[0, 0] and large[i, 0] and large[0, j] and large[i, j]:
                assert abs(ratio[0, 0] - ratio[i, 0] - ratio[0, j] + ratio[i, j]) < 1e-3


@pytest.mark.parametrize("size", [2, 5, 10, 60])
def test_against_one_hundred_plain_iterations(size):
    positive = np.random.default_rng(size).uniform(0.05, 1, (size, size))
    balanced = doubly_stochastic(torch.tensor(positive).log())
    np.testing.assert_allclose(balanced.numpy(), reference.sinkhorn(positive, 100), atol=1e-6)


def test_two_by_two_closed_form():
    """[[a, b], [c, d]] balances to the diagonal sqrt(ad) / (sqrt(ad) + sqrt(bc))."""
    a, b, c, d = 0.7, 1e-9, 3.0, 2e-4
    diagonal = np.sqrt(a * d) / (np.sqrt(a * d) + np.sqrt(b * c))
    balanced = doubly_stochastic(torch.tensor([[a, b], [c, d]], dtype=torch.float64).log())
    np.testing.assert_allclose(balanced.numpy(), [[diagonal, 1 - diagonal], [1 - diagonal, diagonal]], atol=1e-12)


def test_zeros_stay_zeros_where_the_rest_can_be_balanced():
    weights = 1 - torch.eye(4, dtype=torch.float64)
    weights[0, 1] = 5.0
    balanced = doubly_stochastic(weights.log())
    assert_doubly_stochastic(balanced, 1e-12)
    assert balanced.diagonal().max().item() < 1e-12


def test_rounding_repairs_any_nearly_balanced_matrix():
    rough = torch.rand(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert_doubly_stochastic(round_to_margins(rough), 1e-14)
    assert_doubly_stochastic(round_to_margins(rough / 10), 1e-14)
    exact = torch.full((4, 4), 0.25, dtype=torch.float64)
    assert torch.equal(round_to_margins(exact), exact)


@pytest.mark.parametrize("size", [3, 40])
def test_sums_are_exact_even_where_balancing_gives_up(size):
    """Weights that span thousands of orders of magnitude: the scaling is not found, a pairing is made all the same."""
    log_weights = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 1e4
    assert_doubly_stochastic(doubly_stochastic(log_weights), 1e-12)
