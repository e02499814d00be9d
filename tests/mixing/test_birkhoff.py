import mixing_reference as reference
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tune_mixup.mixing.birkhoff import SCALE_BITS, fair_sides, halve, permutation_pool, quantise
from tune_mixup.mixing.sinkhorn import doubly_stochastic

BLUR = 200 / 2**SCALE_BITS
"""No entry moves by more when a matrix is made integer."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_doubly_stochastic(size: int, seed: int, spread: float = 1.0) -> torch.Tensor:
    return doubly_stochastic(torch.randn(size, size, dtype=torch.float64, generator=generator(seed)) * spread)


def random_even_matrix(size: int, permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Non-negative integers whose rows and columns all sum to 2 * permutations."""
    matrix = np.zeros((size, size), dtype=np.int64)
    for _ in range(2 * permutations):
        matrix[np.arange(size), rng.permutation(size)] += 1
    return matrix


def shares(pool: torch.Tensor) -> np.ndarray:
    """How large a share of the permutations sends each class (row) to each class (column)."""
    size, num_classes = pool.shape
    counts = np.zeros((num_classes, num_classes))
    for permutation in pool.tolist():
        for source, target in enumerate(permutation):
            counts[source, target] += 1
    return counts / size


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_each_half_has_half_of_every_row_and_column(size, permutations, seed):
    rng = np.random.default_rng(seed)
    matrices = np.stack([random_even_matrix(size, number, rng) for number in permutations])
    number, rows, columns = np.indices(matrices.shape)
    assert (np.diff((number * size + rows).ravel()) >= 0).all(), "entries are listed by ascending row"
    half = halve((number * size + columns).ravel(), matrices.ravel(), generator=generator(seed % 1000))
    first = half.reshape(matrices.shape)
    for part in (first, matrices - first):
        assert (part.sum(1) == matrices.sum(1) // 2).all()
        assert (part.sum(2) == matrices.sum(2) // 2).all()
        assert ((part == matrices // 2) | (part == (matrices + 1) // 2)).all()


def test_each_odd_entry_is_rounded_up_half_of_the_time():
    matrix = random_even_matrix(5, 3, np.random.default_rng(0))
    _, columns = np.indices(matrix.shape)
    total, repeats = np.zeros_like(matrix), 2_000
    for seed in range(repeats):
        total += halve(columns.ravel(), matrix.ravel(), generator=generator(seed)).reshape(matrix.shape)
    np.testing.assert_allclose(total / repeats, matrix / 2, atol=4 * 0.5 / repeats**0.5)


def test_sides_of_one_long_cycle_alternate():
    """Row i holds columns i and i + 1: a single cycle through all rows, where side and other side take turns."""
    size = 64
    columns = np.array([column % size for row in range(size) for column in sorted((row, (row + 1) % size))])
    sides = fair_sides(columns, generator=generator())
    steps = {
        (row, int(columns[2 * row + place])): int(sides[2 * row + place]) for row in range(size) for place in (0, 1)
    }
    assert len({steps[row, row] for row in range(size)}) == 1
    assert all(steps[row, (row + 1) % size] == 1 - steps[row, row] for row in range(size))


def test_no_edges_have_no_sides():
    assert len(fair_sides(np.empty(0, dtype=np.intp), generator=generator())) == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.floats(0, 30), st.integers(0, 10_000), st.integers(1, SCALE_BITS))
def test_quantised_rows_and_columns_sum_exactly(size, spread, seed, bits):
    matrix = random_doubly_stochastic(size, seed, spread)
    whole = quantise(matrix, bits)
    assert whole.dtype == torch.int64
    assert bool((whole >= 0).all())
    assert whole.sum(0).tolist() == [2**bits] * size
    assert whole.sum(1).tolist() == [2**bits] * size
    assert float((whole - matrix * 2**bits).abs().max()) < max(size, 2)


def test_quantising_fills_the_staircase():
    """4 (1/3 + ...) rounds down to 1 everywhere, so every row and column lacks one unit: the diagonal gets it."""
    third = torch.full((3, 3), 1 / 3, dtype=torch.float64)
    assert quantise(third, 2).tolist() == [[2, 1, 1], [1, 2, 1], [1, 1, 2]]


@pytest.mark.parametrize(("num_classes", "size"), [(1, 4), (2, 8), (3, 1), (7, 64), (10, 512), (100, 64), (200, 32)])
def test_every_entry_of_the_pool_is_within_one_permutation_of_the_matrix(num_classes, size):
    matrix = random_doubly_stochastic(num_classes, seed=num_classes)
    pool = permutation_pool(matrix, generator=generator(), size=size)
    assert pool.shape == (size, num_classes)
    assert pool.dtype == torch.int64
    assert (np.sort(pool.numpy(), axis=1) == np.arange(num_classes)).all()
    assert abs(shares(pool) - matrix.numpy()).max() < 1 / size + BLUR


def test_a_matrix_of_whole_shares_is_met_exactly():
    matrix = torch.tensor(random_even_matrix(6, 8, np.random.default_rng(1)) / 16)
    pool = permutation_pool(matrix, generator=generator(), size=16)
    assert (shares(pool) == matrix.numpy()).all()
    order = [3, 1, 0, 2]
    only = torch.eye(4, dtype=torch.float64)[order]
    assert permutation_pool(only, generator=generator(), size=8).tolist() == [order] * 8


def test_pools_meet_the_matrix_on_average():
    """Pools of one: over many draws each class goes to each other as often as its row says (chi-square by row)."""
    matrix = random_doubly_stochastic(4, seed=5)
    draws = 600
    made = generator()
    observed = draws * shares(torch.cat([permutation_pool(matrix, generator=made, size=1) for _ in range(draws)]))
    for row, expected in zip(observed, draws * matrix.numpy(), strict=True):
        assert stats.chisquare(row, expected).pvalue > 0.001


def test_pool_is_determined_by_the_generator():
    matrix = torch.tensor(reference.sinkhorn(reference.confusion_like(10)))
    matrix = doubly_stochastic(matrix.log())
    first = permutation_pool(matrix, generator=generator(1), size=32)
    assert torch.equal(first, permutation_pool(matrix, generator=generator(1), size=32))
    assert not torch.equal(first, permutation_pool(matrix, generator=generator(2), size=32))


@pytest.mark.parametrize("size", [0, 3, -4, 2 ** (SCALE_BITS + 1)])
def test_pool_size_must_be_a_power_of_two(size):
    with pytest.raises(ValueError, match=f"got {size}, must be a power of two"):
        permutation_pool(torch.eye(2, dtype=torch.float64), generator=generator(), size=size)
