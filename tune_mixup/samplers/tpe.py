"""Tree-structured Parzen estimators: points that are likelier under a density of the good trials than of the others.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011, section 4. The sampler is Optuna's, with
one joint density for the parameters that exist together, and with running trials taken for poor ones.
"""

from typing import Literal

from optuna.samplers import BaseSampler, TPESampler
from pydantic import Field
from typing_extensions import override

from tune_mixup.samplers.base import Draw, Sampler


class Tpe(Sampler):
    """Settings of the estimator."""

    name: Literal["tpe"] = "tpe"
    startup_trials: int = Field(default=10, ge=0)
    """Points are random until this many trials have ended, stopped ones included."""
    candidates: int = Field(default=24, ge=1)
    """Points drawn from the density of the good trials, of which the best one is suggested."""
    learns = True
    notes = "tpe"

    @override
    def make(self, draw: Draw) -> BaseSampler:
        return TPESampler(
            n_startup_trials=self.startup_trials,
            n_ei_candidates=self.candidates,
            multivariate=True,
            group=True,
            constant_liar=True,
            seed=draw.own_seed(),
        )
