"""AttentiveMix: the cells of an image that a teacher looks at most stay, the others show the partner.

Walawalkar et al., "Attentive CutMix: An Enhanced Data Augmentation Approach for Deep Learning Based Image
Classification", ICASSP 2020, arXiv:2003.13048, in the form of openmixup (`augments/attentivemix.py`), whose tables call
it AttentiveMix+: a share lam of the own image's cells stays where it is. In the paper six of 49 cells, in every batch,
are pasted onto the partner.

Differs from openmixup:

- Each row's labels weigh as its own mask does. There, all weigh as the mask of the batch's first, which on images that
  the cells do not divide is another by up to 2 % (`variant=published`).
- The teacher is asked in evaluation mode. There, it is in training mode, and its statistics drift.
- The teacher is the network itself, averaged, on the images as they are; or one of your own. There, it is a ResNet-18
  trained on ImageNet, on images enlarged to 224 pixels, with 7 x 7 cells.
"""

from typing import ClassVar, Literal

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
    interpolate,
    mean_minor_share,
    sample_lam,
    take_rows,
)
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.fmix import ranks
from tune_mixup.mixing.masks import mean_weight, mix_by_mask
from tune_mixup.mixing.paired import Partnered
from tune_mixup.mixing.teachers import AnyTeacher, EmaTeacher


class AttentiveMix(Partnered):
    """The share lam ~ Beta(alpha, alpha) of the cells, at least one, stays; lam becomes the share of pixels."""

    in_state: ClassVar[frozenset[str]] = frozenset({"alpha"})
    name: Literal["attentivemix"] = "attentivemix"
    variant: Literal["intended", "published"] = "intended"
    """intended: each row's lam is the mean of its own mask; published: all have that of the first row."""
    alpha: Alpha = 2.0
    """Both parameters of the Beta: >= 0, no unit. 0 gives lam = 1, that is plain training."""
    teacher: AnyTeacher = EmaTeacher()
    """Whose attention is followed: ema, the network that is trained, averaged over its last steps; one that was trained
    before, tune_mixup.training.teacher:Trained; or my_package.my_module:Mine."""
    per: Per = "batch"
    """Whether a batch shares one number of cells, or each example has its own; which cells is up to each image."""

    @override
    def canonical(self) -> Mixer:
        """Without mixing this is plain training."""
        return Erm() if self.alpha == 0 else self.replace(partners=self.partners.canonical())

    @override
    def strength(self) -> float | None:
        """By the law of lam as drawn; how many cells it is rounded to, only the network tells."""
        return mean_minor_share(self.alpha)

    @override
    def begin(self, model: nn.Module, state: State, inputs: Tensor, *, generator: Generator) -> State:
        """With the first of the teacher, which has to be able to look at this network."""
        self.teacher.check(model, method=self.name)
        return super().begin(model, state, inputs, generator=generator)

    @override
    def follow(self, model: nn.Module, state: State) -> State:
        """What the teacher takes from the network."""
        return self.teacher.follow(model, state)

    @override
    def blend(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator
    ) -> MixedBatch:
        """Show the partner in the cells of inputs [B, C, H, W] that draw least; targets [B, K] are blended by area."""
        size = draw_size(self.per, inputs)
        drawn = sample_lam(self.live("alpha", state), size, device=inputs.device, generator=generator)
        partner = self.draw_partner(targets, state, generator=generator)
        cells = top_cells(self.teacher.attention(model, inputs, state), drawn)
        mask = enlarged(cells, height=inputs.shape[-2], width=inputs.shape[-1]).float()
        lam = mean_weight(mask)
        mixed = mix_by_mask(inputs, targets, mask=mask, lam=lam, partner=partner, other=take_rows(inputs, partner))
        if self.variant == "intended":
            return mixed
        return mixed._replace(soft_targets=interpolate(targets, targets[partner], lam[0]), lam=lam[0])


def top_cells(attention: Tensor, lam: Tensor) -> Tensor:
    """The share `lam` float [] or [B] of the cells of `attention` [B, h, w] that are highest, bool [B, h, w].

    Their number is rounded down, but one at least; of equal cells the first ones.
    """
    cells = attention.flatten(1)
    number = cells.shape[1]
    count = (lam.double() * number).floor().clamp(1, number)
    chosen = ranks(cells) < (count[:, None] if count.ndim else count)
    return chosen.reshape(attention.shape)


def enlarged(cells: Tensor, *, height: int, width: int) -> Tensor:
    """`cells` [B, h, w] on H x W pixels: pixel i of a side of N pixels and n cells is in the cell i n / N, floored."""
    down, across = (
        torch.arange(pixels, device=cells.device) * number // pixels
        for pixels, number in zip((height, width), cells.shape[1:], strict=True)
    )
    return cells[:, down][:, :, across]
