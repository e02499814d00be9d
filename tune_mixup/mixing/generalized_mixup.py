"""Generalized mixup: partners are drawn so that classes the model confuses meet more often.

"From Confusion to Clarity: Generalized mixup", project report, with its released code (generalized_mixup_model);
Algorithm 1. Here `M` is the pairing matrix: confusion to the power gamma, made doubly stochastic.

Differs from the published code:

- Rows follow the class. There, slot s of a class-sorted batch used row s whatever class it held, so that no CIFAR-10
  class was paired by its own row.
- gamma grows cumulatively, gamma * growth_factor ** (epoch // step_size). There, growth lasted for single epochs.
- The diagonal of the confusion matrix holds 1 / K by default, as the report says. There, 0.1 for every K.
- Pairing is exact on average (`pairing=birkhoff`). There, classes drew in a fixed order and the last got the rest;
  `pairing=sequential` is that rule, with the order drawn anew for each batch.
- The matrix is balanced exactly. There, by 100 rounds.
- Batches are drawn anew and shuffled each epoch. There, the same examples met in every epoch, sorted by class.
- Classes without counts get a uniform row. There, a row of NaN.
- Settings are chosen on validation data, which is not this module's doing. There, on the test set.

`variant=published` does the first five as the released code does, on the batches of `data.batches=fixed`, which are
drawn as there. The row of NaN it has not. `rows=permuted` is something else: a control that pairs each class by the row
of another, drawn by the seed, and all else as intended.
"""

from typing import ClassVar, Literal, Self

from pydantic import PrivateAttr, model_validator
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.base import Alpha, InputMixer, MixedBatch, Mixer, Per, State
from tune_mixup.mixing.confusion_partners import ConfusionPartners, ConfusionSettings
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.paired import PairMixer
from tune_mixup.mixing.partners import Partners


class GeneralizedMixup(ConfusionSettings, PairMixer, InputMixer):
    """mixup with `ConfusionPartners`, whose settings and state it has as its own."""

    in_state: ClassVar[frozenset[str]] = frozenset({"alpha"})
    name: Literal["generalized_mixup"] = "generalized_mixup"
    alpha: Alpha = 1.0
    """Both parameters of lam's Beta: >= 0, no unit. 0 gives lam = 1, that is plain training."""

    per: Per = "batch"
    """Whether a batch shares one lam, as in the report, or each example has its own."""

    _mixup: Mixup = PrivateAttr()
    """The same method as mixup by confusion; made once, since torch.compile can't trace how settings are parsed."""

    @model_validator(mode="after")
    def _as_mixup(self) -> Self:
        rule = ConfusionPartners(**{field: getattr(self, field) for field in ConfusionSettings.model_fields})
        self._mixup = Mixup(alpha=self.alpha, per=self.per, partners=rule, **self.when_applied())
        return self

    @property
    @override
    def partner_rule(self) -> Partners:
        """The settings beside alpha and per, as the rule that other methods take."""
        return self._mixup.partners

    @property
    @override
    def weighs_examples(self) -> bool:
        return True

    @override
    def canonical(self) -> Mixer:
        """The same as mixup by confusion, in as few settings as it takes."""
        return self._mixup.canonical()

    @override
    def strength(self) -> float | None:
        """That of mixup; whom an example meets does not count."""
        return self._mixup.strength()

    @override
    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        """Blend inputs [B, C, H, W] and targets [B, K] with the same lam; a target's class is its largest entry."""
        return self._mixup.mix(inputs, targets, state, epoch=epoch, generator=generator)
