"""The terms of Puzzle Mix's energy against what the released code recorded, against loops and closed forms."""

import itertools

import numpy as np
import pytest
import torch
from golden import cases
from labelling_reference import Problem, least_cost
from scipy import stats

from tune_mixup.mixing.grid_labelling import label_grid, labelling_cost
from tune_mixup.mixing.puzzle import Cutting, PuzzleWeights, jumps, label_distance, largest_divisor, prior, puzzle_costs
from tune_mixup.mixing.puzzle import shares as puzzle_shares
from tune_mixup.mixing.puzzlemix import SWEEPS

CPU = torch.device("cpu")


def recorded():
    return [case for case in cases("puzzlemix_1", "puzzlemix_2")]


def single(array):
    return torch.tensor(np.asarray(array, dtype=np.float32))


def whole_batch(grid, size):
    return Cutting((grid,), torch.zeros(size, dtype=torch.int64))


def terms(settings, arrays):
    """Shares, jumps and costs of a recorded batch, by ours."""
    partner, cutting = torch.tensor(arrays["perm"]).long(), whole_batch(settings["block_num"], settings["N"])
    block = settings["W"] // settings["block_num"]
    share = puzzle_shares(single(arrays["saliency"]), [(block, block)], cutting, partner)
    pixels = single(arrays["images"]) * single(arrays["std"])[:, None, None]
    down, across = jumps(pixels, partner, cutting, neigh_size=settings["neigh_size"])
    lam = torch.full((settings["N"],), settings["lam"])
    weights = PuzzleWeights(settings["beta"], settings["gamma"], settings["eta"])
    costs = puzzle_costs(share, down, across, lam, cutting, weights, num_labels=settings["n_labels"])
    return share, down, across, costs


def same(found, expected, tolerance=1e-6):
    np.testing.assert_allclose(np.asarray(found), expected, atol=tolerance, rtol=0)


def test_shares_jumps_and_costs_are_those_of_the_released_code():
    for settings, arrays in recorded():
        share, down, across, costs = terms(settings, arrays)
        same(share[0], arrays["sal_share"])
        same(share[1], arrays["sal_share"][arrays["perm"]])
        for (one, first), (two, second) in itertools.product(enumerate("op"), repeat=2):
            same(down[one, two], arrays[f"penalty_v_{first}{second}"])
            same(across[one, two], arrays[f"penalty_h_{first}{second}"])
        same(costs.down, arrays["edge_v"] + arrays["beta_eff"])
        same(costs.across, arrays["edge_h"] + arrays["beta_eff"])
        last = settings["n_labels"] - 1
        factor = settings["eta"] / settings["block_num"] ** 2
        for label, kept in ((0, "own"), (last, "partner")):
            odds = -factor * np.log(stats.binom.pmf(label, last, 1 - settings["lam"]))
            same(costs.unary[..., label], arrays[f"cost_keep_{kept}"] + odds)


def test_energies_are_those_of_the_released_code_and_ours_are_as_low():
    """Of its own labels to the last digits; where its code overflows, of those that it finds without."""
    more = []
    for settings, arrays in recorded():
        *_, costs = terms(settings, arrays)
        last = settings["n_labels"] - 1
        distance = label_distance(last + 1, device=CPU)
        theirs = torch.tensor(np.round((1 - arrays["mask_grid"]) * last)).long()
        same(labelling_cost(theirs, *costs, distance), arrays["energy"], 2e-6)
        least = arrays.get("energy_without_overflow", arrays["energy"])
        ours = labelling_cost(label_grid(*costs, distance, sweeps=SWEEPS).labels, *costs, distance).numpy()
        more += list((ours - least) / least)
        if "energy_optimum" in arrays:
            same(ours, arrays["energy_optimum"], 2e-6)
    assert len(more) > 25 and np.mean(more) < 1e-3 and max(more) < 1e-2


