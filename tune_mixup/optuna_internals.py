"""All that we use of Optuna and that Optuna does not document: each is a small function or class with a name of ours.

`tests/test_optuna_internals.py` holds a test for each, which says what has changed when a release of Optuna changes it.
"""

import json
from collections.abc import Container, Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, QMCSampler
from optuna.storages.journal._storage import JournalOperation as JournalOperation  # what the lines of a journal do
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from typing_extensions import override

POINT_KEY = "fixed_params"
"""The system attribute by which `Study.enqueue_trial` fixes parameters of a trial."""


def stored_trial(study: Study, number: int) -> FrozenTrial:
    """Trial `number` as the storage has it now; `Study.get_trials` would go through all of them.

    Raises KeyError when the study has no such trial.
    """
    storage = study._storage
    return storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study._study_id, number))


def has_trial(study: Study, number: int) -> bool:
    """Whether the study has a trial `number`, whatever its state."""
    try:
        study._storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
    except KeyError:
        return False
    return True


def begun(study: Study) -> Trial:
    """A new trial, as `Study.ask` begins it where none is queued, without the search for one through all trials."""
    study._thread_local.cached_all_trials = None
    return Trial(study, study._storage.create_new_trial(study._study_id))


def added(study: Study, trial: FrozenTrial) -> int:
    """Add a trial as `Study.add_trial` does; returns its number."""
    trial_id = study._storage.create_new_trial(study._study_id, template_trial=trial)
    return study._storage.get_trial(trial_id).number


def report(study: Study, trial: FrozenTrial, *, step: int, value: float) -> None:
    """Store the intermediate value of a trial that this process need not have asked for."""
    study._storage.set_trial_intermediate_value(trial._trial_id, step, value)


def annotate(study: Study, trial: FrozenTrial, key: str, value: Any) -> None:
    """Store a user attribute (a JSON value) of a trial that this process need not have asked for."""
    study._storage.set_trial_user_attr(trial._trial_id, key, value)


def study_attributes(study: Study) -> dict[str, Any]:
    """The study's user attributes without the deep copy that `Study.user_attrs` makes at each access."""
    return study._storage.get_study_user_attrs(study._study_id)


def reopened(study: Study, trial: FrozenTrial) -> Trial:
    """An unfinished trial that another process has asked for, to ask for the parameters that it lacks."""
    return Trial(study, trial._trial_id)


def queued_point(trial: FrozenTrial) -> dict[str, Any]:
    """The parameters that `Study.enqueue_trial` has fixed for the trial; empty where it was not queued."""
    fixed: dict[str, Any] = trial.system_attrs.get(POINT_KEY, {})
    return fixed


def joint_draw(trial: FrozenTrial, sampler: str) -> dict[str, Any] | None:
    """The joint draw that Optuna's sampler `tpe` or `gp` has noted for the trial, as JSON in pieces.

    None where it is missing or incomplete, and for samplers that note nothing.
    """
    pieces: list[str] = []
    while (piece := trial.system_attrs.get(f"{sampler}:relative_params:{len(pieces)}")) is not None:
        pieces.append(piece)
    try:
        noted: dict[str, Any] = json.loads("".join(pieces))
    except ValueError:
        return None
    return noted


class _Shown(Study):
    """A study that shows other trials than it has; notes are written to it all the same."""

    def __init__(self, study: Study) -> None:
        self.__dict__.update(study.__dict__)
        self._behind = study


class OtherTrials(_Shown):
    """A study as trial `number` finds it when it is begun: without the trial itself.

    GP takes what an earlier draw for a trial has noted there for another trial that runs.
    """

    def __init__(self, study: Study, number: int) -> None:
        super().__init__(study)
        self._number = number

    @override
    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        found = self._behind._get_trials(deepcopy, states, use_cache)
        return [trial for trial in found if trial.number != self._number]


class WithStandIns(_Shown):
    """A study some of whose trials are shown as others, or not at all: number -> what stands for it, if anything."""

    def __init__(self, study: Study, stand_ins: Mapping[int, FrozenTrial | None]) -> None:
        super().__init__(study)
        self._stand_ins = stand_ins

    @override
    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        found = self._behind._get_trials(deepcopy, None, use_cache)
        shown = (self._stand_ins.get(trial.number, trial) for trial in found)
        return [trial for trial in shown if trial is not None and (states is None or trial.state in states)]


class NumberedQmcSampler(QMCSampler):
    """Point `number` of the sequence. Optuna counts points in the study, where a killed ask has taken one for good."""

    def __init__(self, number: int, *, seed: int, independent: BaseSampler | None = None) -> None:
        super().__init__(scramble=True, seed=seed, independent_sampler=independent, warn_independent_sampling=False)
        self._number = number

    @override
    def _find_sample_id(self, study: Study, search_space: dict[str, BaseDistribution]) -> int:
        return self._number
