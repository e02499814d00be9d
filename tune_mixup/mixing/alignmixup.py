"""AlignMixup: features of two images are brought to the same places before they are blended.

Venkataramanan et al., "AlignMixup: Improving Representations by Interpolating Aligned Features", CVPR 2022,
arXiv:2103.15375, section 3: optimal transport between the last feature maps says which place of one belongs to which
place of the other; the features of either go to the places of the other, which half of the batches is drawn for. The
other half is plain input mixup.

Differs from the paper, as its released code does: the autoencoder is absent. Differs from the released code:

- Sweeps of Sinkhorn's algorithm are of a fixed number, the temperature falls while they are made, and sums are then
  rounded to 1. There, sweeps at the last temperature stop when a batch changes little (`variant=published`, with up to
  100 of them). Maps of 512 channels are so far apart that this is long before they have settled: a place then gets many
  times its features, or none.
- lam = 1 leaves features where they are.

Where the mean over places is all that follows (`pooled_linear` right behind the last stage, as in ResNets), an
alignment whose sums are 1 changes no logit: the settled variant is then manifold mixup of that stage, and the published
one differs from it by sums that are not 1, in one of its two directions. Align after an earlier stage (`layer`) there.
"""

from functools import partial
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from typing_extensions import override

from tune_mixup.mixing.alignment import annealed, carry, distances, stopped
from tune_mixup.mixing.base import (
    Alpha,
    MixedBatch,
    Mixer,
    Per,
    State,
    draw_size,
    interpolate,
    mean_minor_share,
    mix_rows,
    sample_lam,
)
from tune_mixup.mixing.features import exact_in_features
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.paired import Partnered


class AlignMixup(Partnered):
    """lam ~ Beta(alpha, alpha) weighs images, or features after one stage once one image's are at the other's places.

    Which of the two is drawn for each batch, and whose features are carried.
    """

    in_state: ClassVar[frozenset[str]] = frozenset({"alpha"})
    name: Literal["alignmixup"] = "alignmixup"
    variant: Literal["settled", "published"] = "settled"
    """settled: each place takes features of weights that sum to 1; published: as the released code leaves them."""
    alpha: Alpha = 2.0
    """Both parameters of lam's Beta: >= 0, no unit. 0 gives lam = 1, that is plain training."""
    aligned: float = Field(default=0.5, ge=0, le=1)
    """Share of batches whose features are aligned and blended, 0 to 1; the images of the others are blended."""
    layer: int | None = Field(default=None, ge=1)
    """The stage of the network after which features are aligned, from 1; empty: the last one."""
    epsilon: float = Field(default=0.1, ge=1e-4, le=1e4)
    """Temperature of the transport, in units of a squared distance of features: a small one moves each place to one
    other, a large one to the mean of all. 0.0001 to 10000."""
    sweeps: int = Field(default=20, ge=1, le=1000)
    """Sweeps of Sinkhorn's algorithm: 1 to 1000; with variant=published the most, 100 in the released code."""
    normalised: bool = False
    """Whether distances are between features of length 1, and so from 0 to 4 for any network."""
    per: Per = "batch"
    """Whether a batch shares one lam, or each example has its own; what is drawn else is the batch's in any case."""

    @property
    @override
    def min_stages(self) -> int:
        """The layer; the last one is where it is."""
        return self.layer or 1

    @property
    @override
    def weighs_examples(self) -> bool:
        return True

    @override
    def canonical(self) -> Mixer:
        """Without mixing this is plain training; at the input alone it is mixup."""
        if self.alpha == 0 or self.aligned == 0:
            return Mixup(alpha=self.alpha, per=self.per, partners=self.partners, **self.when_applied()).canonical()
        return self.replace(partners=self.partners.canonical())

    @override
    def strength(self) -> float | None:
        """By the law of lam, at the input or behind."""
        return mean_minor_share(self.alpha)

    @override
    def blend(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator
    ) -> MixedBatch:
        """Blend targets [B, K] by lam, and inputs [B, C, H, W] or what `hidden` names."""
        device = inputs.device
        size = draw_size(self.per, inputs)
        lam = sample_lam(self.live("alpha", state), size, device=device, generator=generator)
        partner = self.draw_partner(targets, state, generator=generator)
        place, whose = torch.rand(2, device=device, generator=generator)
        lam = exact_in_features(lam)
        behind = place < self.aligned
        mixed = mix_rows(partner, torch.where(behind, 1.0, lam), inputs)
        depth = self.layer or len(list(model.get_submodule("stages").children()))
        return MixedBatch(
            mixed,
            mix_rows(partner, lam, targets),
            lam,
            partner,
            hidden={depth: torch.where(behind, lam, 1.0)},
            blends={depth: partial(self.blend_aligned, whose < 0.5)},
        )

    def blend_aligned(self, carry_own: Tensor, own: Tensor, other: Tensor, lam: Tensor) -> Tensor:
        """`own` and `other` features [B, D, ...] blended by lam [] or [B], with either at the places of the other.

        `carry_own` bool [] says which: the own features are carried to the places of the others, or else those to the
        own ones. Exactly `own` where lam is 1.
        """
        with torch.autocast(own.device.type, enabled=False):
            solve = annealed if self.variant == "settled" else stopped
            cost = distances(own, other, normalised=self.normalised)
            assignment = solve(cost, epsilon=self.epsilon, sweeps=self.sweeps)
            own_there, other_here = carry(own, assignment.mT), carry(other, assignment)
        moved = carry_own & (lam < 1)
        moved = moved.reshape(moved.shape + (1,) * (own.ndim - 1 if moved.ndim else 0))
        return interpolate(torch.where(moved, own_there, own), torch.where(moved, other, other_here), lam)
