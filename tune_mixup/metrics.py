"""What a trained classifier is judged by; a metric is one function and one entry here.

A metric from outside of the package is a `Metric` in any module, named by its import path in `training.metrics`.

Functions take logits float [N, K] and targets int64 [N] with N >= 1, compute in float32, give a tensor [] on the same
device and read no value on the host.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tune_mixup.importing import imported, is_import_path

CALIBRATION_BINS = 15


Direction = Literal["maximize", "minimize"]
"""Which way is better."""


@dataclass(frozen=True)
class Metric:
    """How a metric is computed, which way is better, and its unit in words."""

    function: Callable[[Tensor, Tensor], Tensor]
    direction: Direction
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


def read_paths(given: object) -> object:
    """A tuple of a list, or of a text of words between spaces or commas; anything else as it is."""
    if isinstance(given, str):
        return tuple(given.replace(",", " ").split())
    return tuple(given) if isinstance(given, list) else given


def outside_name(path: str) -> str:
    """What the metric at an import path is called in reports: the last part of the path, in small letters."""
    return path.rpartition(":")[2].rpartition(".")[2].lower()


def with_outside(paths: Sequence[str]) -> dict[str, Metric]:
    """`METRICS` and, by their names in reports, the metrics at import paths.

    Raises ValueError for what can't be imported or is no `Metric`, and for a name that is taken.
    """
    metrics = dict(METRICS)
    for path in paths:
        if not is_import_path(path):
            raise ValueError(f"got {path!r}, must be the import path of a metric, such as my_package.my_module:TOP5")
        found, name = imported(path), outside_name(path)
        if not isinstance(found, Metric):
            raise ValueError(
                f"got {path!r}, which is an object of type {type(found).__name__}, must be a tune_mixup.metrics.Metric"
            )
        if name in metrics or name.endswith("_median"):
            reserved = "ends like the medians of others" if name.endswith("_median") else "is another metric's already"
            raise ValueError(f"got {path!r}, whose name in reports, {name}, {reserved}; rename it")
        metrics[name] = found
    return metrics


def directions(metrics: Mapping[str, Metric], split: str = "val") -> dict[str, Direction]:
    """What a trial reports of `metrics` on a split, and which way is better; `_median` is over its last epochs."""
    return {f"{split}_{name}{end}": metric.direction for end in ("", "_median") for name, metric in metrics.items()}


def measure(metrics: Mapping[str, Metric], logits: Tensor, targets: Tensor) -> dict[str, float]:
    """Each metric of all rows, read from the device at once.

    Raises ValueError for a metric that gives no tensor of one number, or one on another device.
    """
    values = []
    for name, metric in metrics.items():
        value = metric.function(logits, targets)
        if not isinstance(value, Tensor) or value.ndim or value.device != logits.device:
            came = f"{tuple(value.shape)} on {value.device}" if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"the metric {name} gave {came}, must be a tensor of shape () on {logits.device}")
        values.append(value.float())
    return dict(zip(metrics, torch.stack(values).tolist(), strict=True))
