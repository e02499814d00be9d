"""Labellings against loops, against all labellings of small grids, and against SciPy's maximum flow."""

import numpy as np
import pytest
import torch
from labelling_reference import Problem, cost, least_cost, minimum_cut

from tune_mixup.mixing.grid_labelling import label_grid, labelling_cost

SWEEPS = 5
POTTS = 1 - np.eye(3)


def squares(num_labels):
    shown = np.linspace(0, 1, num_labels)
    return (shown - shown[:, None]) ** 2


def problems(size, rows, columns, distance, *, seed=0, strength=1.0, negative=False):
    """Costs of 0 to 1, weights up to `strength` around one of their own for each problem."""
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(size):
        low = -0.3 if negative else 0.0
        down, across = (
            strength * draw.uniform(low, draw.uniform(0.1, 1), shape)
            for shape in ((rows - 1, columns), (rows, columns - 1))
        )
        made.append(Problem(draw.uniform(0, 1, (rows, columns, len(distance))), down, across, distance))
    return made


def tensors(made, dtype=torch.float32):
    unary, down, across = (torch.tensor(np.stack(part), dtype=dtype) for part in list(zip(*made, strict=True))[:3])
    return unary, down, across, torch.tensor(made[0].distance, dtype=dtype)


def solved(made, sweeps=SWEEPS):
    return label_grid(*tensors(made), sweeps=sweeps).labels.numpy()


def excess(made, best):
    """How much more than the best labelling ours costs, relative to it, by the loop."""
    found = np.array([cost(labels, problem) for labels, problem in zip(solved(made), made, strict=True)])
    best = np.array(best)
    assert (found >= best - 1e-5).all(), "nothing is better than the best"
    return (found - best) / abs(best)


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (1, 4), (4, 1), (1, 1)])
def test_the_cost_against_a_loop(shape):
    made = problems(4, *shape, POTTS, negative=True)
    labels = np.random.default_rng(1).integers(0, 3, (4, *shape))
    found = labelling_cost(torch.tensor(labels), *tensors(made, torch.float64))
    np.testing.assert_allclose(found, [cost(one, problem) for one, problem in zip(labels, made, strict=True)])


@pytest.mark.parametrize("distance", [squares(2), squares(3), squares(4), POTTS], ids=["2", "3", "4", "potts"])
@pytest.mark.parametrize("strength", [0.3, 3.0])
def test_two_by_two_cells_against_all_labellings(distance, strength):
    made = problems(60, 2, 2, distance, strength=strength)
    more = excess(made, [least_cost(problem) for problem in made])
    assert more.mean() < 2e-3 and (more < 1e-5).mean() > 0.95


@pytest.mark.parametrize("distance", [squares(2), squares(3), POTTS], ids=["2", "3", "potts"])
@pytest.mark.parametrize("strength", [0.3, 3.0])
def test_three_by_three_cells_against_all_labellings(distance, strength):
    made = problems(25, 3, 3, distance, strength=strength)
    more = excess(made, [least_cost(problem) for problem in made])
    assert more.mean() < 4e-3 and (more < 1e-5).mean() > 0.8


