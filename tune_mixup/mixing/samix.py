"""SAMix: AutoMix whose block also sees how much of each image is wanted, and whose masks should be decided.

Li et al., "Boosting Discriminative Visual Representation Learning with Scenario-Agnostic Mixup", arXiv:2111.15454, in
the form of openmixup's CIFAR configurations. Features are weighed by lam before the block sees them, both images' are
seen together, values have a hidden layer, masks are smooth, and masks of a low variance cost more.

Differs from openmixup as AutoMix does; its weight of labels that are not mixed in (`neg_weight`) has no effect there.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.automix import FIRST_STD
from tune_mixup.mixing.learned import LearnedMixer
from tune_mixup.mixing.mix_block import attend, rescaled

VARIANCE_WEIGHT = 2.0
"""How much a mask's loss falls with its variance."""


class SAMix(LearnedMixer):
    """As AutoMix, with queries and keys from both images' features, weighed by lam."""

    smooth: ClassVar[bool] = True
    name: Literal["samix"] = "samix"
    residual: float | None = Field(default=0.25, ge=0)
    """How lam is rescaled for the block: >= 0, no unit; the more, the less. Empty: it is fed as it is."""

    @override
    def first_block(self, channels: int, *, generator: Generator) -> dict[str, Tensor]:
        """Projections of both images' channels for queries and keys; for values two layers with a batch norm."""
        inner = max(1, channels // 2)

        def weight(outputs: int, inputs: int) -> Tensor:
            return FIRST_STD * torch.randn(outputs, inputs, generator=generator)

        return {
            "query.weight": weight(inner, 2 * channels),
            "query.bias": torch.zeros(inner),
            "key.weight": weight(inner, 2 * channels),
            "key.bias": torch.zeros(inner),
            "hidden.weight": weight(inner, channels),
            "norm.weight": torch.ones(inner),
            "norm.bias": torch.zeros(inner),
            "value.weight": weight(1, inner),
        }

    @override
    def partner_logits(self, block: Mapping[str, Tensor], features: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
        """The batch norm goes by the batch, always."""
        wanted = lam if self.residual is None else rescaled(lam, self.residual)
        own, other = features * (1 + wanted), features[partner] * (2 - wanted)
        both = torch.cat([own, other], dim=-1)
        queries = F.linear(both, block["query.weight"], block["query.bias"])
        keys = F.linear(both, block["key.weight"], block["key.bias"])
        hidden = F.linear(other, block["hidden.weight"]).flatten(0, 1)
        normed = F.batch_norm(hidden, None, None, block["norm.weight"], block["norm.bias"], training=True)
        values = F.linear(F.elu(normed), block["value.weight"]).view(features.shape[:2])
        return attend(queries, keys, values)

    @override
    def mask_loss(self, partner_mask: Tensor, lam: Tensor, *, margin: float | Tensor) -> Tensor:
        """Less for masks of a large variance over all pixels of the batch."""
        return super().mask_loss(partner_mask, lam, margin=margin) - VARIANCE_WEIGHT * partner_mask.var(correction=0)
