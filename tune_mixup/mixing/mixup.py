"""mixup: every example is blended with a random partner, and so is its target.

Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv:1710.09412, equation 1.
"""

from typing import ClassVar, Literal

from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.base import (
    Alpha,
    InputMixer,
    MixedBatch,
    Mixer,
    Per,
    State,
    draw_size,
    interpolate,
    mean_minor_share,
    sample_lam,
    take_rows,
)
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.paired import Partnered


class Mixup(Partnered, InputMixer):
    """lam ~ Beta(alpha, alpha) weighs each image against its partner."""

    in_state: ClassVar[frozenset[str]] = frozenset({"alpha"})
    name: Literal["mixup"] = "mixup"
    alpha: Alpha = 1.0
    """Both parameters of the Beta: >= 0, no unit. 0 gives lam = 1, that is plain training."""
    per: Per = "batch"
    """Whether a batch shares one lam, as in the paper, or each example has its own."""

    @property
    @override
    def weighs_examples(self) -> bool:
        return True

    @override
    def canonical(self) -> Mixer:
        """Without mixing this is plain training."""
        return Erm() if self.alpha == 0 else self.replace(partners=self.partners.canonical())

    @override
    def strength(self) -> float | None:
        """By the law of lam."""
        return mean_minor_share(self.alpha)

    @override
    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        """Blend inputs [B, ...] and targets [B, K] with the same lam."""
        size = draw_size(self.per, inputs)
        lam = sample_lam(self.live("alpha", state), size, device=inputs.device, generator=generator)
        partner = self.draw_partner(targets, state, generator=generator)
        mixed = interpolate(inputs, take_rows(inputs, partner), lam)
        return MixedBatch(mixed, interpolate(targets, targets[partner], lam), lam, partner)