@pytest.mark.parametrize("shape", [(1, 8), (8, 1), (1, 1), (1, 2)])
def test_a_single_row_or_column_is_solved_exactly_by_one_sweep(shape):
    """There messages go around no circle; weights may be negative and forbidden labels cost infinitely much."""
    made = problems(30, *shape, POTTS, negative=True)
    for number, problem in enumerate(made):
        problem.unary[..., number % 3][number % 2 :: 2] = np.inf
    found = [cost(labels, problem) for labels, problem in zip(solved(made, sweeps=1), made, strict=True)]
    np.testing.assert_allclose(found, [least_cost(problem) for problem in made], rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("num_labels", [3, 6])
def test_problems_may_have_distances_of_their_own(shape, num_labels):
    """And more labels than cells, as well as fewer."""
    draw = np.random.default_rng(5)
    made = []
    for problem in problems(20, *shape, squares(num_labels), strength=2.0):
        distance = draw.uniform(0, 1, (num_labels, num_labels))
        made.append(problem._replace(distance=distance + distance.T - 2 * np.diag(np.diag(distance))))
    unary, down, across, _ = tensors(made)
    distance = torch.tensor(np.stack([problem.distance for problem in made]), dtype=torch.float32)
    labels = label_grid(unary, down, across, distance, sweeps=SWEEPS).labels
    costs = labelling_cost(labels, unary, down, across, distance)
    found = np.array([cost(one, problem) for one, problem in zip(labels.numpy(), made, strict=True)])
    np.testing.assert_allclose(costs, found, rtol=1e-5)
    more = found / [least_cost(problem) for problem in made] - 1
    assert (more < 1e-5).mean() >= (0.8 if shape == (2, 2) else 1.0) and more.mean() < 0.01


def test_weights_that_favour_unequal_neighbours():
    """A chessboard has no circle of odd length, so it can be had."""
    even = Problem(np.zeros((6, 6, 2)), -np.ones((5, 6)), -np.ones((6, 5)), squares(2))
    even.unary[0, 0, 1] = 0.1
    (labels,) = solved([even], sweeps=8)
    assert np.array_equal(labels, np.indices((6, 6)).sum(0) % 2)


@pytest.mark.parametrize("strength", [50.0, 1e4])
def test_strong_edges_want_one_label_for_all(strength):
    made = problems(20, 6, 7, squares(3), strength=strength)
    made = [problem._replace(down=problem.down + strength, across=problem.across + strength) for problem in made]
    for labels, problem in zip(solved(made), made, strict=True):
        assert (labels == problem.unary.sum((0, 1)).argmin()).all()


def test_cells_without_neighbours_take_what_is_cheapest():
    made = problems(5, 6, 7, POTTS, strength=0.0)
    for labels, problem in zip(solved(made), made, strict=True):
        assert np.array_equal(labels, problem.unary.argmin(-1))


def test_forbidden_labels_are_never_given():
    made = problems(20, 5, 5, squares(3), strength=5.0)
    for problem in made:
        problem.unary[..., 1] = np.inf
        problem.unary[2, 2, 0] = np.inf
    labels = solved(made)
    assert (labels != 1).all() and (labels[:, 2, 2] == 2).all()


def test_problems_of_a_batch_do_not_know_of_each_other():
    made = problems(6, 4, 5, squares(3))
    together = solved(made)
    assert all(np.array_equal(together[[index]], solved([problem])) for index, problem in enumerate(made))


def test_more_sweeps_are_never_worse():
    made = problems(40, 8, 8, POTTS, strength=2.0, negative=True)
    found = [labelling_cost(torch.tensor(solved(made, sweeps)), *tensors(made)) for sweeps in (0, 1, 2, 4, 8)]
    assert all(bool((later <= earlier).all()) for earlier, later in zip(found, found[1:], strict=False))
    assert (found[-1] < found[0]).all()


def test_the_flow_is_a_witness():
    """Of the same least cost as all labellings tried out."""
    for num_labels in (2, 3, 4):
        made = problems(5, 2, 3, squares(num_labels), strength=2.0)
        found = [cost(minimum_cut(problem), problem) for problem in made]
        np.testing.assert_allclose(found, [least_cost(problem) for problem in made], rtol=1e-5)


@pytest.mark.parametrize(("size", "count"), [(4, 12), (8, 8), (16, 6)])
@pytest.mark.parametrize("num_labels", [2, 3])
def test_larger_grids_against_the_maximum_flow(size, count, num_labels):
    made = problems(count, size, size, squares(num_labels), strength=1.0)
    more = excess(made, [cost(minimum_cut(problem), problem) for problem in made])
    assert more.mean() < 0.01 and more.max() < 0.05


@pytest.mark.slow
def test_a_thousand_problems_against_the_maximum_flow():
    """250 of each size, of two to four labels, with weak to strong edges."""
    draw, every = np.random.default_rng(3), []
    for size in (2, 4, 8, 16):
        for group in range(25):
            strength = 10 ** draw.uniform(-1, 0.7)
            made = problems(10, size, size, squares(2 + group % 3), seed=100 * size + group, strength=strength)
            every.append(excess(made, [cost(minimum_cut(problem), problem) for problem in made]))
    every = np.stack(every)
    assert every.size == 1000 and every.mean() < 0.003 and (every.mean(1) < 0.05).all()
