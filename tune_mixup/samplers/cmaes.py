"""CMA-ES: a normal distribution whose mean and covariance move towards the trials that did well.

Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772. The sampler is Optuna's; parameters that do not
exist in every trial, and choices, are random.
"""

from typing import Literal

from optuna.samplers import BaseSampler, CmaEsSampler
from pydantic import Field
from typing_extensions import override

from tune_mixup.samplers.base import Draw, Sampler


class CmaEs(Sampler):
    """Settings of the strategy."""

    name: Literal["cmaes"] = "cmaes"
    startup_trials: int = Field(default=1, ge=0)
    """Points are random until this many trials were trained to the end; it learns from no others."""
    learns = True
    learns_from_stopped = False

    @override
    def make(self, draw: Draw) -> BaseSampler:
        return CmaEsSampler(n_startup_trials=self.startup_trials, seed=draw.own_seed(), warn_independent_sampling=False)
