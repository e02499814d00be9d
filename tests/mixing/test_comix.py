"""Co-Mixup's objective and outputs: against recorded numbers of the released code, loops, and all outputs there are."""

import comix_reference as reference
import numpy as np
import pytest
import torch
from golden import cases

from tune_mixup.mixing.comix import (
    ComixWeights,
    Objective,
    accepted,
    affinities,
    begin,
    cell_costs,
    improve,
    solve,
    whole,
)

FILES = ("comixup_1", "comixup_2")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def double(array):
    return torch.tensor(np.asarray(array, dtype=np.float64))


def recorded():
    """Settings, and of each part its place in the batch, the objective, labels at the start and outputs at the end."""
    for settings, arrays in cases(*FILES):
        start = 0
        for part, size in enumerate(settings["part_sizes"]):
            rows = slice(start, start + size)
            cost = double(arrays["cost"][rows]).movedim(0, -1)[None]
            found = Objective(cost, double(arrays[f"A_part{part}"])[None], weights(settings))
            first = torch.eye(size, dtype=torch.float64)[torch.tensor(arrays["init_labels"][rows]).long()][None]
            yield settings, arrays, part, rows, found, first, double(arrays[f"mask_part{part}"])[None]
            start += size


def weights(settings):
    hard = settings["m_thres_type"] == "hard"
    return ComixWeights(settings["beta_eff"], settings["gamma_eff"], settings["thres_eff"], hard=hard)


def test_costs_and_affinities_are_the_recorded_ones():
    for settings, arrays, part, rows, found, _, _ in recorded():
        saliency = double(arrays["saliency"][rows])[None]
        chances = double(arrays["dirichlet"][rows])[None]
        eta = settings["eta_eff"] * settings["block_num"] ** 2
        cost = cell_costs(saliency, chances, grid=settings["block_num"], eta=eta)
        torch.testing.assert_close(cost, found.cost, atol=1e-6, rtol=0)
        if settings["compatibility"] == "peaks":
            near = affinities(saliency, omega=settings["m_omega"], window=settings["compat_window"])
            torch.testing.assert_close(near, double(arrays[f"A_part{part}"])[None], atol=1e-6, rtol=0)


