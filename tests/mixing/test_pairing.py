import mixing_reference as reference
import numpy as np
import pytest
import torch
from scipy import stats

from tune_mixup.mixing.birkhoff import permutation_pool
from tune_mixup.mixing.confusion import pairing_matrix
from tune_mixup.mixing.pairing import (
    class_counts,
    cyclic_permutation,
    draw_birkhoff,
    draw_independent,
    draw_sequential,
    members_by_class,
)

K = 6


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def matrix(num_classes: int = K, gamma: float = 1.0, seed: int = 0) -> torch.Tensor:
    confusion = torch.tensor(reference.confusion_like(num_classes, seed=seed))
    return pairing_matrix(confusion, gamma, diagonal=1 / num_classes, power_diagonal=True)


def stratified(num_classes: int, per_class: int, seed: int = 0) -> torch.Tensor:
    classes = torch.arange(num_classes).repeat(per_class)
    return classes[torch.randperm(len(classes), generator=generator(seed))]


def birkhoff(pairing: torch.Tensor, classes: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
    """A draw with a pool of its own, so that repeated draws are independent of each other."""
    return draw_birkhoff(permutation_pool(pairing, generator=generator, size=64), classes, generator=generator)


DRAWS = {"birkhoff": birkhoff, "sequential": draw_sequential, "independent": draw_independent}
every_draw = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
without_replacement = pytest.mark.parametrize("draw", [birkhoff, draw_sequential], ids=["birkhoff", "sequential"])
exact = pytest.mark.parametrize("draw", [birkhoff, draw_independent], ids=["birkhoff", "independent"])
any_composition = pytest.mark.parametrize(
    "draw", [draw_sequential, draw_independent], ids=["sequential", "independent"]
)


def observed(draw, pairing, classes, *, repeats: int, seed: int = 0) -> np.ndarray:
    made = generator(seed)
    num_classes = len(pairing)
    total = np.zeros((num_classes, num_classes), dtype=np.int64)
    for _ in range(repeats):
        partner = draw(pairing, classes, generator=made)
        pairs = classes * num_classes + classes[partner]
        total += np.bincount(pairs.numpy(), minlength=num_classes**2).reshape(num_classes, num_classes)
    return total


def smallest_p(counts: np.ndarray, pairing: np.ndarray) -> float:
    """Chi-square of each class's partners against its row of the matrix; the smallest p-value times the rows."""
    tests = [
        stats.chisquare(row, row.sum() * expected / expected.sum()).pvalue
        for row, expected in zip(counts, pairing, strict=True)
    ]
    return float(min(tests)) * len(tests)


@without_replacement
@pytest.mark.parametrize(("num_classes", "per_class"), [(2, 1), (2, 5), (3, 4), (10, 25), (100, 10), (200, 1)])
def test_every_example_is_a_partner_exactly_once(draw, num_classes, per_class):
    classes = stratified(num_classes, per_class)
    partner = draw(matrix(num_classes), classes, generator=generator())
    assert partner.dtype == torch.int64
    assert sorted(partner.tolist()) == list(range(num_classes * per_class))


@exact
def test_class_pairs_follow_the_matrix(draw):
    pairing = matrix()
    counts = observed(draw, pairing, stratified(K, 8), repeats=300)
    assert counts.sum() == 300 * 8 * K
    expected = pairing.numpy()
    assert smallest_p(counts, expected) > 0.001
    error = np.sqrt(expected * (1 - expected) / (300 * 8))
    assert (abs(counts / (300 * 8) - expected) < 4 * error).all()
    # The same test notices rows that are not the class's own.
    assert smallest_p(counts, pairing[cyclic_permutation(K, generator=generator())].numpy()) < 1e-6


@every_draw
def test_uniform_matrix_pairs_evenly(draw):
    pairing = torch.full((K, K), 1 / K, dtype=torch.float64)
    assert smallest_p(observed(draw, pairing, stratified(K, 5), repeats=300), pairing.numpy()) > 0.001


@every_draw
def test_partners_within_the_class_are_drawn_evenly(draw):
    """Two classes that only meet themselves: each of the k members is as likely, oneself included."""
    pairing = torch.eye(2, dtype=torch.float64)
    classes = torch.tensor([0, 1, 1, 0, 0, 1])
    made = generator()
    met = np.zeros((6, 6))
    for _ in range(600):
        met[np.arange(6), draw(pairing, classes, generator=made).numpy()] += 1
    assert (met[classes[:, None] != classes] == 0).all()
    for row, own in zip(met, classes.tolist(), strict=True):
        assert stats.chisquare(row[classes.numpy() == own]).pvalue > 0.001


@every_draw
@pytest.mark.parametrize("seed", range(4))
def test_rows_follow_the_class_and_not_its_place_in_the_batch(draw, seed):
    """A permutation as matrix leaves no chance: class c always meets class order[c], however the batch is arranged."""
    order = torch.randperm(K, generator=generator(seed))
    pairing = torch.eye(K, dtype=torch.float64)[order]
    for classes in (stratified(K, 4, seed), torch.arange(K).repeat_interleave(4), torch.arange(K).flip(0).repeat(4)):
        partner = draw(pairing, classes, generator=generator(seed))
        assert torch.equal(classes[partner], order[classes])


def test_the_published_rule_fails_where_classes_come_in_another_order():
    """The fault that the test above would find: with classes first met as 2, 0, 1, row s pairs another class."""
    order = np.array([1, 2, 0])
    classes = [2, 2, 0, 0, 1, 1]
    partner = reference.published_pairing(np.eye(3)[order], classes, np.random.default_rng(0))
    assert [classes[j] for j in partner] != [order[c] for c in classes]
    right = reference.sequential_pairing(np.eye(3)[order], classes, np.random.default_rng(0))
    assert [classes[j] for j in right] == [order[c] for c in classes]


@exact
def test_renaming_classes_renames_the_pairs(draw):
    pairing, rename = matrix(), torch.randperm(K, generator=generator(7))
    renamed = torch.empty_like(pairing)
    renamed[rename[:, None], rename] = pairing
    classes = stratified(K, 8)
    counts = observed(draw, renamed, rename[classes], repeats=300)
    assert smallest_p(counts[rename][:, rename], pairing.numpy()) > 0.001


def test_sequential_draw_has_the_exact_distribution_of_the_published_rule():
    classes = [1, 0, 2, 1]
    pairing = np.array([[0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.7, 0.1, 0.2]])
    exact_shares = reference.sequential_distribution(pairing, classes)
    assert sum(exact_shares.values()) == pytest.approx(1)
    made, seen, repeats = generator(), {}, 4_000
    for _ in range(repeats):
        drawn = tuple(draw_sequential(torch.tensor(pairing), torch.tensor(classes), generator=made).tolist())
        seen[drawn] = seen.get(drawn, 0) + 1
    assert set(seen) <= set(exact_shares)
    keys = list(exact_shares)
    got, expected = [seen.get(key, 0) for key in keys], [repeats * exact_shares[key] for key in keys]
    assert len(keys) == 24
    assert stats.chisquare(got, expected).pvalue > 0.01


def test_sequential_draw_agrees_with_the_loop_on_a_batch():
    pairing, classes = matrix(gamma=2.0), stratified(K, 5)
    repeats, rng = 300, np.random.default_rng(0)
    slow = np.zeros((K, K))
    for _ in range(repeats):
        partner = reference.sequential_pairing(pairing.numpy(), classes.tolist(), rng)
        slow += reference.class_pair_counts(classes.numpy(), np.array(partner), K)
    fast = observed(draw_sequential, pairing, classes, repeats=repeats)
    error = np.sqrt((slow + fast).clip(1))
    assert (abs(slow - fast) < 4 * error).all()
    assert (abs(fast - repeats * 5 * pairing.numpy()) > 4 * error).any()  # the rule itself is biased


@any_composition
@pytest.mark.parametrize("classes", [[0], [2, 2, 2], [0, 1, 1, 1, 5], [5, 4, 3, 2, 1, 0, 0, 0, 0]])
def test_any_composition_of_the_batch_will_do(draw, classes):
    classes = torch.tensor(classes)
    for seed in range(5):
        partner = draw(matrix(), classes, generator=generator(seed))
        assert partner.shape == classes.shape
        assert bool(((partner >= 0) & (partner < len(classes))).all())
        if draw is draw_sequential:
            assert sorted(partner.tolist()) == list(range(len(classes)))


def test_independent_draw_is_restricted_to_the_classes_present():
    pairing = matrix()
    classes = torch.tensor([0, 0, 0, 2, 2, 4])
    made, repeats = generator(), 2_000
    met = np.zeros((6, 6))
    for _ in range(repeats):
        met[np.arange(6), draw_independent(pairing, classes, generator=made).numpy()] += 1
    sizes = {0: 3, 2: 2, 4: 1}
    for i, own in enumerate(classes.tolist()):
        weights = np.array([float(pairing[own, c]) / sizes[c] for c in classes.tolist()])
        assert stats.chisquare(met[i], repeats * weights / weights.sum()).pvalue > 0.001


@any_composition
def test_rows_without_weight_on_the_classes_present_draw_anything_present(draw):
    pairing = torch.eye(4, dtype=torch.float64)[[1, 0, 3, 2]]
    classes = torch.tensor([0, 0, 2])  # their partner classes 1 and 3 are absent
    seen = set()
    for seed in range(60):
        seen |= set(enumerate(draw(pairing, classes, generator=generator(seed)).tolist()))
    assert seen == {(i, j) for i in range(3) for j in range(3)}


def test_birkhoff_needs_a_multiple_of_the_classes():
    pool = permutation_pool(matrix(), generator=generator(), size=4)
    with pytest.raises(ValueError, match="a batch of 13 can't hold each of 6 classes equally often"):
        draw_birkhoff(pool, torch.arange(13) % K, generator=generator())


@every_draw
def test_draws_are_determined_by_the_generator(draw):
    classes = stratified(K, 10)
    first = draw(matrix(), classes, generator=generator(3))
    assert torch.equal(first, draw(matrix(), classes, generator=generator(3)))
    assert not torch.equal(first, draw(matrix(), classes, generator=generator(4)))


def test_members_are_grouped_by_class_in_random_order():
    classes = torch.tensor([2, 0, 1, 0, 2, 0])
    orders = [members_by_class(classes, generator=generator(seed)).tolist() for seed in range(300)]
    assert all(classes[order].tolist() == [0, 0, 0, 1, 2, 2] for order in orders)
    first_of_class_0 = np.bincount([order[0] for order in orders], minlength=6)
    assert stats.chisquare(first_of_class_0[[1, 3, 5]]).pvalue > 0.001


def test_classes_are_counted():
    assert class_counts(torch.tensor([3, 0, 3, 3]), 5).tolist() == [1, 0, 0, 3, 0]


@pytest.mark.parametrize("num_classes", [2, 3, 4, 10])
def test_cyclic_permutations_are_one_cycle(num_classes):
    seen = set()
    for seed in range(200):
        step = cyclic_permutation(num_classes, generator=generator(seed)).tolist()
        place, visited = 0, []
        for _ in range(num_classes):
            visited.append(place)
            place = step[place]
        assert place == 0
        assert sorted(visited) == list(range(num_classes))
        seen.add(tuple(step))
    if num_classes <= 4:
        assert len(seen) == {2: 1, 3: 2, 4: 6}[num_classes]  # (K - 1)! cycles, and all of them occur
