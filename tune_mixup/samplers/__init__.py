"""Who suggests the next point: Optuna's samplers, made anew for each draw so that they hold no state of their own."""

import hashlib
import warnings
from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tune_mixup.optuna_internals import NumberedQmcSampler, joint_draw
from tune_mixup.sweep_config import SweepConfig


class TrialSampler(BaseSampler):
    """The sweep's sampler for one trial.

    Its draws depend on the record, the sweep's seed, the trial and the parameter, never on the process or on which
    parameters it has drawn before: a resumed sweep asks what the unbroken one would have asked.
    """

    def __init__(self, config: SweepConfig, number: int) -> None:
        self._config = config
        self._number = number
        self._joint = _make(config, number)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that are drawn together."""
        return self._joint.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Those parameters' values: what an earlier process has noted, else a draw."""
        noted = joint_draw(trial, self._config.sampler)
        return noted if noted is not None else self._joint.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value of a parameter that is drawn by itself."""
        sampler = _make(self._config, self._number, param_name)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """What the sampler has to do when the trial ends."""
        self._joint.after_trial(study, trial, state, values)


def _make(config: SweepConfig, number: int, key: str = "") -> BaseSampler:
    digest = hashlib.blake2b(f"{config.seed}/{number}/{key}".encode(), digest_size=4).digest()
    seed = int.from_bytes(digest, "little")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # `group` and QMC are
        match config.sampler:
            case "tpe":
                return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)
            case "gp":
                return GPSampler(seed=seed, warn_independent_sampling=False)
            case "cmaes":
                return CmaEsSampler(seed=seed, warn_independent_sampling=False)
            case "qmc":  # one scrambled sequence for the whole sweep
                return NumberedQmcSampler(number, seed=config.seed)
            case "random" | "grid":
                return RandomSampler(seed=seed)
