"""A quasi-random sequence, which covers the space more evenly than random points do.

Sobol, "On the distribution of points in a cube and the approximate evaluation of integrals", USSR Computational
Mathematics and Mathematical Physics 7 (1967); scrambled as by Owen, 1998. The sequence is Optuna's.
"""

from typing import Literal

from optuna.samplers import BaseSampler, RandomSampler
from typing_extensions import override

from tune_mixup.optuna_internals import NumberedQmcSampler
from tune_mixup.samplers.base import Draw, Sampler


class Qmc(Sampler):
    """One scrambled sequence for the whole sweep; a trial's number is its place in it.

    Where a constraint rules that point out, the trial takes the same place of another such sequence.
    Parameters that the first trial lacks are random.
    """

    name: Literal["qmc"] = "qmc"

    @override
    def make(self, draw: Draw) -> BaseSampler:
        # By the seed of the sequence, parameters that the first trial lacks would be the same in all trials.
        independent = RandomSampler(seed=draw.own_seed())
        return NumberedQmcSampler(draw.trial, seed=draw.common_seed(), independent=independent)
