"""A quasi-random sequence, which covers the space more evenly than random points do.

Sobol, "On the distribution of points in a cube and the approximate evaluation of integrals", USSR Computational
Mathematics and Mathematical Physics 7 (1967); scrambled as by Owen, 1998. The sequence is Optuna's.
"""

from typing import Literal

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, QMCSampler
from optuna.study import Study
from typing_extensions import override

from tune_mixup.samplers.base import Draw, Sampler


class Qmc(Sampler):
    """One scrambled sequence for the whole sweep; a trial's number is its place in it."""

    name: Literal["qmc"] = "qmc"

    @override
    def make(self, draw: Draw) -> BaseSampler:
        return NumberedQmcSampler(draw.trial, seed=draw.seed)


class NumberedQmcSampler(QMCSampler):
    """Point `number` of the sequence. Optuna counts points in the study, where a killed ask has taken one for good."""

    def __init__(self, number: int, *, seed: int) -> None:
        super().__init__(scramble=True, seed=seed, warn_independent_sampling=False)
        self._number = number

    @override
    def _find_sample_id(self, study: Study, search_space: dict[str, BaseDistribution]) -> int:
        return self._number
