"""A sweep's record: its folder and its Optuna study, which together are the whole truth about it.

    sweep.yaml        the sweep's configuration: space, budget, sampler, scheduler, seed
    study.journal     the Optuna study: what was asked, measured at each epoch, stopped and why
    trials/t0007/     a trial's own folder (`trial_folder.py`)
    runs.jsonl        one line per process that worked on the sweep: when it began, how long it has worked
    evaluations/      what `evaluate` did with the test split
    lock              held by the process that works on the sweep, released by the system when it dies
    stopping          there while the sweep is being interrupted: workers save their trials and end

Only the process that holds the lock writes to the study; workers write to their trial's folder.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import optuna
import yaml
from filelock import FileLock, Timeout
from optuna.storages.journal import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from tune_mixup import optuna_internals
from tune_mixup.record.files import storage, write_atomically
from tune_mixup.record.journal import Journal, repair
from tune_mixup.record.trial_folder import TrialFolder
from tune_mixup.schema import flatten

if TYPE_CHECKING:
    import pandas as pd

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Outcome(NamedTuple):
    """How a trial ended, in words for the record."""

    state: TrialState
    reason: str


class SweepRecord:
    """Open with `SweepRecord.create` or `load_sweep`; reading needs no lock, working on the sweep does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._study: optuna.Study | None = None
        self._lock = FileLock(path / "lock", timeout=0)
        self.stopping = path / "stopping"

    @classmethod
    def create(
        cls, root: Path, name: str, config: Mapping[str, Any], *, direction: Literal["maximize", "minimize"]
    ) -> "SweepRecord":
        """Make the folder and the study. Raises ValueError when the name is taken."""
        cls.check_free(root, name)
        path = root.expanduser().resolve() / name
        made = path.with_name(f".{name}.{os.getpid()}.making")  # moved into place whole: never half a sweep
        shutil.rmtree(made, ignore_errors=True)
        (made / "trials").mkdir(parents=True)
        try:
            record = cls(made)
            optuna.create_study(study_name=name, storage=record.storage(), direction=direction)
            record.write_config(config)
            try:
                os.rename(made, path)
            except OSError:
                cls.check_free(root, name)  # somebody else was faster
                raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return cls(path)

    @classmethod
    def check_free(cls, root: Path, name: str) -> None:
        """Raise ValueError when a sweep, or anything else, is at `name`."""
        path = root.expanduser().resolve() / name
        if (path / "sweep.yaml").exists():
            raise ValueError(
                f"a sweep named {name!r} exists in {root}; go on with `tune-mixup resume {name}` or choose another "
                "--name"
            )
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ValueError(f"{path} exists and is no sweep; choose another --name or --root")

    # The sweep's own files

    def config(self) -> dict[str, Any]:
        """The sweep's configuration as nested plain values."""
        values: dict[str, Any] = yaml.safe_load((self.path / "sweep.yaml").read_text())
        return values

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Replace the configuration, as `resume --trials` does."""
        text = yaml.safe_dump(dict(config), sort_keys=False)
        write_atomically(self.path / "sweep.yaml", lambda file: file.write(text.encode()))

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Hold the sweep's lock, and first mend what a killed process may have left.

        Raises ValueError when another process works on the sweep or when the study is damaged beyond its last line.
        """
        try:
            self._lock.acquire()
        except Timeout:
            raise ValueError(
                f"another process is working on the sweep {self.name!r}; wait for it or stop it first"
            ) from None
        try:
            repair(self.path / "study.journal")
            with storage(self.path):
                (self.path / "trials").mkdir(exist_ok=True)
                self.stopping.unlink(missing_ok=True)
                for remains in self.path.glob(".*.tmp"):
                    remains.unlink(missing_ok=True)
                for scratch in self.path.glob("tm-tune-*"):
                    shutil.rmtree(scratch, ignore_errors=True)
            yield
        finally:
            self._lock.release()

    def trial_folder(self, number: int) -> TrialFolder:
        """The folder of trial `number`."""
        return TrialFolder(self.path / "trials" / f"t{number:04d}")

    def note_run(self, began: float, worked_s: float, gpu_s: float = 0.0) -> None:
        """Write down that the process that began at `began` (Unix seconds) has worked for `worked_s` so far.

        `gpu_s` are the GPU-seconds that its trials' epochs took, whatever became of the trials.
        """
        runs = {run["began"]: run for run in self.runs()}
        runs[began] = {"began": began, "worked_s": worked_s, "gpu_s": gpu_s}
        text = "".join(json.dumps(run) + "\n" for run in runs.values())
        write_atomically(self.path / "runs.jsonl", lambda file: file.write(text.encode()))

    def runs(self) -> list[dict[str, float]]:
        """Each process that worked on the sweep: `began` (Unix seconds), `worked_s` and `gpu_s`."""
        path = self.path / "runs.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def append_evaluation(self, values: Mapping[str, Any]) -> None:
        """Write down that the test split was opened, for what, and what it said."""
        path = self.path / "evaluations" / "test_split.jsonl"
        path.parent.mkdir(exist_ok=True)
        text = "".join(json.dumps(row) + "\n" for row in (*self.evaluations(), dict(values)))
        write_atomically(path, lambda file: file.write(text.encode()))

    def evaluations(self) -> list[dict[str, Any]]:
        """Every opening of the test split so far, oldest first."""
        path = self.path / "evaluations" / "test_split.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    # The study

    def storage(self) -> JournalStorage:
        """The study's storage, a journal file that is only ever appended to."""
        path = self.path / "study.journal"
        if not path.exists():
            with storage(path):
                path.touch()
        return JournalStorage(Journal(path))

    @property
    def study(self) -> optuna.Study:
        """The Optuna study, named after the sweep."""
        if self._study is None:
            if not (self.path / "study.journal").exists():
                raise ValueError(f"{self.path} has no study.journal; the sweep's record is lost or incomplete")
            try:
                self._study = optuna.load_study(study_name=self.name, storage=self.storage())
            except KeyError:
                raise ValueError(
                    f"{self.path / 'study.journal'} holds no study named {self.name!r}; a sweep's folder keeps the "
                    "name that it was made with"
                ) from None
        return self._study

    def report(self, number: int, epoch: int, value: float) -> None:
        """Record the metric of a trial after `epoch` finished epochs; a value already there stays."""
        trial = self.trial(number)
        if epoch not in trial.intermediate_values and not trial.state.is_finished():
            optuna_internals.report(self.study, trial, step=epoch, value=value)

    def annotate(self, number: int, key: str, value: Any) -> None:
        """Record a fact about an unfinished trial (a JSON value)."""
        optuna_internals.annotate(self.study, self.trial(number), key, value)

    def decide(self, number: int, decision: Mapping[str, Any]) -> None:
        """Record what was decided on an unfinished trial: `epoch`, `stop`, `why` in one line, and by which numbers."""
        self.annotate(number, "decisions", [*self.decisions(number), dict(decision)])

    def decisions(self, number: int) -> list[dict[str, Any]]:
        """What was decided on a trial, oldest first."""
        return list(self.trial(number).user_attrs.get("decisions", []))

    def stopped(self, number: int) -> str | None:
        """Why a trial must stop early, once that is decided; else None."""
        last = self.decisions(number)[-1:]
        return str(last[0]["why"]) if last and last[0]["stop"] else None

    def note(self, key: str, value: Any) -> None:
        """Record a fact about the sweep (a JSON value)."""
        self.study.set_user_attr(key, value)

    def noted(self, key: str, otherwise: Any) -> Any:
        """A fact about the sweep, or `otherwise` where there is none."""
        return optuna_internals.study_attributes(self.study).get(key, otherwise)

    def finish(self, number: int, outcome: Outcome) -> None:
        """Record a trial's end; one that has already ended stays as it is."""
        trial = self.trial(number)
        if trial.state.is_finished():
            return
        if trial.user_attrs.get("reason") != outcome.reason:
            self.annotate(number, "reason", outcome.reason)
        value = trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else None
        if outcome.state == TrialState.COMPLETE:
            assert value is not None
            self.study.tell(number, value)
        else:
            self.study.tell(number, state=outcome.state)

    def asked(self) -> list[FrozenTrial]:
        """All trials that were begun, in order; first points still in the queue and imported trials are left out."""
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state != TrialState.WAITING and "imported" not in trial.user_attrs]

    def imported(self) -> int:
        """How many trials of another sweep the study began with; they have the first numbers."""
        return sum("imported" in trial.user_attrs for trial in self.study.get_trials(deepcopy=False))

    def trial(self, number: int) -> FrozenTrial:
        """What the study knows of trial `number`."""
        return optuna_internals.stored_trial(self.study, number)

    # As tables

    def trials(self) -> "pd.DataFrame":
        """One row per trial: trial, state, epoch, reason, the last epoch's metrics, and each parameter by dotted key.

        state is COMPLETE (trained to the end), PRUNED (stopped early), FAIL or RUNNING (unfinished; `resume` goes on).
        """
        import pandas as pd

        rows = []
        for trial in self.asked():
            epochs = self.trial_folder(trial.number).read_epochs()
            last = dict(epochs[-1]) if epochs else {"epoch": 0}
            row = {"trial": trial.number, "state": trial.state.name, "epoch": int(last.pop("epoch"))}
            row["reason"] = trial.user_attrs.get("reason", "")
            rows.append({**row, **last, **trial.params})
        return pd.DataFrame(rows, columns=None if rows else ["trial", "state", "epoch", "reason"])

    def epochs(self) -> "pd.DataFrame":
        """One row per trial and finished epoch: trial, epoch and all metrics."""
        import pandas as pd

        rows = [
            {"trial": trial.number, **epoch}
            for trial in self.asked()
            for epoch in self.trial_folder(trial.number).read_epochs()
        ]
        return pd.DataFrame(rows, columns=None if rows else ["trial", "epoch"])

    def parameters(self) -> list[str]:
        """The dotted keys that the sweep searches."""
        return list(self.config()["space"]["free"])

    def settings(self, number: int) -> dict[str, Any]:
        """The whole configuration of a trial, by dotted key."""
        return flatten(self.trial_folder(number).read_config())

    def remove(self) -> None:
        """Delete the folder of a sweep that could not start."""
        shutil.rmtree(self.path)


def load_sweep(path: Path | str) -> SweepRecord:
    """Open a sweep's folder. Raises ValueError when there is none at `path`."""
    path = Path(path).expanduser().resolve()
    if not (path / "sweep.yaml").exists():
        others = sorted(child.parent.name for child in path.parent.glob("[!.]*/sweep.yaml"))
        there = f"; there are: {', '.join(others[:20])}" if others else "; start one with `tune-mixup sweep`"
        raise ValueError(f"there is no sweep named {path.name!r} in {path.parent}{there}")
    return SweepRecord(path)
