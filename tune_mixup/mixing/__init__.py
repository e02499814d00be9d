"""Mixing methods: name -> mixer. Those that mix a batch once are listed in `methods`, the others here."""

from typing import TYPE_CHECKING

from tune_mixup.mixing.base import MixedBatch as MixedBatch
from tune_mixup.mixing.base import Mixer as Mixer
from tune_mixup.mixing.methods import METHODS as METHODS
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.schema import one_of

MIXERS: dict[str, type[Mixer]] = {**METHODS, "mixture": Mixture}

if TYPE_CHECKING:
    AnyMixer = Mixer
else:
    AnyMixer = one_of(*MIXERS.values())
