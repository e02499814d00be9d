"""What a trained classifier is judged by; a metric is one function and one entry here.

Functions take logits float [N, K] and targets int64 [N] with N >= 1, compute in float32, give a tensor [] on the same
device and read no value on the host.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Metric:
    """How a metric is computed, which way is better, and its unit in words."""

    function: Callable[[Tensor, Tensor], Tensor]
    direction: Literal["maximize", "minimize"]
    unit: str


def accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Fraction of rows whose largest logit is the target's, in [0, 1]; of equal logits the first counts."""
    return (logits.argmax(dim=1) == targets).float().mean()


def nll(logits: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of the targets under softmax: mean over the rows, in nats, >= 0."""
    return F.cross_entropy(logits.float(), targets)


def ece(logits: Tensor, targets: Tensor) -> Tensor:
    """Expected calibration error: sum over bins of |B| / N * |accuracy(B) - mean confidence(B)|, in [0, 1].

    The confidence is the largest softmax probability; 15 bins of equal width (a, b], of which the first takes 0 too.
    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599, equation 3.
    """
    confidence, predicted = logits.float().softmax(dim=1).max(dim=1)
    excess = (predicted == targets).float() - confidence
    bins = torch.arange(CALIBRATION_BINS, device=logits.device)
    inner_edges = bins[1:] / CALIBRATION_BINS
    # A masked sum rather than a scatter: atomic additions would make the result depend on their order.
    members = torch.bucketize(confidence, inner_edges).unsqueeze(1) == bins
    return (members * excess.unsqueeze(1)).sum(dim=0).abs().sum() / len(logits)


METRICS: dict[str, Metric] = {
    "accuracy": Metric(accuracy, "maximize", "fraction"),
    "nll": Metric(nll, "minimize", "nats"),
    "ece": Metric(ece, "minimize", "fraction"),
}