def test_small_grids_are_labelled_as_well_as_can_be():
    """All labellings of 2 x 2 and 3 x 3 blocks, of costs as they come from images and saliency."""
    for grid, num_labels in ((2, 2), (2, 3), (2, 4), (3, 2), (3, 3)):
        made = torch.Generator().manual_seed(10 * grid + num_labels)
        images, saliency = torch.rand(30, 3, 12, 12, generator=made), torch.rand(30, 12, 12, generator=made) ** 4
        partner, cutting = torch.randperm(30, generator=made), whole_batch(grid, 30)
        share = puzzle_shares(saliency, [(12 // grid,) * 2], cutting, partner)
        down, across = jumps(images, partner, cutting, neigh_size=4)
        lam = torch.rand(30, generator=made)
        costs = puzzle_costs(share, down, across, lam, cutting, PuzzleWeights(1.2, 0.5, 0.2), num_labels=num_labels)
        distance = label_distance(num_labels, device=CPU)
        found = labelling_cost(label_grid(*costs, distance, sweeps=SWEEPS).labels, *costs, distance).numpy()
        numbers = [costs.unary.double().numpy(), costs.down.double().numpy(), costs.across.double().numpy()]
        best = [least_cost(Problem(*each, distance.numpy())) for each in zip(*numbers, strict=True)]
        assert (found >= np.array(best) - 1e-5).all()
        assert np.mean(found / best - 1) < 1e-3 and (found / best - 1 < 1e-5).mean() >= 0.9


def test_grids_of_a_batch_cost_what_each_costs_alone():
    """On images of 8 x 12 pixels; cells beyond an image's grid cost nothing and have no edges."""
    made = torch.Generator().manual_seed(0)
    images, saliency = torch.randn(6, 2, 8, 12, generator=made), torch.rand(6, 8, 12, generator=made)
    partner, lam = torch.tensor([3, 0, 1, 2, 5, 4]), torch.rand(6, generator=made)
    weights = PuzzleWeights(1.3, 0.7, 0.1)

    def made_by(cutting):
        share = puzzle_shares(saliency, [(8 // grid, 12 // grid) for grid in cutting.grids], cutting, partner)
        down, across = jumps(images, partner, cutting, neigh_size=3)
        return puzzle_costs(share, down, across, lam, cutting, weights, num_labels=3)

    which = torch.tensor([0, 1, 1, 0, 1, 0])
    together = made_by(Cutting((2, 4), which))
    for index, grid in enumerate([(2, 4)[one] for one in which]):
        alone = made_by(whole_batch(grid, 6))
        for found, expected in zip(together, alone, strict=True):
            block = found[index, : expected.shape[1], : expected.shape[2]]
            torch.testing.assert_close(block, expected[index], atol=1e-7, rtol=1e-5)
            assert found[index].sum().item() == pytest.approx(expected[index].sum().item(), rel=1e-5)


def test_jumps_against_loops_over_borders():
    """Blocks of 3 x 4 pixels: pooled by 3 along their height and, as 3 does not divide 4, by 2 along their width."""
    made = torch.Generator().manual_seed(1)
    images, partner = torch.randn(3, 2, 6, 8, generator=made), torch.tensor([2, 0, 1])
    down, across = jumps(images, partner, whole_batch(2, 3), neigh_size=3)
    pooled = images.numpy().reshape(3, 2, 2, 3, 4, 2).mean((3, 5))
    for row in range(3):
        both = pooled[row], pooled[partner[row]]
        for one, two in itertools.product(range(2), repeat=2):
            for column in range(2):
                jump = [abs(both[one][:, 0, c] - both[two][:, 1, c]).mean() for c in (2 * column, 2 * column + 1)]
                assert down[one, two, row, 0, column].item() == pytest.approx(np.mean(jump), rel=1e-5)
            for line in range(2):
                jump = abs(both[one][:, line, 1] - both[two][:, line, 2]).mean()
                assert across[one, two, row, line, 0].item() == pytest.approx(jump, rel=1e-5)


def test_a_block_pays_for_the_saliency_it_hides_and_half_of_the_jumps_it_makes():
    """With two labels a labelling costs what the mixed image really has, by a loop over all of them.

    Beyond that there is a constant: half of the jumps between the two images, in either order, on every edge.
    """
    made = torch.Generator().manual_seed(2)
    images, saliency = torch.rand(2, 1, 2, 2, generator=made), torch.rand(2, 2, 2, generator=made)
    partner, cutting = torch.tensor([1, 0]), whole_batch(2, 2)
    share = puzzle_shares(saliency, [(1, 1)], cutting, partner)
    down, across = jumps(images, partner, cutting, neigh_size=1)
    lam = torch.tensor([0.3, 0.3])
    costs = puzzle_costs(share, down, across, lam, cutting, PuzzleWeights(2.0, 0.8, 0.4), num_labels=2)
    beta, gamma, eta = 2.0 / 32, 0.8 * 2.0 / 32, 0.4 / 4
    own, other = images[0, 0].numpy(), images[1, 0].numpy()
    edges = [((0, 0), (1, 0)), ((0, 1), (1, 1)), ((0, 0), (0, 1)), ((1, 0), (1, 1))]
    constant = sum(abs(own[a] - other[b]) + abs(other[a] - own[b]) for a, b in edges) / 2
    for labels in itertools.product(range(2), repeat=4):
        grid = np.reshape(labels, (2, 2))
        seen = np.where(grid == 0, own, other)
        hidden = np.where(grid == 0, share[1, 0], share[0, 0]).sum()
        unequal = sum(grid[a] != grid[b] for a, b in edges)
        apart = constant + sum(abs(seen[a] - seen[b]) for a, b in edges)
        odds = sum(-np.log(0.7 if label else 0.3) for label in labels)
        found = labelling_cost(torch.tensor(grid).expand(2, 2, 2), *costs, label_distance(2, device=CPU))[0]
        assert found.item() == pytest.approx(hidden + beta * unequal + gamma * apart + eta * odds, rel=1e-5)


@pytest.mark.parametrize("num_labels", [2, 3, 4])
def test_the_prior_is_binomial_and_sure_at_the_ends(num_labels):
    lam = torch.tensor([0.0, 1e-30, 0.2, 0.5, 1.0])
    found = prior(lam, num_labels)
    for index, own in enumerate(lam.double().tolist()):
        expected = -stats.binom.logpmf(np.arange(num_labels), num_labels - 1, 1 - own)
        if 0 < own < 1e-20:  # 1 - own is 1
            expected[:-1] = -stats.binom.logpmf(np.arange(num_labels)[:0:-1], num_labels - 1, own)
        np.testing.assert_allclose(found[index].numpy(), expected, rtol=1e-5, atol=1e-7)
    assert found[0].tolist() == [np.inf] * (num_labels - 1) + [0] and found[-1].tolist() == found[0].tolist()[::-1]


def test_images_without_saliency_have_equal_shares():
    saliency = torch.zeros(2, 4, 8)
    saliency[1, :2] = 1e-30
    share = puzzle_shares(saliency, [(2, 2)], Cutting((2,), torch.zeros(2, dtype=torch.int64)), torch.tensor([1, 0]))
    assert share[0, 0].tolist() == [[1 / 8] * 4] * 2
    torch.testing.assert_close(share[0, 1], torch.tensor([[1 / 4] * 4, [0.0] * 4]))
    assert torch.equal(share[1], share[0].flip(0))


def test_the_largest_divisor():
    assert [largest_divisor(number, 4) for number in (1, 2, 3, 4, 6, 7, 8, 10)] == [1, 2, 3, 4, 3, 1, 4, 2]


def test_labels_are_apart_by_the_square_of_what_they_show():
    assert label_distance(3, device=CPU).tolist() == [[0, 0.25, 1], [0.25, 0, 0.25], [1, 0.25, 0]]
