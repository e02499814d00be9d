"""Mixing methods: name -> mixer. Those that mix a batch once are listed in `methods`, the others here."""

from typing import Annotated

from tune_mixup.mixing.automix import AutoMix
from tune_mixup.mixing.base import MixedBatch as MixedBatch
from tune_mixup.mixing.base import Mixer as Mixer
from tune_mixup.mixing.methods import METHODS as METHODS
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.samix import SAMix
from tune_mixup.parts import PartOf

MIXERS: dict[str, type[Mixer]] = {**METHODS, "automix": AutoMix, "samix": SAMix, "mixture": Mixture}

AnyMixer = Annotated[Mixer, PartOf(MIXERS, "a mixing method")]
