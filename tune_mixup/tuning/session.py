"""One process's work on a sweep: every decision, written to the record before it is acted on. No Ray.

Ray's searcher and scheduler (`searcher.py`) only pass on what is decided here. Making a session reads the record, and
that is all there is to resuming: the rungs are filled by replaying the reports, unfinished trials queue again.
"""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from tune_mixup.config import SweepConfig, TrialConfig
from tune_mixup.record import Outcome, SweepRecord
from tune_mixup.search_space import Params
from tune_mixup.tuning.progress import Listener, Progress
from tune_mixup.tuning.samplers import make_sampler
from tune_mixup.tuning.scheduler import Asha, rung_epochs


class Begin(NamedTuple):
    """A trial to run: its number and its configuration."""

    number: int
    config: TrialConfig


class Session:
    """What to run next, whether to go on, and how each trial ended."""

    def __init__(self, record: SweepRecord, config: SweepConfig, *, listener: Listener | None = None) -> None:
        """Read the record and take up what is unfinished. The caller holds the record's lock."""
        self.record = record
        self.config = config
        self.listener = listener
        self.asha = Asha(direction=config.direction, reduction_factor=config.reduction_factor)
        self.began = time.time()
        self.worked_before_s = sum(run["worked_s"] for run in record.runs())
        self._configs: dict[int, TrialConfig] = {}
        self._ended_before = sum(trial.state.is_finished() for trial in record.asked())
        self.queue: deque[Begin] = deque()
        self._enqueue_first_points()
        unfinished = [trial for trial in record.asked() if trial.state == TrialState.RUNNING]
        for trial in record.asked():
            if trial.state.is_finished():
                self._replay(trial)
        for trial in unfinished:
            self._take_up(trial)

    # What to run

    def next(self) -> Begin | None:
        """The next trial to run, asked of the sampler and recorded; None when all that was promised has been asked."""
        if self.queue:
            return self.queue.popleft()
        number = len(self.record.asked())
        if number >= self.config.trials or self.over_budget():
            return None
        self.record.study.sampler = make_sampler(self.config, number)
        begin = self._begin(self.record.study.ask())
        self._tell_listener(f"{_name(begin.number)} begins")
        return begin

    def over_budget(self) -> bool:
        """Whether the sweep has worked for as long as it may, over all its processes."""
        budget = self.config.time_budget_s
        return budget is not None and self.worked_before_s + time.time() - self.began >= budget

    # What came out

    def report(self, number: int, result: Mapping[str, Any]) -> bool:
        """Record one epoch's report and decide; True when the trial must stop. Epochs known already change nothing."""
        epoch = int(result["epoch"])
        if result.get("failed") or result.get("diverged") or epoch in self._trial(number).intermediate_values:
            return False
        value = float(result[self.config.metric])
        self.record.report(number, epoch, value)
        stop = self._decide(number, epoch, value)
        if stop is None and self.over_budget() and epoch < self._config(number).training.epochs:
            stop = f"epoch {epoch}: the sweep's time budget of {self.config.time_budget_s:g} s was used up"
        if stop is not None:
            self.record.annotate(number, "reason", stop)
        self.record.note_run(self.began)
        self._tell_listener("")
        return stop is not None

    def complete(self, number: int, result: Mapping[str, Any] | None, *, error: str | None = None) -> None:
        """Record how a trial ended: COMPLETE at its full budget, PRUNED when stopped before, else FAIL."""
        if result is not None and error is None:
            self.report(number, result)
        outcome = self._outcome(number, result, error)
        self.record.finish(number, outcome)
        self.record.note_run(self.began)
        self._tell_listener(f"{_name(number)} {outcome.state.name}: {outcome.reason}")

    def unfinished(self) -> list[int]:
        """Trials that were begun and have not ended."""
        return [trial.number for trial in self.record.asked() if not trial.state.is_finished()]

    def _outcome(self, number: int, result: Mapping[str, Any] | None, error: str | None) -> Outcome:
        trial = self._trial(number)
        if error is not None:
            return Outcome(TrialState.FAIL, error)
        if result is not None and result.get("failed"):
            return Outcome(TrialState.FAIL, str(result["failed"]))
        if result is not None and result.get("diverged"):
            return Outcome(TrialState.FAIL, f"epoch {result['epoch']}: diverged, the loss is NaN or infinite")
        if trial.last_step is not None and trial.last_step >= self._config(number).training.epochs:
            return Outcome(TrialState.COMPLETE, f"epoch {trial.last_step}: trained to the full budget")
        if "reason" in trial.user_attrs:
            return Outcome(TrialState.PRUNED, trial.user_attrs["reason"])
        return Outcome(TrialState.FAIL, "ended without a report of its last epoch")

    def _decide(self, number: int, epoch: int, value: float) -> str | None:
        config = self._config(number)
        if self.config.scheduler == "none" or epoch >= config.training.epochs:
            return None
        rungs = rung_epochs(
            config.training.epochs,
            grace_epochs=self.config.grace_epochs,
            reduction_factor=self.config.reduction_factor,
            drops=config.schedule.drops(config.training.epochs),
        )
        return self.asha.report(number, epoch, value, rungs)

    # From the record

    def _enqueue_first_points(self) -> None:
        """Queue the baselines, or all points of a grid, in the study itself, so that a restart finds them."""
        study = self.record.study
        points = self.config.space.grid() if self.config.sampler == "grid" else iter(self.config.space.baselines)
        known = len(study.get_trials(deepcopy=False))
        for index, point in enumerate(points):
            if known <= index < self.config.trials:
                study.enqueue_trial(point)

    def _replay(self, trial: FrozenTrial) -> None:
        for epoch, value in sorted(trial.intermediate_values.items()):
            self._decide(trial.number, epoch, value)

    def _take_up(self, trial: FrozenTrial) -> None:
        """Bring an unfinished trial's record up to what its folder knows, then end it or queue it again."""
        self.record.study.sampler = make_sampler(self.config, trial.number)
        begin = self._begin(optuna.trial.Trial(self.record.study, trial._trial_id))
        self._replay(trial)
        stopped = "reason" in trial.user_attrs
        epochs = self.record.trial_folder(trial.number).read_epochs()
        for epoch in epochs:
            stopped = stopped or self.report(trial.number, epoch)
        last = epochs[-1] if epochs else None
        if stopped or (last is not None and (last["diverged"] or last["epoch"] >= begin.config.training.epochs)):
            self.complete(trial.number, last)
        else:
            self.queue.append(begin)

    def _begin(self, trial: optuna.Trial) -> Begin:
        point: Params = {}
        for key in self.config.space.order():
            if self.config.space.exists(key, point):
                self.record.study.sampler = make_sampler(self.config, trial.number, key)
                point[key] = _suggest(trial, key, self.config.space.free[key])
        self._configs[trial.number] = self.config.trial(point)
        return Begin(trial.number, self._configs[trial.number])

    def _config(self, number: int) -> TrialConfig:
        if number not in self._configs:
            self._configs[number] = self.config.trial(self._trial(number).params)
        return self._configs[number]

    def _trial(self, number: int) -> FrozenTrial:
        return self.record.study.get_trials(deepcopy=False)[number]

    # For whoever listens

    def _tell_listener(self, message: str) -> None:
        if self.listener is not None:
            self.listener(self.progress(message))

    def progress(self, message: str = "") -> Progress:
        """Where the sweep stands."""
        trials = self.record.asked()
        states = {state: sum(trial.state.name == state for trial in trials) for state in ("COMPLETE", "PRUNED", "FAIL")}
        running = len(trials) - sum(states.values())
        ended = sum(states.values())
        elapsed = time.time() - self.began
        pace = (ended - self._ended_before) / elapsed if elapsed > 0 else 0
        best = self._best(trials)
        return Progress(
            name=self.record.name,
            trials=self.config.trials,
            states={**states, "RUNNING": running, "WAITING": max(0, self.config.trials - len(trials))},
            metric=self.config.metric,
            best_trial=best.number if best else None,
            best_value=best.intermediate_values[best.last_step] if best and best.last_step else None,
            best_epoch=best.last_step if best else None,
            epochs=sum(trial.last_step or 0 for trial in trials),
            full_epochs=self._full_epochs(trials),
            elapsed_s=elapsed,
            eta_s=(self.config.trials - ended) / pace if pace > 0 else None,
            time_budget_s=self.config.time_budget_s,
            message=message,
        )

    def _best(self, trials: list[FrozenTrial]) -> FrozenTrial | None:
        measured = [trial for trial in trials if trial.last_step is not None and trial.state != TrialState.FAIL]
        pool = [trial for trial in measured if trial.state == TrialState.COMPLETE] or measured
        sign = 1 if self.config.direction == "maximize" else -1
        return max(pool, key=lambda trial: sign * trial.intermediate_values[trial.last_step or 0], default=None)

    def _full_epochs(self, trials: list[FrozenTrial]) -> int:
        known = [self._config(trial.number).training.epochs for trial in trials if trial.params or trial.last_step]
        mean = sum(known) / len(known) if known else self.config.trial(next(self._any_point())).training.epochs
        return round(mean * self.config.trials)

    def _any_point(self) -> Any:
        return iter((*self.config.space.baselines, *self.config.space.corners()))


def _name(number: int) -> str:
    return f"t{number:04d}"


def _suggest(trial: optuna.Trial, key: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case CategoricalDistribution():
            return trial.suggest_categorical(key, distribution.choices)
        case IntDistribution():
            return trial.suggest_int(
                key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
        case FloatDistribution():
            return trial.suggest_float(
                key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
    raise ValueError(f"{key}: {distribution} is none of Optuna's float, int and categorical distributions")