def test_prices_are_the_recorded_ones():
    """Up to what the released code's error of precedence changes, which is recorded for each case: none with `soft`."""
    seen = 0
    for settings, arrays, part, _, found, _, _ in recorded():
        if len(settings["part_sizes"]) > 1 and part:
            continue
        size = found.cost.shape[-1]
        calls = len(arrays["others_counts"]) // (len(settings["part_sizes"]) or 1)
        tolerance = 1e-5 + settings["penalty_error_masked_rows"]
        for counts, price in list(zip(arrays["others_counts"], arrays["pair_penalty"], strict=True))[: calls // 2]:
            two = torch.stack([torch.zeros(size, dtype=torch.float64), double(counts)[:size]])[None]
            torch.testing.assert_close(found.price(two)[0, 0], double(price)[:size], atol=tolerance, rtol=0)
            seen += settings["penalty_error_masked_rows"] < 0.003
    assert seen > 50


def test_objectives_are_the_recorded_ones():
    """Those with threshold count no affinities; those without are as if all were above it."""
    for settings, arrays, part, _, found, first, last in recorded():
        size = found.cost.shape[-1]
        eye = torch.eye(size, dtype=torch.float64)[None]
        hard = ComixWeights(settings["beta_eff"], settings["gamma_eff"], settings["thres_eff"], hard=True)
        ends = arrays["objective_with_threshold_first_last"][part]
        for shown, expected in zip((first, last), ends, strict=True):
            assert Objective(found.cost, eye, hard).total(shown).item() == pytest.approx(expected, rel=1e-6, abs=1e-5)
        if len(settings["part_sizes"]) == 1:
            without = ComixWeights(settings["beta_eff"], settings["gamma_eff"], -1.0, hard=True)
            trace = arrays["objective_trace"]
            for shown, expected in ((first, trace[0]), (last, trace[-1])):
                assert Objective(found.cost, eye, without).total(shown).item() == pytest.approx(expected, rel=1e-6)


def neighbours(parts, size, seed=0):
    order = torch.rand(parts, size, generator=generator(seed)).argsort(1)
    return torch.empty_like(order).scatter_(1, order, order.roll(-1, 1))


def test_objectives_of_the_recorded_problems_are_as_low_as_the_released_codes():
    """At most 1 % more on average over begins, even without the problem where it ends far above ours."""
    more = []
    for _, _, _, _, found, _, theirs in recorded():
        least = found.total(theirs).item()
        begins = [neighbours(1, found.cost.shape[-1], seed) for seed in range(8)]
        ours = [found.total(solve(found, begin, rounds=4).shown).item() for begin in begins]
        more.append((np.mean(ours) - least) / abs(least))
    assert np.mean(more) < -0.1 and np.mean(sorted(more)[1:]) < 0.01
    assert max(more) < 0.06 and np.median(more) < 0.002


def made_up(parts=2, size=5, grid=4, *, seed=0, peaks=2.0, **settings):
    """An objective of made-up maps; settings are per image."""
    draw = np.random.default_rng(seed)
    share = draw.uniform(0, 1, (parts, grid, grid, size)) ** peaks
    share /= share.sum((1, 2), keepdims=True)
    apart = draw.uniform(0, 1, (parts, size, size))
    apart = apart + apart.transpose(0, 2, 1)
    omega = settings.get("omega", 0.2)
    affinity = (1 - omega) * np.eye(size) + omega * apart
    made = ComixWeights(
        settings.get("beta", 0.32) / grid**2,
        settings.get("gamma", 1.0) / grid**2,
        settings.get("tau", 0.83) * grid**2,
        hard=settings.get("hard", True),
    )
    return Objective(double(-share), double(affinity), made)


def as_part(objective, index):
    made = objective.weights
    return reference.Part(
        objective.cost[index].numpy(),
        objective.affinity[index].numpy(),
        made.beta,
        made.gamma,
        made.tau,
        made.hard,
    )


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("tau", [0.1, 0.4, 0.83])
def test_the_objective_against_loops(hard, tau):
    found = made_up(3, 4, 3, tau=tau, hard=hard)
    shown = torch.rand(3, 4, 3, 3, 4, generator=generator(), dtype=torch.float64)
    for index in range(3):
        part, outputs = as_part(found, index), shown[index].numpy()
        assert found.total(shown)[index].item() == pytest.approx(reference.objective(outputs, part))
        loops = [reference.alone(output, part) for output in outputs]
        np.testing.assert_allclose(found.alone(shown)[index], loops)
    several = shown.sum((2, 3))[:, None].expand(-1, 2, -1, -1)
    torch.testing.assert_close(found.together(several)[:, 1], found.together(several[:, 0]))


@pytest.mark.parametrize("hard", [True, False])
def test_the_price_is_twice_what_the_others_have_above_the_threshold(hard):
    found = made_up(1, 4, 3, tau=0.5, hard=hard)
    counts = 9 * torch.rand(1, 4, 4, generator=generator(), dtype=torch.float64)
    for o in range(4):
        for i in range(4):
            others = sum(found.affinity[0, i, k] * counts[0, p, k] for p in range(4) for k in range(4) if p != o).item()
            above = others > found.weights.tau
            expected = 2 * found.weights.gamma * (others if hard else others - found.weights.tau) * above
            assert found.price(counts)[0, o, i].item() == pytest.approx(expected)


@pytest.mark.parametrize("settings", [{}, {"hard": False}, {"tau": 0.3}, {"omega": 0.9}, {"beta": 3.0}, {"gamma": 0.0}])
@pytest.mark.parametrize("peaks", [0.3, 4.0])
def test_the_objective_never_rises_and_outputs_stay_outputs(settings, peaks):
    found = made_up(6, 7, 4, peaks=peaks, **settings)
    begun = begin(found, neighbours(6, 7))
    trace, shown = [found.total(begun)], begun
    for _ in range(6):
        shown = improve(found, shown)
        trace.append(found.total(shown))
        assert bool((shown.sum(-1) == 1).all()) and set(shown.unique().tolist()) <= {0.0, 0.5, 1.0}
    trace.append(found.total(solve(found, neighbours(6, 7), rounds=6).shown))
    falls = torch.stack(trace).diff(dim=0)
    assert bool((falls <= 1e-9).all())
    assert bool((trace[-1] < trace[0] - 1e-3).any()) or "gamma" in settings


@pytest.mark.parametrize(("size", "grid"), [(2, 2), (3, 1), (4, 1)])
@pytest.mark.parametrize("settings", [{}, {"hard": False}, {"tau": 0.4}, {"beta": 0.05}])
def test_small_parts_against_all_outputs_there_are(size, grid, settings):
    found = made_up(12, size, grid, omega=0.01, **settings)
    ours = found.total(solve(found, neighbours(12, size), rounds=4).shown).numpy()
    best = np.array([reference.least(as_part(found, index)) for index in range(12)])
    assert (ours >= best - 1e-6).all(), "nothing is better than the best"
    more = (ours - best) / abs(best)
    assert more.mean() < 0.01 and (more < 1e-5).mean() > 0.5


def loop_accepted(objective, before, after, index):
    """The best outputs first, one by one, as many as make the objective least."""
    part, before, after = as_part(objective, index), before.numpy(), after.numpy()

    def with_(taken):
        chosen = [after[o] if o in taken else before[o] for o in range(len(before))]
        return reference.objective(np.array(chosen), part), np.array(chosen)

    order = sorted(range(len(before)), key=lambda o: with_([o])[0])
    return min((with_(order[:count]) for count in range(len(before) + 1)), key=lambda made: made[0])


@pytest.mark.parametrize("seed", range(3))
def test_outputs_are_accepted_as_by_a_loop(seed):
    found = made_up(4, 4, 2, seed=seed, tau=0.3, peaks=4.0)
    made = [torch.eye(4, dtype=torch.float64)[torch.randint(4, (4, 4, 2, 2), generator=generator(s))] for s in (1, 2)]
    shown = accepted(found, *made)
    for index in range(4):
        value, outputs = loop_accepted(found, made[0][index], made[1][index], index)
        assert found.total(shown)[index].item() == pytest.approx(value)
        assert np.array_equal(shown[index].numpy(), outputs)


def test_what_makes_it_worse_is_not_accepted():
    found = made_up(3, 5, 2, gamma=10.0, omega=0.0)
    pure = whole(torch.zeros(3, 5, 2, 2, 5, dtype=torch.float64))
    same = torch.zeros_like(pure)
    same[..., 0] = 1
    assert torch.equal(accepted(found, pure, same), pure) and torch.equal(accepted(found, same, pure), pure)


def test_parts_do_not_know_of_each_other():
    found, ring = made_up(5, 6, 4), neighbours(5, 6)
    together = solve(found, ring, rounds=3).shown
    for index in range(5):
        one = slice(index, index + 1)
        single = Objective(found.cost[one], found.affinity[one], found.weights)
        assert torch.equal(together[one], solve(single, ring[one], rounds=3).shown)


def test_even_saliency_leaves_images_whole():
    """There is nothing to gain by cutting, and edges cost."""
    found = made_up(3, 6, 4, peaks=0.0, omega=0.0)
    assert torch.equal(solve(found, neighbours(3, 6), rounds=4).shown, whole(torch.zeros(3, 6, 4, 4, 6).double()))


def test_outputs_begin_with_two_images_and_may_have_more():
    found, ring = made_up(4, 8, 4, peaks=4.0), neighbours(4, 8)
    begun = begin(found, ring).sum((2, 3)) > 0
    two = torch.eye(8).bool() | torch.nn.functional.one_hot(ring, 8).bool()
    assert bool((begun <= two).all())
    assert bool((begun.sum(-1) == 2).any())
    assert bool(((solve(found, ring, rounds=4).shown.sum((2, 3)) > 0).sum(-1) > 2).any())


def test_nobody_shows_what_others_have_above_the_threshold():
    """Where one image is wanted by all: one output or two get all that may be had of it."""
    found = made_up(6, 8, 4, peaks=4.0, omega=0.0)
    found.cost[..., 0] -= 0.2
    counts = solve(found, neighbours(6, 8), rounds=4).shown.sum((2, 3))
    others = counts.sum(1, keepdim=True) - counts
    assert bool((others[counts > 0] <= found.weights.tau).all())
    assert bool((counts[:, :, 0].sum(1) > 13).all())


def test_halves_are_shown_where_edges_cost_and_neither_image_has_more():
    """Between a cell of either image, both halves: an edge of 1 becomes two of 1/4 each."""
    found = made_up(1, 3, 3, peaks=1.0, omega=0.0, gamma=0.0, beta=2.0)
    found.cost.zero_()
    found.cost[0, 0, :, 0] = found.cost[0, 2, :, 1] = -1.0
    shown = begin(found, torch.tensor([[1, 0, 0]]))[0, 0]
    assert torch.equal(shown[1], torch.tensor([[0.5, 0.5, 0.0]] * 3, dtype=torch.float64))
    assert bool((shown[0, :, 0] == 1).all()) and bool((shown[2, :, 1] == 1).all())


def test_affinities_of_peaks_by_hand():
    saliency = torch.zeros(1, 3, 6, 8)
    for image, (row, column) in enumerate([(0, 0), (3, 5), (5, 1)]):
        saliency[0, image, row, column] = 1.0
    apart = np.array([[0, 8, 6], [8, 0, 6], [6, 6, 0]])
    expected = 0.75 * np.eye(3) + 0.25 * 3 * apart / apart.sum()
    np.testing.assert_allclose(affinities(saliency, omega=0.25, window=1)[0], expected)


def test_peaks_in_one_place_and_no_saliency_are_finite():
    saliency = torch.zeros(2, 3, 8, 4)
    saliency[1, :, 2, 2] = 1.0
    near = affinities(saliency, omega=0.5, window=8)
    assert torch.equal(near, 0.5 * torch.eye(3).double().expand(2, 3, 3))
    cost = cell_costs(saliency, torch.full((2, 3), 1 / 3), grid=2, eta=0.0)
    assert bool((cost[0] == -0.25).all())
    assert bool((cost[1].sum((0, 1)) == -1).all()) and cost[1, 0, 1, 0].item() == -1


def test_rare_images_cost_more():
    chances = torch.tensor([[0.7, 0.2, 0.1]])
    cost = cell_costs(torch.ones(1, 3, 4, 4), chances, grid=2, eta=0.5)
    expected = -0.25 - 0.125 * np.log(chances.double().numpy() + 1e-8)
    np.testing.assert_allclose(cost[0, 1, 0], expected[0])
