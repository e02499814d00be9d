"""Mixing methods: name -> mixer. All but the mixture of them are listed in `methods`."""

from typing import Annotated

from tune_mixup.mixing.base import MixedBatch as MixedBatch
from tune_mixup.mixing.base import Mixer as Mixer
from tune_mixup.mixing.methods import LEARNED
from tune_mixup.mixing.methods import METHODS as METHODS
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.parts import PartOf

MIXERS: dict[str, type[Mixer]] = {**METHODS, **LEARNED, "mixture": Mixture}

AnyMixer = Annotated[Mixer, PartOf(MIXERS, "a mixing method")]
