"""A Gaussian process over the space: the point of the largest expected improvement.

Jones, Schonlau and Welch, "Efficient Global Optimization of Expensive Black-Box Functions", Journal of Global
Optimization 13 (1998). The sampler is Optuna's.
"""

from typing import Literal

from optuna.samplers import BaseSampler, GPSampler
from pydantic import Field
from typing_extensions import override

from tune_mixup.samplers.base import Draw, Sampler


class Gp(Sampler):
    """Settings of the process."""

    name: Literal["gp"] = "gp"
    startup_trials: int = Field(default=10, ge=0)
    """Points are random until this many trials were trained to the end; it learns from no others."""
    learns = True
    learns_from_stopped = False
    notes = "gp"

    @override
    def make(self, draw: Draw) -> BaseSampler:
        return GPSampler(n_startup_trials=self.startup_trials, seed=draw.own_seed(), warn_independent_sampling=False)
