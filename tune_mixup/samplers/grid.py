"""Every point of a finite space, in order and once; trials beyond the grid are random."""

from typing import Literal

from optuna.samplers import BaseSampler, RandomSampler
from typing_extensions import override

from tune_mixup.samplers.base import Draw, Sampler


class Grid(Sampler):
    """It has no settings; the sweep promises as many trials as the grid has points unless told otherwise."""

    name: Literal["grid"] = "grid"
    finite = True

    @override
    def make(self, draw: Draw) -> BaseSampler:
        return RandomSampler(seed=draw.own_seed())
