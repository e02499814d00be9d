"""AutoMix: which pixels of two images a mixture shows is learned, beside the classifier and from its features.

Liu et al., "AutoMix: Unveiling the Power of Mixup for Stronger Classifiers", ECCV 2022, arXiv:2103.13027; the block in
the form of openmixup's CIFAR configurations, where it is not told lam: the mask's loss alone knows it. `learned.py`
says how a step goes.

Differs from openmixup:

- One head is evaluated, which is a setting. There, the best of four is reported.
- Both heads begin alike, and the momentum stays as it is unless `momentum_steps` says over how many steps it rises.
- The encoder averages running statistics as well. It runs in training mode, where they have no effect, as there.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.learned import LearnedMixer
from tune_mixup.mixing.mix_block import attend

FIRST_STD = 0.01
"""The standard deviation of the block's first weights."""


class AutoMix(LearnedMixer):
    """Each place of the map attends to the partner's places that are like it, and gets of them the partner's weight."""

    smooth: ClassVar[bool] = False
    name: Literal["automix"] = "automix"

    @override
    def first_block(self, channels: int, *, generator: Generator) -> dict[str, Tensor]:
        """One projection for queries and keys, to half the channels, and one for values."""
        inner = max(1, channels // 2)
        return {
            "query.weight": FIRST_STD * torch.randn(inner, channels, generator=generator),
            "query.bias": torch.zeros(inner),
            "value.weight": FIRST_STD * torch.randn(1, channels, generator=generator),
            "value.bias": torch.zeros(1),
        }

    @override
    def partner_logits(self, block: Mapping[str, Tensor], features: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
        """Without a look at lam."""
        queries = F.linear(features, block["query.weight"], block["query.bias"])
        values = F.linear(features, block["value.weight"], block["value.bias"]).squeeze(-1)
        return attend(queries, queries[partner], values[partner])
