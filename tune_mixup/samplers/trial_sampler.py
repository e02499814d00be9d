"""Optuna's side of a sampler: what the study asks for one trial, drawn by samplers that are made anew each time."""

import warnings
from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from typing_extensions import override

from tune_mixup.optuna_internals import joint_draw
from tune_mixup.samplers.base import Draw, Sampler


class TrialSampler(BaseSampler):
    """The sampler of one trial.

    Its draws depend on the record, the sweep's seed, the trial and the parameter, never on the process or on which
    parameters it has drawn before: a resumed sweep asks what the unbroken one would have asked.
    """

    def __init__(self, sampler: Sampler, *, seed: int, number: int) -> None:
        self._sampler = sampler
        self._draw = Draw(seed, number)
        self._joint = _make(sampler, self._draw)

    @override
    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._joint.infer_relative_search_space(study, trial)

    @override
    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        noted = joint_draw(trial, self._sampler.notes)  # by an earlier process, which was killed while it asked
        return noted if noted is not None else self._joint.sample_relative(study, trial, search_space)

    @override
    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        sampler = _make(self._sampler, self._draw._replace(key=param_name))
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    @override
    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._joint.after_trial(study, trial, state, values)


def _make(sampler: Sampler, draw: Draw) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # TPE's `group` and QMC are
        return sampler.make(draw)
