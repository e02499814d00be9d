"""Losses against what published code computes of the same logits and targets (`golden/losses.npz`)."""

import pytest
import torch
from golden import cases

from tune_mixup.loss import CrossEntropy, Decoupled, SigmoidBce, SoftmaxBce

SAME = {
    "hard_pair_ce": CrossEntropy(),
    "soft_ce": CrossEntropy(),
    "soft_ce_neg_weight_half": CrossEntropy(),
    "sigmoid_bce_avg_factor_N": SigmoidBce(),
    "softmax_bce_mean_NK": SoftmaxBce(),
}


def batches():
    """Settings, logits that take gradients, soft targets, and all that was recorded of them."""
    for settings, recorded in cases("losses"):
        if "part" not in settings:
            yield (
                settings,
                torch.tensor(recorded["logits"], requires_grad=True),
                torch.tensor(recorded["target"]),
                recorded,
            )


def check(value, logits, recorded, name) -> bool:
    """Compare the value, and its gradient where that was recorded; whether it was."""
    torch.testing.assert_close(value, torch.tensor(recorded[f"loss_{name}"]), rtol=1e-5, atol=1e-6)
    if f"grad_{name}" not in recorded:
        return False
    (gradient,) = torch.autograd.grad(value, logits)
    torch.testing.assert_close(gradient, torch.tensor(recorded[f"grad_{name}"]), rtol=1e-5, atol=1e-7)
    return True


@pytest.mark.parametrize("name", SAME)
def test_values_and_gradients_are_the_recorded_ones(name):
    compared = [
        check(SAME[name](logits, targets), logits, recorded, name) for _, logits, targets, recorded in batches()
    ]
    assert len(compared) == 4 and sum(compared) >= 3


def test_two_hot_targets_are_the_recorded_ones_but_for_blends_within_a_class():
    """There, such a blend's target is 2 for its class: its loss is smaller by the logit than that for a target of 1."""
    name, doubled = "sigmoid_bce_two_hot", 0
    for settings, logits, targets, recorded in batches():
        own, other = (torch.tensor(recorded[f"labels_{side}"]).long() for side in "ab")
        within = own == other
        more = (logits.gather(1, own[:, None]).squeeze(1) * within).sum() / len(logits)
        check(SigmoidBce(targets="two_hot")(logits, targets) - more, logits, recorded, name)
        assert int(within.sum()) == settings["same_class_rows"]
        doubled += int(within.sum())
    assert doubled == 2


@pytest.mark.parametrize(
    ("name", "eta"), [("decoupled_both_avg_factor_N", 0.1), ("decoupled_both_eta1_avg_factor_N", 1.0)]
)
def test_decoupled_is_the_recorded_one_but_for_lam_of_one_half(name, eta):
    """There, the second term vanishes at lam = 1/2 exactly; here it stays."""
    vanished = 0
    for settings, logits, targets, recorded in batches():
        ours = Decoupled(eta=eta)(logits, targets)
        if settings["lam"] == 0.5:
            vanished += 1
            without = CrossEntropy()(logits, targets)
            check(without, logits, recorded, name)
            assert ours > without + 0.1 * eta
        else:
            check(ours, logits, recorded, name)
    assert vanished == 1
