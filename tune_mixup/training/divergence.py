"""When training has failed for good: a loss that is not finite any more, or far worse than guessing."""

import math
from collections.abc import Mapping

import torch

from tune_mixup.loss import Loss

EXPLODED = 10
"""A trial has diverged when the loss is this many times that of guessing. A network that starts badly has 2 to 3 times
it; one that is at 10 times after a whole epoch has weights that no later epoch brings back."""


def has_exploded(loss: float, nll: float, *, loss_function: Loss, num_classes: int) -> bool:
    """Whether an epoch's mean `loss` is far above guessing, and was still so at its end, by the validation `nll`."""
    half_and_half = torch.eye(num_classes)[:2].mean(0, keepdim=True)
    guessing = loss_function(torch.zeros(1, num_classes), half_and_half).item()
    return loss > EXPLODED * guessing and nll > EXPLODED * math.log(num_classes)


def why_diverged(report: Mapping[str, float]) -> str:
    """What was wrong in the epoch that a trial diverged in."""
    loss = report.get("train_loss", math.nan)
    if math.isfinite(loss):
        return f"the loss is {loss:.4g}, more than {EXPLODED} times that of guessing"
    return "the loss is NaN or infinite"
