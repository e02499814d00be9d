"""Who suggests the next point: Optuna's samplers, made anew for each draw so that they hold no state of their own."""

import hashlib
import json
import warnings
from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

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
        noted = _noted(trial.system_attrs, self._config.sampler)
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


class _NumberedQmc(QMCSampler):
    """Point `number` of the sequence. Optuna counts points in the study, where a killed ask has taken one for good."""

    def __init__(self, number: int, *, seed: int) -> None:
        super().__init__(scramble=True, seed=seed, warn_independent_sampling=False)
        self._number = number

    def _find_sample_id(self, study: Study, search_space: dict[str, BaseDistribution]) -> int:
        return self._number


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
                return _NumberedQmc(number, seed=config.seed)
            case "random" | "grid":
                return RandomSampler(seed=seed)


def _noted(system_attrs: dict[str, Any], sampler: str) -> dict[str, Any] | None:
    """What Optuna's TPE and GP note of a joint draw, as JSON in pieces; None where it is missing or incomplete."""
    pieces: list[str] = []
    while (piece := system_attrs.get(f"{sampler}:relative_params:{len(pieces)}")) is not None:
        pieces.append(piece)
    try:
        noted: dict[str, Any] = json.loads("".join(pieces))
    except ValueError:
        return None
    return noted
