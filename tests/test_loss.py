"""Losses against closed forms and loops over examples and classes."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.loss import LOSSES, AnyLoss, CrossEntropy, Decoupled, SigmoidBce, SoftmaxBce
from tune_mixup.schema import Schema

EVERY = [
    CrossEntropy(),
    CrossEntropy(label_smoothing=0.1),
    SigmoidBce(),
    SigmoidBce(sum_classes=False, label_smoothing=0.2),
    SigmoidBce(targets="two_hot"),
    SoftmaxBce(),
    SoftmaxBce(label_smoothing=0.1),
    Decoupled(),
    Decoupled(eta=1.0, power=1.0, label_smoothing=0.1),
]
every_loss = pytest.mark.parametrize("loss", EVERY, ids=str)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blends(size: int = 12, num_classes: int = 5, seed: int = 0, scale: float = 3.0):
    """Logits and two-hot targets, among them blends within one class, lam = 1 and lam = 1/2."""
    made = generator(seed)
    logits = scale * torch.randn(size, num_classes, generator=made)
    own, other = torch.randint(num_classes, (2, size), generator=made)
    lam = torch.rand(size, generator=made)
    lam[:3] = torch.tensor([1.0, 0.5, 0.5])[:size]
    eye = torch.eye(num_classes)
    return logits, lam[:, None] * eye[own] + (1 - lam)[:, None] * eye[other]


def softmax(row) -> list[float]:
    powers = [math.exp(z - max(row)) for z in row]
    return [power / sum(powers) for power in powers]


def by_hand(loss, logits: torch.Tensor, targets: torch.Tensor) -> float:
    """The mean over examples, one class at a time, in Python's floats."""
    size, num_classes = targets.shape
    total = 0.0
    for z, t in zip(logits.double().tolist(), targets.double().tolist(), strict=True):
        mixed = [k for k in range(num_classes) if t[k] > 1e-3]
        hot = [float(k in mixed) for k in range(num_classes)] if loss == SigmoidBce(targets="two_hot") else t
        wanted = [(1 - loss.label_smoothing) * h + loss.label_smoothing / num_classes for h in hot]
        p = softmax(z)
        match loss:
            case CrossEntropy():
                total += sum(-wanted[k] * math.log(p[k]) for k in range(num_classes))
            case SigmoidBce():
                sigmoid = [1 / (1 + math.exp(-z[k])) for k in range(num_classes)]
                terms = [
                    -wanted[k] * math.log(sigmoid[k]) - (1 - wanted[k]) * math.log(1 - sigmoid[k])
                    for k in range(num_classes)
                ]
                total += sum(terms) / (1 if loss.sum_classes else num_classes)
            case SoftmaxBce():
                total += sum(
                    -wanted[k] * math.log(p[k]) - (1 - wanted[k]) * math.log(1 - p[k]) for k in range(num_classes)
                )
            case Decoupled():
                total += sum(-wanted[k] * math.log(p[k]) for k in range(num_classes))
                if len(mixed) == 2:
                    for k in mixed:
                        among = [z[k]] + [z[j] for j in range(num_classes) if j not in mixed]
                        total += loss.eta * t[k] ** loss.power * -math.log(softmax(among)[0])
    return total / size / (num_classes if isinstance(loss, SoftmaxBce) else 1)


@every_loss
@pytest.mark.parametrize("num_classes", [2, 3, 5, 40])
def test_against_a_loop(loss, num_classes):
    for seed in range(3):
        logits, targets = blends(num_classes=num_classes, seed=seed)
        assert loss(logits, targets).item() == pytest.approx(by_hand(loss, logits, targets), rel=1e-4)


@every_loss
def test_values_are_float32_means_also_under_autocast(loss):
    logits, targets = blends()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(logits.bfloat16(), targets)
    assert value.dtype == torch.float32 and value.shape == ()
    torch.testing.assert_close(value, loss(logits.bfloat16().float(), targets))


@every_loss
@pytest.mark.parametrize("num_classes", [2, 5])
@pytest.mark.parametrize("scale", [1.0, 1e3, 1e30])
def test_values_and_gradients_are_finite_however_certain_the_model(loss, num_classes, scale):
    logits, targets = blends(num_classes=num_classes, scale=scale)
    logits.requires_grad_()
    value = loss(logits, targets)
    value.backward()
    assert math.isfinite(value.item())
    assert bool(logits.grad.isfinite().all())


@every_loss
def test_gradients_against_finite_differences(loss):
    logits, targets = blends(size=6, num_classes=4)
    logits = logits.requires_grad_()
    loss(logits, targets).backward()
    for i, k in np.ndindex(6, 4):
        ends = []
        for step in (-1e-4, 1e-4):
            moved = logits.detach().double().clone()
            moved[i, k] += step
            ends.append(by_hand(loss, moved, targets))
        assert logits.grad[i, k].item() == pytest.approx((ends[1] - ends[0]) / 2e-4, abs=1e-4)


@pytest.mark.parametrize("sum_classes", [True, False])
def test_logits_of_zero_in_closed_form(sum_classes):
    num_classes = 7
    _, targets = blends(num_classes=num_classes)
    logits = torch.zeros_like(targets)
    assert CrossEntropy()(logits, targets).item() == pytest.approx(math.log(7))
    sigmoid = SigmoidBce(sum_classes=sum_classes)(logits, targets).item()
    assert sigmoid == pytest.approx(math.log(2) * (7 if sum_classes else 1))
    # mean over K of -(t log 1/K + (1 - t) log(1 - 1/K)), with targets that sum to 1
    expected = (math.log(7) - 6 * math.log(6 / 7)) / 7
    assert SoftmaxBce()(logits, targets).item() == pytest.approx(expected)


