"""Ray's searcher and scheduler for a session: what Ray asks is answered from the record, what it tells goes there.

Ray's own snapshots of searcher and scheduler are not relied on (they lag, and forget the rungs), so both pickle empty.
"""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from tune_mixup.tuning.session import Session


class RecordSearcher(Searcher):
    """Hands out the session's trials and records their ends."""

    def __init__(self, session: Session, *, threads: int, gpu: bool) -> None:
        super().__init__()
        self.session = session
        self.threads = threads
        self.gpu = gpu
        self.numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> Any:
        """The next trial as the plain dict that `MixupTrainable.setup` takes."""
        begin = self.session.next()
        if begin is None:
            return Searcher.FINISHED
        self.numbers[trial_id] = begin.number
        return {
            "number": begin.number,
            "folder": str(self.session.record.trial_folder(begin.number).path),
            "threads": self.threads,
            "gpu": self.gpu,
            "config": begin.config.plain(),
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Record the end; `error` means that the worker died more often than is allowed."""
        number = self.numbers.pop(trial_id, None)
        if number is not None:
            died = "the worker died, and so did those that took over (out of memory, or killed?)" if error else None
            self.session.complete(number, result, error=died)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the record has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a session starts from the record."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class RecordScheduler(FIFOScheduler):
    """Records each report and stops a trial when the session says so."""

    def __init__(self, session: Session) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.session = session

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """STOP or CONTINUE, after the report and the decision are on disk."""
        stop = self.session.report(trial.config["number"], result)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def __getstate__(self) -> dict[str, Any]:
        return {}
