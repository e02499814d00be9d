"""Mixing methods: name -> mixer. A new method is one file and one line here."""

from typing import TYPE_CHECKING

from tune_mixup.mixing.base import MixedBatch as MixedBatch
from tune_mixup.mixing.base import Mixer as Mixer
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.generalized_mixup import GeneralizedMixup
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.schema import one_of

MIXERS: dict[str, type[Mixer]] = {
    "erm": Erm,
    "mixup": Mixup,
    "cutmix": CutMix,
    "generalized_mixup": GeneralizedMixup,
}

if TYPE_CHECKING:
    AnyMixer = Mixer
else:
    AnyMixer = one_of(*MIXERS.values())
