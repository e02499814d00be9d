"""Random search: each parameter uniform on its own scale, and nothing learnt.

Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13 (2012).
"""

from typing import Literal

from optuna.samplers import BaseSampler, RandomSampler
from typing_extensions import override

from tune_mixup.samplers.base import Draw, Sampler


class RandomSearch(Sampler):
    """It has no settings."""

    name: Literal["random"] = "random"

    @override
    def make(self, draw: Draw) -> BaseSampler:
        return RandomSampler(seed=draw.own_seed())
