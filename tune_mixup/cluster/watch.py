"""Kills workers that hang: a trial that has not reported for too long is started again from its checkpoint.

The time limit counts from a trial's first report, by which its worker says that it begins to train. Until then, while
it imports modules, waits for the trial's folder and reads data, it has `START_UP_S` more.
"""

import time
from typing import Any

from ray import kill, tune
from ray.tune.experiment import Trial
from typing_extensions import override

from tune_mixup.cluster.adapters import RecordSearcher
from tune_mixup.cluster.ray_internals import worker_of

DEAF_S = 1.0
"""A pause of Ray's loop longer than this is the driver's own: reports may wait unheard, and nobody is blamed for it."""

START_UP_S = 600.0
"""How much longer than a trial without reports a worker may take to begin."""


class Watch(tune.Callback):
    """Called by Ray's loop ten times a second."""

    def __init__(self, searcher: RecordSearcher, timeout_s: float | None) -> None:
        self.searcher = searcher
        self.timeout_s = timeout_s
        self._heard: dict[str, float] = {}
        self._begun: set[str] = set()
        self._trials: dict[str, Trial] = {}
        self._stepped = time.monotonic()

    @override
    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A worker is to take on the trial."""
        self._begun.discard(trial.trial_id)
        self._heard[trial.trial_id] = time.monotonic()
        self._trials[trial.trial_id] = trial

    @override
    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """The trial lives, and trains."""
        self._begun.add(trial.trial_id)
        self._heard[trial.trial_id] = time.monotonic()

    @override
    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The trial has ended."""
        self._forget(trial)

    @override
    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The trial's worker is gone."""
        self._forget(trial)

    @override
    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Kill the workers of the trials that are overdue; Ray then finds them dead."""
        if self.timeout_s is None:
            return
        now = time.monotonic()
        deaf_s = now - self._stepped if now - self._stepped > DEAF_S else 0.0
        self._stepped = now
        for trial_id, heard in self._heard.items():
            heard = self._heard[trial_id] = heard + deaf_s
            actor = worker_of(self._trials[trial_id])
            begun = trial_id in self._begun
            limit_s = self.timeout_s if begun else self.timeout_s + START_UP_S
            if now - heard > limit_s and actor is not None:
                what = "no report for" if begun else "it did not begin to train within"
                self.searcher.causes[trial_id] = f"{what} {limit_s:g} s, so its worker was killed"
                kill(actor)
                self._heard[trial_id] = now  # and again, should it survive that

    def _forget(self, trial: Trial) -> None:
        self._heard.pop(trial.trial_id, None)
        self._begun.discard(trial.trial_id)
        self._trials.pop(trial.trial_id, None)

    @override
    def __getstate__(self) -> dict[str, Any]:
        return {}
