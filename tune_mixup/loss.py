"""Losses of a classifier on soft targets: settings that are functions of logits and targets.

Shapes: B batch, K classes. Targets are float32 [B, K]; a row holds the share of each class and sums to 1. Everything is
computed in float32, also under autocast. Gradients of different losses differ in size, so learning rates found with
one do not carry over to another.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from tune_mixup.parts import Part, PartOf

MIXED_ABOVE = 1e-3
"""A class with a smaller share of a target does not count as mixed in (OpenMixup's threshold)."""


class Loss(Part, ABC):
    """Settings of a loss; `name` tells them apart."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of every target that is spread evenly over all classes: in [0, 1), no unit."""

    @abstractmethod
    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over the batch, float32 []; `logits` [B, K] of any precision."""

    def canonical(self) -> "Loss":
        """The simplest loss that has the same values; equal losses then share one identity."""
        return self

    def smoothed(self, targets: Tensor) -> Tensor:
        """(1 - s) t + s / K (Szegedy et al., CVPR 2016, arXiv:1512.00567, section 7)."""
        if self.label_smoothing == 0:
            return targets
        return (1 - self.label_smoothing) * targets + self.label_smoothing / targets.shape[1]


class CrossEntropy(Loss):
    """-sum_k t_k log softmax(z)_k: what the mixup papers write as lam CE(z, own) + (1 - lam) CE(z, partner)."""

    name: Literal["cross_entropy"] = "cross_entropy"

    @override
    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over the batch of the soft cross-entropy."""
        return F.cross_entropy(logits.float(), self.smoothed(targets))


class SigmoidBce(Loss):
    """Binary cross-entropy of every class's sigmoid: classes no longer compete.

    Beyer et al., "Are we done with ImageNet?", arXiv:2006.07159; with mixing: Wightman et al., "ResNet strikes back",
    arXiv:2110.00476, section 2.2.
    """

    name: Literal["sigmoid_bce"] = "sigmoid_bce"
    targets: Literal["soft", "two_hot"] = "soft"
    """soft: a target is the class's share, and they sum to 1; two_hot: it is 1 for every class that was mixed in."""
    sum_classes: bool = True
    """Whether a row's K terms are added up (OpenMixup) or averaged (timm), which makes the loss K times smaller."""

    @override
    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over the batch of the sum or mean over the classes."""
        wanted = (targets > MIXED_ABOVE).float() if self.targets == "two_hot" else targets
        loss = F.binary_cross_entropy_with_logits(logits.float(), self.smoothed(wanted))
        return loss * logits.shape[1] if self.sum_classes else loss


class SoftmaxBce(Loss):
    """Binary cross-entropy of every class's softmax, averaged over all B K entries.

    What the released code of manifold mixup, PuzzleMix and Co-Mixup trains with. Its gradients are 1 to 2 K-ths of the
    cross-entropy's.
    """

    name: Literal["softmax_bce"] = "softmax_bce"

    @override
    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over batch and classes of -(t log p + (1 - t) log(1 - p)); finite for any finite logits."""
        targets = self.smoothed(targets)
        log_p = logits.float().log_softmax(1)
        # 1 - p cancels for the largest p only; there it is what the other classes have.
        top = torch.zeros_like(log_p, dtype=torch.bool).scatter(1, log_p.argmax(1, keepdim=True), True)
        others = log_p.masked_fill(top, -torch.inf)
        log_not_p = torch.where(top, others.logsumexp(1, keepdim=True), torch.log1p(-others.exp()))
        return -(targets * log_p + (1 - targets) * log_not_p).mean()


class Decoupled(Loss):
    """Cross-entropy plus, for each mixed class, its cross-entropy among itself and the classes that were not mixed in.

    Liu et al., "Harnessing Hard Mixed Samples with Decoupled Regularizer", NeurIPS 2023, arXiv:2203.10761. The classes
    of a blend do not push each other down in the second term. Blends within one class have the first term only, as in
    the released code; other than there, lam = 1/2 keeps the second.
    """

    name: Literal["decoupled"] = "decoupled"
    eta: float = Field(default=0.1, ge=0)
    """Weight of the second term: >= 0, no unit; published 0.01 to 1."""
    power: float = Field(default=0.0, ge=0)
    """A class's part of the second term is weighted by its share to this power: 0 all alike, as in the paper; 1 by
    share, as in OpenMixup's configurations."""

    @override
    def canonical(self) -> Loss:
        """Without the second term this is the cross-entropy."""
        return CrossEntropy(label_smoothing=self.label_smoothing) if self.eta == 0 else self

    @override
    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over the batch of both terms; only the first sees smoothed targets."""
        logits = logits.float()
        mixed = targets > MIXED_ABOVE
        blended = mixed & (mixed.sum(1, keepdim=True) > 1)
        unmixed = logits.masked_fill(mixed, -torch.inf).logsumexp(1, keepdim=True)
        # -log(e^z / (e^z + e^unmixed)); nothing unmixed leaves softplus(-inf) = 0.
        alone = torch.where(blended, targets**self.power * F.softplus(unmixed - logits), 0.0)
        return F.cross_entropy(logits, self.smoothed(targets)) + self.eta * alone.sum(1).mean()


LOSSES: dict[str, type[Loss]] = {
    "cross_entropy": CrossEntropy,
    "sigmoid_bce": SigmoidBce,
    "softmax_bce": SoftmaxBce,
    "decoupled": Decoupled,
}

AnyLoss = Annotated[Loss, PartOf(LOSSES, "a loss")]
