import mixing_reference as reference
import numpy as np
import pytest
import torch

from tune_mixup.mixing.confusion import (
    add_rows,
    multiply,
    pairing_matrix,
    row_stochastic,
    soft_counts,
    uniform_pairing,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_batch(size: int, num_classes: int, seed: int = 0):
    logits = 3 * torch.randn(size, num_classes, dtype=torch.float64, generator=generator(seed))
    own = torch.randint(num_classes, (size,), generator=generator(seed + 1))
    other = torch.randint(num_classes, (size,), generator=generator(seed + 2))
    return logits, own, other


@pytest.mark.parametrize(("size", "num_classes"), [(1, 2), (40, 2), (60, 3), (100, 10), (50, 200)])
def test_counts_equal_a_double_loop(size, num_classes):
    logits, own, other = random_batch(size, num_classes)
    other[::5] = own[::5]  # blends within a class
    counts = soft_counts(logits, own, other, torch.tensor(0.3))
    lam = float(torch.tensor(0.3))
    expected = reference.soft_counts(logits.numpy(), own.tolist(), other.tolist(), [lam] * size)
    assert counts.dtype == torch.float64
    np.testing.assert_allclose(counts.numpy(), expected, atol=1e-10)
    assert torch.equal(counts.diagonal(), torch.zeros(num_classes, dtype=torch.float64))
    p = logits.softmax(1)
    mass = 1 - p.gather(1, own[:, None]).squeeze(1) - p.gather(1, other[:, None]).squeeze(1) * (own != other)
    torch.testing.assert_close(counts.sum(), mass.sum(), atol=1e-10, rtol=0)


def test_counts_with_one_lam_per_example():
    logits, own, other = random_batch(30, 5)
    lam = torch.rand(30, generator=generator(9))
    expected = reference.soft_counts(logits.numpy(), own.tolist(), other.tolist(), lam.tolist())
    np.testing.assert_allclose(soft_counts(logits, own, other, lam).numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("add_up", [add_rows, multiply])
@pytest.mark.parametrize(("size", "num_classes"), [(1, 2), (40, 3), (100, 10), (50, 200)])
def test_both_ways_of_adding_up_equal_a_double_loop(add_up, size, num_classes):
    """That of the CPU and that of a GPU, both on the CPU; softmax and zeros are the loop's own."""
    logits, own, other = random_batch(size, num_classes)
    other[::5] = own[::5]
    lam = torch.rand(size, dtype=torch.float64, generator=generator(9))
    wrong = torch.tensor([
        [0.0 if c in (own[i], other[i]) else float(np.exp(z)) / float(np.exp(logits[i].numpy()).sum())
         for c, z in enumerate(logits[i].tolist())]
        for i in range(size)
    ], dtype=torch.float64)  # fmt: skip
    expected = reference.soft_counts(logits.numpy(), own.tolist(), other.tolist(), lam.tolist())
    np.testing.assert_allclose(add_up(wrong, own, other, lam[:, None]).numpy(), expected, atol=1e-10)


def test_a_gpu_multiplies_and_a_cpu_adds(monkeypatch):
    """Which of the two is called goes by the device alone; "meta" stands for any that is no CPU."""
    logits, own, other = (tensor.to("meta") for tensor in random_batch(6, 4))
    called = []
    for name in ("add_rows", "multiply"):
        monkeypatch.setattr(f"tune_mixup.mixing.confusion.{name}", lambda *args, name=name: called.append(name))
    soft_counts(logits, own, other, torch.tensor(0.5, device="meta"))
    soft_counts(*random_batch(6, 4), torch.tensor(0.5))
    assert called == ["multiply", "add_rows"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_counts_of_any_precision_are_summed_in_float64(dtype):
    logits, own, other = random_batch(64, 10)
    logits = logits.to(dtype)
    expected = reference.soft_counts(logits.double().numpy(), own.tolist(), other.tolist(), [0.5] * 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        counts = soft_counts(logits, own, other, torch.tensor(0.5))
    np.testing.assert_allclose(counts.numpy(), expected, atol=1e-10)


def test_rows_with_logits_that_are_not_finite_add_nothing():
    logits, own, other = random_batch(6, 4)
    expected = soft_counts(logits[3:], own[3:], other[3:], torch.tensor(0.5))
    broken = logits.clone()
    broken[0], broken[1, 2], broken[2] = torch.nan, torch.inf, -torch.inf
    torch.testing.assert_close(soft_counts(broken, own, other, torch.tensor(0.5)), expected)


def test_rows_become_probabilities_with_the_diagonal_asked_for():
    counts = torch.tensor([[0.0, 3.0, 1.0], [2.0, 0.0, 2.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    expected = [[0.1, 0.675, 0.225], [0.45, 0.1, 0.45], [0.45, 0.45, 0.1]]  # the last: a class without counts
    np.testing.assert_allclose(row_stochastic(counts, 0.1).numpy(), expected, atol=1e-15)
    without = row_stochastic(counts, 0.0)
    assert torch.equal(without.diagonal(), torch.zeros(3, dtype=torch.float64))


@pytest.mark.parametrize("scale", [0.0, 5e-324, 1e-310, 1e-300, 1.0, 1e300])
def test_rows_sum_to_one_at_every_scale(scale):
    counts = reference.confusion_like(5)
    np.fill_diagonal(counts, 0)
    rows = row_stochastic(torch.tensor(counts * scale), 0.2)
    np.testing.assert_allclose(rows.sum(1).numpy(), 1, atol=1e-12)
    assert bool((rows >= 0).all())


@pytest.mark.parametrize("num_classes", [2, 3, 7, 10, 100, 200])
@pytest.mark.parametrize("power_diagonal", [True, False])
def test_without_gamma_pairing_is_exactly_uniform(num_classes, power_diagonal):
    confusion = torch.tensor(reference.confusion_like(num_classes))
    pairing = pairing_matrix(confusion, 0.0, diagonal=1 / num_classes, power_diagonal=power_diagonal)
    assert torch.equal(pairing, torch.full_like(pairing, 1 / num_classes))


def test_without_gamma_only_an_unpowered_diagonal_is_kept():
    confusion = torch.tensor(reference.confusion_like(5))
    assert torch.equal(pairing_matrix(confusion, 0.0, diagonal=0.6, power_diagonal=True), uniform_pairing(5, 1 / 5))
    kept = pairing_matrix(confusion, 0.0, diagonal=0.6, power_diagonal=False)
    np.testing.assert_allclose(kept.numpy(), 0.1 + 0.5 * np.eye(5), atol=1e-15)


@pytest.mark.parametrize("gamma", [1e-3, 0.25, 1.0, 2.0])
@pytest.mark.parametrize("num_classes", [3, 10, 40])
def test_powered_matrix_against_plain_sinkhorn(gamma, num_classes):
    confusion = reference.confusion_like(num_classes, spread=0.7)
    pairing = pairing_matrix(torch.tensor(confusion), gamma, diagonal=1 / num_classes, power_diagonal=True)
    np.testing.assert_allclose(pairing.numpy(), reference.sinkhorn(confusion**gamma), atol=1e-6)


@pytest.mark.parametrize("diagonal", [0.0, 0.1, 0.5])
def test_unpowered_diagonal_against_plain_sinkhorn(diagonal):
    confusion = reference.confusion_like(8, spread=0.7)
    powered = confusion**2
    np.fill_diagonal(powered, 0)
    powered *= (1 - diagonal) / powered.sum(1, keepdims=True)
    np.fill_diagonal(powered, diagonal)
    pairing = pairing_matrix(torch.tensor(confusion), 2.0, diagonal=diagonal, power_diagonal=False)
    np.testing.assert_allclose(pairing.numpy(), reference.sinkhorn(powered, 500), atol=1e-6)


def test_gamma_near_zero_is_near_uniform_whatever_the_diagonal():
    confusion = torch.tensor(reference.confusion_like(6))
    for power_diagonal in (True, False):
        almost = pairing_matrix(confusion, 1e-9, diagonal=0.3, power_diagonal=power_diagonal)
        limit = pairing_matrix(confusion, 0.0, diagonal=0.3, power_diagonal=power_diagonal)
        torch.testing.assert_close(almost, limit, atol=1e-7, rtol=0)


@pytest.mark.parametrize("gamma", [0.25, 1.0, 8.0])
def test_renaming_the_classes_renames_the_pairing(gamma):
    confusion = torch.tensor(reference.confusion_like(12))
    order = torch.randperm(12, generator=generator())
    for power_diagonal in (True, False):
        pairing = pairing_matrix(confusion, gamma, diagonal=0.1, power_diagonal=power_diagonal)
        renamed = pairing_matrix(confusion[order][:, order], gamma, diagonal=0.1, power_diagonal=power_diagonal)
        torch.testing.assert_close(renamed, pairing[order][:, order], atol=1e-10, rtol=0)


@pytest.mark.parametrize("num_classes", [2, 3, 10, 200])
@pytest.mark.parametrize("gamma", [1e-300, 0.25, 1.0, 8.0, 32.0])
@pytest.mark.parametrize("power_diagonal", [True, False])
def test_pairing_is_doubly_stochastic_for_hard_confusions(num_classes, gamma, power_diagonal):
    eye = np.eye(num_classes)
    one_column = np.full((num_classes, num_classes), 1e-40)
    one_column[:, 0] = 1  # everything is taken for class 0
    ring = np.roll(eye, 1, axis=1)  # every class is taken for the next one only
    hard = {
        "peaked": reference.confusion_like(num_classes, spread=6),
        "one column": one_column,
        "ring": ring,
        "no diagonal": (1 - eye) / (num_classes - 1),
    }
    for name, confusion in hard.items():
        diagonal = 0.0 if name in ("ring", "no diagonal") else 1 / num_classes
        pairing = pairing_matrix(torch.tensor(confusion), gamma, diagonal=diagonal, power_diagonal=power_diagonal)
        assert bool((pairing >= 0).all()), name
        np.testing.assert_allclose(pairing.sum(0).numpy(), 1, atol=1e-8, err_msg=name)
        np.testing.assert_allclose(pairing.sum(1).numpy(), 1, atol=1e-8, err_msg=name)


def test_no_diagonal_means_no_pairs_within_a_class():
    confusion = reference.confusion_like(6)
    np.fill_diagonal(confusion, 0)
    for power_diagonal in (True, False):
        pairing = pairing_matrix(torch.tensor(confusion), 0.25, diagonal=0.0, power_diagonal=power_diagonal)
        assert pairing.diagonal().max().item() < 1e-12


def test_large_gamma_pairs_by_the_best_assignment():
    """As gamma grows the matrix tends to the permutation with the largest product of confusions."""
    from scipy.optimize import linear_sum_assignment

    confusion = reference.confusion_like(7, seed=3)
    best = linear_sum_assignment(-np.log(confusion))[1]
    pairing = pairing_matrix(torch.tensor(confusion), 32.0, diagonal=1 / 7, power_diagonal=True)
    assert pairing.argmax(1).tolist() == best.tolist()
    assert pairing.max(1).values.min().item() > 0.8  # at gamma = 1: 0.3
