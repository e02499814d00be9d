"""Manifold mixup: features are blended with a partner's, after a stage of the network drawn for each batch.

Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States", ICML 2019, arXiv:1806.05236,
section 2. Gradients flow through the features of both.

The stage is drawn on the device: features are blended at every eligible depth, with lam = 1 where the draw fell
elsewhere. That is the identity to the last bit, without a branch that the host would have to take.

Differs from the released code: in its post-activation ResNet, a draw of the input blends targets but not images.
"""

from typing import Annotated, ClassVar, Literal

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

from tune_mixup.mixing.base import (
    Alpha,
    MixedBatch,
    Mixer,
    Per,
    State,
    draw_size,
    mean_minor_share,
    mix_rows,
    sample_lam,
)
from tune_mixup.mixing.features import exact_in_features
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.number_sets import whole_numbers
from tune_mixup.mixing.paired import Partnered


class ManifoldMixup(Partnered):
    """One depth per batch, uniform among `layers`, and lam ~ Beta(alpha, alpha)."""

    in_state: ClassVar[frozenset[str]] = frozenset({"alpha"})
    name: Literal["manifold_mixup"] = "manifold_mixup"
    alpha: Alpha = 2.0
    """Both parameters of lam's Beta: >= 0, no unit. 0 gives lam = 1, that is plain training."""
    layers: Annotated[tuple[int, ...], whole_numbers(0, "depths", "0 1 2")] = (0, 1, 2)
    """Where features may be blended: 0 is the input, d what stage d puts out. A list, or text such as 0 1 2, which a
    search space can hold."""
    per: Per = "batch"
    """Whether a batch shares one lam, or each example has its own; the depth is the batch's in any case."""

    @property
    @override
    def min_stages(self) -> int:
        """The deepest layer."""
        return max(self.layers)

    @property
    @override
    def weighs_examples(self) -> bool:
        return True

    @override
    def canonical(self) -> Mixer:
        """Without mixing this is plain training; at the input alone it is mixup."""
        if self.alpha == 0 or self.layers == (0,):
            return Mixup(alpha=self.alpha, per=self.per, partners=self.partners, **self.when_applied()).canonical()
        return self.replace(partners=self.partners.canonical())

    @override
    def strength(self) -> float | None:
        """By the law of lam, at whatever depth."""
        return mean_minor_share(self.alpha)

    @override
    def blend(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator
    ) -> MixedBatch:
        """Blend targets [B, K] by lam, and inputs [B, C, H, W] or what `hidden` names."""
        size = draw_size(self.per, inputs)
        lam = sample_lam(self.live("alpha", state), size, device=inputs.device, generator=generator)
        partner = self.draw_partner(targets, state, generator=generator)
        lam = exact_in_features(lam)
        at = self._spread(lam, generator)
        mixed = mix_rows(partner, at.pop(0), inputs) if 0 in at else inputs
        return MixedBatch(mixed, mix_rows(partner, lam, targets), lam, partner, hidden=at)

    def _spread(self, lam: Tensor, generator: Generator) -> dict[int, Tensor]:
        """lam at the depth that is drawn and 1 at the others."""
        if len(self.layers) == 1:
            return {self.layers[0]: lam}
        drawn = torch.randint(len(self.layers), (), device=lam.device, generator=generator)
        return {depth: torch.where(drawn == index, lam, 1.0) for index, depth in enumerate(self.layers)}
