"""Ray's searcher and scheduler for a session: what Ray asks is answered from the record, what it tells goes there.

Ray's own snapshots of searcher and scheduler are not relied on (they lag, and forget the rungs), so both pickle empty.
Neither lets an exception into Ray's loop, which would wrap it or swallow it: the first one halts the sweep.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from typing_extensions import override

from tune_mixup.cluster.halt import Halt
from tune_mixup.cluster.messages import from_ray
from tune_mixup.cluster.ray_internals import cause_of_death, logs_here, take_back_waiting
from tune_mixup.data.base import DataFault
from tune_mixup.record.facts import Assignment, Ending, Report
from tune_mixup.record.files import StorageFault
from tune_mixup.search.disk import Keeper
from tune_mixup.search.session import Begin, Session

T = TypeVar("T")


class Clerk:
    """Asks and tells the session, until a fault or a signal halts the sweep; then the record stays as it is."""

    def __init__(self, session: Session, halt: Halt, keeper: Keeper) -> None:
        self.session = session
        self.halt = halt
        self.keeper = keeper

    def next(self) -> Begin | None:
        """The next trial; None when there is none, or when nothing may start."""
        return None if self.halt.reason is not None else self._safely(self._next, None)

    def report(self, number: int, report: Report) -> bool:
        """Record a report; True when the trial must stop."""
        if self.halt.reason is not None and not self.halt.interrupted:
            return True
        stop = self._safely(lambda: self._report(number, report), True)
        return stop or self.halt.reason is not None

    def end(self, number: int, report: Report) -> None:
        """Record what became of a trial that reported its last: ended, interrupted, or to be tried again."""
        ending = report.ending or Ending(kind="stopped")
        if ending.kind == "storage_fault":
            self.halt.now(StorageFault(ending.errno, ending.why, ending.file))
        if ending.kind == "data_fault":
            self.halt.now(DataFault(ending.why))
        if ending.kind == "interrupted":  # the file may have been made by hand, to stop a sweep from another host
            self.halt.now(KeyboardInterrupt())
        if self.halt.reason is None or self.halt.interrupted:
            self._safely(lambda: self._end(number, report, ending), None)

    def died(self, number: int, reason: str) -> None:
        """Record that a trial's worker died; after a halt it is unfinished, whatever it died of."""
        if self.halt.reason is None:
            self._safely(lambda: self._died(number, reason), None)

    def _next(self) -> Begin | None:
        begin = self.session.next()
        if begin is not None:
            self.keeper.begin(begin.number)
        return begin

    def _report(self, number: int, report: Report) -> bool:
        stop = report.row is not None and self.session.report(number, report.row)
        self.keeper.report(number)
        return stop

    def _died(self, number: int, reason: str) -> None:
        self.session.died(number, reason)
        self.keeper.ended(number)

    def _end(self, number: int, report: Report, ending: Ending) -> None:
        self.session.end(number, report.row, ending, interrupted=self.halt.interrupted)
        self.keeper.ended(number)

    def _safely(self, call: Callable[[], T], otherwise: T) -> T:
        try:
            return call()
        except Exception as fault:
            self.halt.now(fault)
            return otherwise


class RecordSearcher(Searcher):
    """Hands out the session's trials and records their ends."""

    def __init__(self, clerk: Clerk, *, threads: int) -> None:
        super().__init__()
        self.clerk = clerk
        self.threads = threads
        self.numbers: dict[str, int] = {}
        """Ray's trials that have not ended -> the sweep's."""
        self.causes: dict[str, str] = {}
        """Ray's trials whose worker died -> why."""

    @override
    def suggest(self, trial_id: str) -> Any:
        """The next trial as an `Assignment` in its plain form, which `MixupTrainable.setup` takes.

        None for now while trials run, for one of them may have to be tried again; FINISHED is for good.
        """
        begin = self.clerk.next()
        if begin is None:
            return None if self.numbers and self.clerk.halt.reason is None else Searcher.FINISHED
        self.numbers[trial_id] = begin.number
        session, folder = self.clerk.session, self.clerk.session.record.folder
        return Assignment(
            number=begin.number,
            folder=str(folder.trial(begin.number).path),
            stopping=str(folder.stopping),
            threads=self.threads,
            rungs=tuple(session.rungs(begin.number)),
            gpus=begin.place.gpus,
            gpu_type=begin.place.gpu_type,
            heard=begin.heard,
            config=json.dumps(begin.config.plain()),
        ).plain()

    @override
    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Record the end; `error` means that the worker died."""
        number = self.numbers.pop(trial_id, None)
        cause = self.causes.pop(trial_id, "its worker died")
        if number is not None and error:
            self.clerk.died(number, cause)
        elif number is not None and result is not None:
            self.clerk.end(number, from_ray(result))

    @override
    def save(self, checkpoint_path: str) -> None:
        """Nothing: the record has it all."""

    @override
    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a session starts from the record."""

    @override
    def __getstate__(self) -> dict[str, Any]:
        return {}


class RecordScheduler(FIFOScheduler):
    """Records each report and stops a trial when the session says so."""

    def __init__(self, searcher: RecordSearcher) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.searcher = searcher

    @override
    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """STOP or CONTINUE, after the report and the decision are on disk."""
        number = Assignment.parse(trial.config).number
        stop = self.searcher.clerk.report(number, from_ray(result))
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    @override
    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """None: Ray starts trials in their order. After a halt, those that wait for resources are taken back."""
        if self.searcher.clerk.halt.reason is not None:
            take_back_waiting(tune_controller)

    @override
    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Note why the worker died, unless the watch has killed it and knows better; the searcher is told next."""
        error = Path(trial.error_file)
        text = error.read_text() if error.exists() else ""
        self.searcher.causes.setdefault(trial.trial_id, cause_of_death(text, logs_here(text)))

    @override
    def __getstate__(self) -> dict[str, Any]:
        return {}
