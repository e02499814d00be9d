"""A quasi-random sequence, which covers the space more evenly than random points do.

Sobol, "On the distribution of points in a cube and the approximate evaluation of integrals", USSR Computational
Mathematics and Mathematical Physics 7 (1967); scrambled as by Owen, 1998. The sequence is Optuna's.
"""

from typing import Literal

from optuna.samplers import BaseSampler
from typing_extensions import override

from tune_mixup.optuna_internals import NumberedQmcSampler
from tune_mixup.samplers.base import Draw, Sampler


class Qmc(Sampler):
    """One scrambled sequence for the whole sweep; a trial's number is its place in it."""

    name: Literal["qmc"] = "qmc"

    @override
    def make(self, draw: Draw) -> BaseSampler:
        return NumberedQmcSampler(draw.trial, seed=draw.seed)
