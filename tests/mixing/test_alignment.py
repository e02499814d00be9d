"""Transport between feature maps: against recorded plans, a slow loop, exact assignments and closed forms."""

import math

import numpy as np
import pytest
import torch
from golden import case
from scipy.optimize import linear_sum_assignment

from tune_mixup.mixing.alignment import annealed, carry, distances, stopped

FILES = ("alignmix_1", "alignmix_2")
every_recorded = pytest.mark.parametrize("number", range(7))


def made(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=made(seed), dtype=torch.float64).to(dtype)


def recorded(number):
    settings, arrays = case(number, *FILES)
    own = arrays["features"]
    return settings, arrays, own, own[arrays["perm"].long()]


@every_recorded
def test_distances_are_the_recorded_ones(number):
    _, arrays, own, other = recorded(number)
    torch.testing.assert_close(distances(own, other, normalised=False), arrays["cost"], rtol=1e-5, atol=1e-6)


@every_recorded
def test_the_published_sweeps_stop_where_they_were_recorded_to(number):
    settings, arrays, own, other = recorded(number)
    cost = distances(own, other, normalised=False)
    found = stopped(cost, epsilon=settings["eps"], sweeps=settings["max_iter"])
    places = cost.shape[-1]
    torch.testing.assert_close(found, places * arrays["plan"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.sum(2), arrays["assignment_row_sums"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.sum(1), arrays["assignment_col_sums"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(carry(other, found), arrays["aligned_partner"], rtol=1e-4, atol=5e-5)
    torch.testing.assert_close(carry(own, found.mT), arrays["aligned_own"], rtol=1e-4, atol=5e-5)
    done = settings["iterations_done"]
    assert torch.equal(stopped(cost, epsilon=settings["eps"], sweeps=done), found)
    if done > 1:
        before = stopped(cost, epsilon=settings["eps"], sweeps=done - 1)
        assert float((before - found).abs().max()) > 1e-4


@every_recorded
def test_settled_sums_are_one_where_the_published_rows_are_not(number):
    settings, arrays, own, other = recorded(number)
    settled = annealed(distances(own, other, normalised=False), epsilon=settings["eps"], sweeps=20)
    for sums in (settled.sum(1), settled.sum(2)):
        torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=1e-5)
    off = (arrays["assignment_row_sums"] - 1).abs().max().item()
    assert (off > 0.1) == (number in (0, 2, 5))


def slow(cost, *, epsilon, sweeps):
    """Sinkhorn's algorithm by the book, one pair, one row and one column at a time."""
    found = []
    for one in cost.double().numpy():
        potential = np.zeros(len(one))
        for _ in range(sweeps):
            row = [-_soft(potential - line, epsilon) for line in one]
            potential = np.array([-_soft(row - line, epsilon) for line in one.T])
        found.append(np.exp((np.array(row)[:, None] + potential - one) / epsilon))
    return torch.tensor(np.stack(found))


def _soft(values, epsilon):
    top = values.max()
    return top + epsilon * math.log(np.exp((values - top) / epsilon).sum())


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_against_sinkhorn_by_the_book(epsilon):
    cost = normal(3, 5, 5, seed=1).square()
    found = annealed(cost, epsilon=epsilon, sweeps=60)
    torch.testing.assert_close(found, slow(cost, epsilon=epsilon, sweeps=200), rtol=0, atol=1e-6)


def test_stopped_sweeps_against_the_book():
    cost = normal(1, 6, 6, seed=2).square()
    for sweeps in (1, 2, 3):
        found = stopped(cost, epsilon=0.2, sweeps=sweeps)
        torch.testing.assert_close(found, slow(cost, epsilon=0.2, sweeps=sweeps), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [3.0, 30.0, 300.0])
def test_the_cost_is_hardly_above_that_of_the_best_assignment(scale):
    """However far apart the features are."""
    own, other = normal(6, 16, 4, 4, seed=3), normal(6, 16, 4, 4, seed=4)
    cost = distances(own, other, normalised=False)
    cost = cost * (scale / cost.mean())
    found = annealed(cost, epsilon=0.01, sweeps=20)
    least = sum(one[linear_sum_assignment(one)].sum() for one in cost.numpy())
    assert least <= (found * cost).sum().item() * (1 + 1e-9) <= 1.05 * least


@pytest.mark.parametrize("shape", [(2, 6, 3, 4), (1, 6, 4, 3)])
def test_places_that_were_permuted_are_found_again(shape):
    own = 3 * normal(*shape, seed=5)
    places = shape[2] * shape[3]
    order = torch.randperm(places, generator=made(6))
    other = own.flatten(2)[:, :, order].reshape(shape)
    found = annealed(distances(own, other, normalised=False), epsilon=0.01, sweeps=20)
    expected = torch.zeros(places, places, dtype=torch.float64)
    for place, source in enumerate(order.tolist()):
        expected[source, place] = 1
    torch.testing.assert_close(found, expected.expand_as(found), rtol=0, atol=1e-4)
    torch.testing.assert_close(carry(other, found), own, rtol=0, atol=1e-3)
    torch.testing.assert_close(carry(own, found.mT), other, rtol=0, atol=1e-3)


def test_equal_maps_are_left_as_they_are_when_cold_and_become_their_mean_when_hot():
    own = normal(2, 8, 3, 3, seed=7)
    cost = distances(own, own, normalised=False)
    cold, hot = (annealed(cost, epsilon=epsilon, sweeps=20) for epsilon in (1e-3, 1e4))
    torch.testing.assert_close(carry(own, cold), own, rtol=0, atol=1e-6)
    mean = own.mean((2, 3), keepdim=True).expand_as(own)
    torch.testing.assert_close(carry(own, hot), mean, rtol=0, atol=1e-2)


@pytest.mark.parametrize("sweeps", [1, 2, 20])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e6])
@pytest.mark.parametrize("places", [1, 2, 9])
def test_sums_are_one_however_few_sweeps_and_however_far_apart(places, scale, sweeps):
    cost = scale * normal(3, places, places, seed=8, dtype=torch.float32).square()
    found = annealed(cost, epsilon=0.1, sweeps=sweeps)
    assert bool((found >= 0).all())
    for sums in (found.sum(1), found.sum(2)):
        torch.testing.assert_close(sums, torch.ones(3, places), rtol=0, atol=1e-5)


def test_a_pair_is_settled_for_itself_but_stops_with_its_batch():
    alone = distances(normal(1, 4, 3, 3, seed=9), normal(1, 4, 3, 3, seed=10), normalised=False)
    together = torch.cat([alone, alone.new_zeros(9, 9, 9)])  # nothing to settle
    torch.testing.assert_close(annealed(together, epsilon=0.1, sweeps=20)[:1], annealed(alone, epsilon=0.1, sweeps=20))
    found = [stopped(cost, epsilon=0.1, sweeps=100)[:1] for cost in (together, alone)]
    assert float((found[0] - found[1]).abs().max()) > 1e-3


@pytest.mark.parametrize("normalised", [False, True])
def test_distances_against_a_loop(normalised):
    own, other = normal(2, 5, 2, 3, seed=11), normal(2, 5, 2, 3, seed=12)
    found = distances(own, other, normalised=normalised)
    for example in range(2):
        for here in range(6):
            for there in range(6):
                one, two = own[example, :, here // 3, here % 3], other[example, :, there // 3, there % 3]
                if normalised:
                    one, two = one / one.square().sum().sqrt(), two / two.square().sum().sqrt()
                assert found[example, here, there].item() == pytest.approx((one - two).square().sum().item(), rel=1e-9)


def test_distances_keep_the_digits_that_products_lose():
    """Features far from the origin: |a|^2 + |b|^2 - 2ab has none of the distance's digits left in single precision."""
    own, other = (1000 + normal(1, 4, 2, 2, seed=seed) for seed in (13, 14))
    exact = distances(own.float().double(), other.float().double(), normalised=False)
    torch.testing.assert_close(
        distances(own.float(), other.float(), normalised=False).double(), exact, rtol=1e-6, atol=0
    )
    rounded = distances(own.bfloat16(), other.bfloat16(), normalised=False)
    assert rounded.dtype == torch.float32


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_features_are_carried_as_a_loop_does(layout, dtype):
    features = normal(2, 3, 2, 4, seed=15, dtype=dtype).contiguous(memory_format=layout)
    weights = normal(2, 8, 8, seed=16).softmax(2)
    found = carry(features, weights)
    assert found.dtype == dtype and found.is_contiguous(memory_format=layout)
    for example in range(2):
        for place in range(8):
            expected = sum(
                weights[example, place, source] * features[example, :, source // 4, source % 4].double()
                for source in range(8)
            )
            tolerance = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 2e-2}[dtype]
            torch.testing.assert_close(
                found[example, :, place // 4, place % 4].double(), expected, rtol=tolerance, atol=tolerance
            )


def test_features_without_places_have_one():
    vectors = normal(3, 5, seed=17)
    cost = distances(vectors, vectors.flip(0), normalised=False)
    assert cost.shape == (3, 1, 1)
    torch.testing.assert_close(carry(vectors, annealed(cost, epsilon=0.1, sweeps=3)), vectors)