def test_cross_entropy_is_the_pair_loss():
    logits = torch.randn(16, 7, generator=generator())
    own, other = torch.randint(7, (2, 16), generator=generator(1))
    soft = 0.3 * F.one_hot(own, 7) + 0.7 * F.one_hot(other, 7)
    pair = 0.3 * F.cross_entropy(logits, own) + 0.7 * F.cross_entropy(logits, other)
    torch.testing.assert_close(CrossEntropy()(logits, soft), pair)


def test_softmax_bce_is_what_torch_computes_of_the_softmax():
    logits, targets = blends(size=64, num_classes=10)
    expected = torch.nn.BCELoss()(logits.softmax(1), targets)
    torch.testing.assert_close(SoftmaxBce()(logits, targets), expected, rtol=1e-5, atol=1e-6)


def test_softmax_bce_goes_on_where_the_softmax_rounds_to_one():
    """Own logit z, the other 0, target the other class: -log p - log(1 - p) is z for both classes."""
    logits = torch.tensor([[90.0, 0.0]], requires_grad=True)
    value = SoftmaxBce()(logits, torch.tensor([[0.0, 1.0]]))
    value.backward()
    assert value.item() == pytest.approx(90.0)
    assert logits.grad.tolist() == [[pytest.approx(1.0), pytest.approx(-1.0)]]


def test_two_hot_targets_do_not_ask_how_much():
    logits, _ = blends(size=1)
    values = {
        SigmoidBce(targets="two_hot")(logits, torch.tensor([[lam, 0.0, 1 - lam, 0.0, 0.0]])).item()
        for lam in (0.01, 0.4, 0.98)
    }
    assert len(values) == 1
    alone = torch.tensor([[1 - 1e-7, 0.0, 1e-7, 0.0, 0.0]])
    assert SigmoidBce(targets="two_hot")(logits, alone) == SigmoidBce()(logits, alone.round())


def test_decoupling_sees_no_rivalry_between_the_two_classes():
    """The second term does not move when both mixed logits rise against each other beyond the rest."""
    targets = torch.tensor([[0.6, 0.4, 0.0, 0.0]])

    def second(logits):
        logits = torch.tensor([logits])
        return (Decoupled(eta=1.0)(logits, targets) - CrossEntropy()(logits, targets)).item()

    base = second([1.0, 2.0, 0.0, 0.5])
    rest = math.log(1 + math.exp(0.5))
    assert base == pytest.approx(sum(math.log(1 + math.exp(rest - z)) for z in (1.0, 2.0)), rel=1e-5)
    assert second([1.0, 50.0, 0.0, 0.5]) == pytest.approx(math.log(1 + math.exp(rest - 1.0)), rel=1e-5)


@pytest.mark.parametrize("targets", [[1.0, 0.0, 0.0], [1 - 5e-4, 5e-4, 0.0]])
def test_decoupling_leaves_unmixed_examples_alone(targets):
    logits, _ = blends(size=1, num_classes=3)
    row = torch.tensor([targets])
    assert Decoupled(eta=3.0)(logits, row).item() == pytest.approx(CrossEntropy()(logits, row).item())


def test_without_eta_decoupling_is_the_cross_entropy():
    assert Decoupled(eta=0.0, power=1.0, label_smoothing=0.1).canonical() == CrossEntropy(label_smoothing=0.1)
    assert Decoupled(eta=0.1).canonical() == Decoupled(eta=0.1)
    logits, targets = blends()
    assert torch.equal(Decoupled(eta=0.0)(logits, targets), CrossEntropy()(logits, targets))


@settings(deadline=None, max_examples=50)
@given(smoothing=st.floats(0, 0.99), num_classes=st.integers(2, 30), seed=st.integers(0, 100))
def test_smoothed_targets_are_distributions(smoothing, num_classes, seed):
    _, targets = blends(num_classes=num_classes, seed=seed)
    smoothed = CrossEntropy(label_smoothing=smoothing).smoothed(targets)
    torch.testing.assert_close(smoothed.sum(1), torch.ones(len(targets)))
    assert smoothed.min() >= smoothing / num_classes * (1 - 1e-6)


@every_loss
def test_arguments_are_not_changed(loss):
    logits, targets = blends()
    before = logits.clone(), targets.clone()
    loss(logits, targets)
    assert torch.equal(logits, before[0]) and torch.equal(targets, before[1])


@every_loss
def test_canonical_losses_have_the_same_values(loss):
    logits, targets = blends()
    assert torch.equal(loss.canonical()(logits, targets), loss(logits, targets))
    assert loss.canonical().canonical() == loss.canonical()


def test_every_loss_is_registered_under_its_own_name():
    assert {name: loss().name for name, loss in LOSSES.items()} == {name: name for name in LOSSES}


class Trial(Schema):
    loss: AnyLoss


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"name": "bce"}, "loss.name: got 'bce', which is not known"),
        ({"name": "cross_entropy", "label_smoothing": 1.0}, "loss.label_smoothing: got 1.0, must be less than 1"),
        ({"name": "cross_entropy", "label_smoothing": -0.1}, "loss.label_smoothing: got -0.1, must be greater"),
        ({"name": "cross_entropy", "eta": 0.1}, "loss.eta: there is no such setting"),
        ({"name": "sigmoid_bce", "targets": "hard"}, "loss.targets: got 'hard', must be 'soft' or 'two_hot'"),
        ({"name": "decoupled", "eta": -1.0}, "loss.eta: got -1.0, must be greater than or equal to 0"),
        ({"name": "decoupled", "power": math.nan}, "loss.power: got nan, must be a finite number"),
    ],
)
def test_bad_settings_are_refused_by_name(bad, message):
    with pytest.raises(ValueError, match=message):
        Trial.parse({"loss": bad})
