import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss

from tune_mixup.metrics import METRICS, accuracy, ece, nll


def random_case(seed, rows=200, classes=7, scale=2.0):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(rows, classes, generator=generator)
    return logits, torch.randint(classes, (rows,), generator=generator)


def confident(probabilities, correct):
    """Two-class logits whose first class has the given probability, at least one half, and whether it is right."""
    probability = torch.tensor(probabilities, dtype=torch.float64)
    logits = torch.stack([probability.log(), (1 - probability).log()], dim=1)
    return logits.float(), (~torch.tensor(correct)).long()


def slow_ece(logits, targets, num_bins=15):
    total = 0.0
    probabilities = logits.double().softmax(dim=1).numpy()
    for index in range(num_bins):
        inside = []
        for row, target in zip(probabilities, targets.tolist(), strict=True):
            confidence = row.max()
            if index / num_bins < confidence <= (index + 1) / num_bins or (index == 0 and confidence == 0):
                inside.append((float(row.argmax() == target), confidence))
        if inside:
            right, sure = np.mean(inside, axis=0)
            total += len(inside) / len(targets) * abs(right - sure)
    return total


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_gives_one_float32_number_and_leaves_its_arguments_alone(name):
    logits, targets = random_case(0)
    before = logits.clone(), targets.clone()
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        value = METRICS[name].function(logits.to(dtype), targets)
        assert value.shape == () and value.dtype == torch.float32 and torch.isfinite(value)
    assert torch.equal(logits, before[0]) and torch.equal(targets, before[1])


def test_each_metric_says_which_way_is_better():
    assert {name: metric.direction for name, metric in METRICS.items()} == {
        "accuracy": "maximize",
        "nll": "minimize",
        "ece": "minimize",
    }
    right = torch.tensor([0, 1, 1, 0])
    good, bad = 9 * torch.eye(2)[right], 9 * torch.eye(2)[1 - right]
    for metric in METRICS.values():
        sign = 1 if metric.direction == "maximize" else -1
        assert sign * metric.function(good, right) > sign * metric.function(bad, right)


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_and_nll_agree_with_sklearn(seed):
    logits, targets = random_case(seed)
    probabilities = logits.double().softmax(dim=1)
    assert accuracy(logits, targets).item() == pytest.approx(accuracy_score(targets, logits.argmax(dim=1)), abs=1e-6)
    assert nll(logits, targets).item() == pytest.approx(log_loss(targets, probabilities, labels=range(7)), abs=1e-5)


def test_nll_of_a_uniform_guess_is_log_k():
    assert nll(torch.zeros(9, 5), torch.arange(9) % 5).item() == pytest.approx(math.log(5), abs=1e-6)


def test_nll_stays_finite_for_logits_that_overflow_a_plain_softmax():
    assert nll(torch.tensor([[2000.0, 0.0]]), torch.tensor([1])).item() == 2000.0


def test_more_outputs_than_classes_are_fine():
    logits = torch.tensor([[1.0, 2.0, 9.0], [3.0, 1.0, 0.0]])
    assert accuracy(logits, torch.tensor([1, 0])).item() == 0.5


@pytest.mark.parametrize(("sure", "right"), [(0.6, 10), (0.9, 3), (0.97, 20), (0.55, 0)])
def test_ece_of_a_constant_confidence_is_the_distance_to_the_accuracy(sure, right):
    logits, targets = confident([sure] * 20, [row < right for row in range(20)])
    assert ece(logits, targets).item() == pytest.approx(abs(right / 20 - sure), abs=1e-6)


def test_ece_of_a_perfectly_calibrated_predictor_is_zero():
    sure = [0.6] * 50 + [0.75] * 40 + [0.9] * 30 + [1.0] * 10
    correct = [row < 30 for row in range(50)] + [row < 30 for row in range(40)] + [row < 27 for row in range(30)]
    assert ece(*confident(sure, correct + [True] * 10)).item() == pytest.approx(0, abs=1e-6)


def test_opposite_errors_cancel_inside_a_bin_only():
    inside = confident([0.61] * 5 + [0.65] * 5, [True] * 5 + [False] * 5)
    assert ece(*inside).item() == pytest.approx(0.13, abs=1e-6)
    across = confident([0.61] * 5 + [0.71] * 5, [True] * 5 + [False] * 5)
    assert ece(*across).item() == pytest.approx((0.39 + 0.71) / 2, abs=1e-6)


@pytest.mark.parametrize("classes", [3, 5, 15])
def test_a_bin_holds_its_upper_edge(classes):
    # Equal logits give the confidence 1 / K, which is an edge for these K; a little more belongs to the next bin.
    logits = torch.zeros(2, classes)
    logits[1, 0] = 1e-4
    apart = ((1 - 1 / classes) + 1 / classes) / 2
    assert ece(logits, torch.tensor([0, 1])).item() == pytest.approx(apart, abs=1e-3)
    together = abs(1 / 2 - 1 / classes)
    assert ece(logits[:1].repeat(2, 1), torch.tensor([0, 1])).item() == pytest.approx(together, abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**31), rows=st.integers(1, 80), classes=st.integers(2, 20), scale=st.floats(0.01, 30))
def test_ece_agrees_with_a_loop_over_bins(seed, rows, classes, scale):
    logits, targets = random_case(seed, rows, classes, scale)
    assert ece(logits, targets).item() == pytest.approx(slow_ece(logits, targets), abs=1e-5)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31), rows=st.integers(1, 80))
def test_metrics_do_not_depend_on_the_order_of_the_rows(seed, rows):
    logits, targets = random_case(seed, rows)
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    for metric in METRICS.values():
        torch.testing.assert_close(metric.function(logits[order], targets[order]), metric.function(logits, targets))
