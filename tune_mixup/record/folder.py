"""A sweep's own folder: the one place that knows its files.

    sweep.yaml        the sweep's configuration: space, budget, sampler, stopping rule, seed; and the record's format
    study.journal     the Optuna study: what was asked, measured at each epoch, stopped and why
    trials/t0007/     a trial's own folder (`trial_folder.py`)
    runs.jsonl        one line per process that worked on the sweep: when it began, how long it has worked
    metered.jsonl     one line per epoch that took GPU time: which one, how long, on which share of a GPU
    evaluations/      what `evaluate` did with the test split
    lock              held by the process that works on the sweep, released by the system when it dies
    stopping          there while the sweep is being interrupted: workers save their trials and end

Only the process that holds the lock writes here; workers write to their trial's folder.
"""

import contextlib
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tune_mixup.locks import Held, Lock
from tune_mixup.reading import dump_yaml, parse_yaml
from tune_mixup.record.files import storage, sync, write_atomically
from tune_mixup.record.journal import repair
from tune_mixup.record.lines import open_text, seal_text
from tune_mixup.record.making import made_beside
from tune_mixup.record.names import EVALUATIONS, SCRATCH, SWEEP, command_for, is_sweep, trial_name
from tune_mixup.record.rows import append_row, end_last_row, read_rows, write_rows
from tune_mixup.record.targets import check_root
from tune_mixup.record.trial_folder import TrialFolder
from tune_mixup.writing import sync_folder

FORMAT = 2
"""Of the record. 0, which no file says, had the settings of sampler and stopping rule beside each other; 1 had no
checksums."""
LOOK_S = 0.2
"""Who only looks whether a sweep is worked on has the lock for less than this."""


class SweepFolder:
    """Reads and writes the files of one sweep beside its study."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.journal = path / "study.journal"
        self.trials = path / "trials"
        self.stopping = path / "stopping"
        self.evaluations = path / EVALUATIONS
        self._runs = path / "runs.jsonl"
        self._metered = path / "metered.jsonl"
        self._openings = self.evaluations / "test_split.jsonl"
        self._lock = Lock(path / "lock", folder=True)

    @classmethod
    @contextlib.contextmanager
    def making(cls, root: Path, name: str) -> Iterator["SweepFolder"]:
        """Make a sweep's folder: what the block writes to is moved into place when the block ends, whole or not at all.

        Raises ValueError when the name is taken, also by one who was faster.
        """
        cls.check_free(root, name)
        path = root.expanduser().resolve() / name
        try:
            with made_beside(path) as made:
                folder = cls(made)
                folder.trials.mkdir()
                yield folder
        except OSError:
            cls.check_free(root, name)
            raise

    @classmethod
    def check_free(cls, root: Path, name: str) -> None:
        """Raise ValueError when a sweep, or anything else, is at `name`, and for a root that can't hold sweeps."""
        check_root(root)
        path = root.expanduser().resolve() / name
        if is_sweep(path):
            raise ValueError(
                f"a sweep named {name!r} exists in {root}; go on with `{command_for('resume', path)}` or choose "
                "another --name"
            )
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ValueError(f"{path} exists and is no sweep; choose another --name or --root")

    def trial(self, number: int) -> TrialFolder:
        """The folder of trial `number`."""
        return TrialFolder(self.trials / trial_name(number))

    def config(self) -> dict[str, Any]:
        """The sweep's configuration as nested plain values, `format` among them where the record has one.

        A sweep is called like its folder, whatever it was called when the file was written.
        Raises ValueError for a file that is damaged, and for a record of a later format than this version knows.
        """
        file = self.path / SWEEP
        try:
            text, sealed = open_text(file.read_bytes())
            values = parse_yaml(text)
            if not isinstance(values, dict):
                raise ValueError("it holds no settings")
            if values.get("format", 0) == FORMAT and not sealed:
                raise ValueError("its last line, the checksum, is missing")
        except ValueError as error:
            raise ValueError(
                f"{file} can't be read as a sweep's configuration ({error}); restore it from a copy, or, if it was "
                f"changed by hand, drop its last line and write `format: {FORMAT - 1}`"
            ) from None
        found = values.get("format", 0)
        if not isinstance(found, int) or found > FORMAT:
            raise ValueError(
                f"{self.path} has a record of format {found}, but this version of tune_mixup knows formats up to "
                f"{FORMAT}; use the version that made it, or a later one"
            )
        return {**values, "name": self.name} if "name" in values else values

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Replace the configuration, as `resume --trials` does; the record then has today's format."""
        content = seal_text(dump_yaml({"format": FORMAT, **config}))
        write_atomically(self.path / SWEEP, lambda file: file.write(content))

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Hold the sweep's lock, and first mend what a killed process may have left.

        Raises ValueError when another process works on the sweep, and when the configuration or the study is damaged
        beyond the torn end of a write: nothing is changed then.
        """
        with self.alone():
            self.config()
            cut = repair(self.journal)
            if cut is not None and cut.lines:
                logging.getLogger(__name__).warning(
                    f"{self.journal}: the damaged end was moved to {cut.kept.name}: {', '.join(cut.lines)}"
                )
            with storage(self.path):
                end_last_row(self._metered)
                end_last_row(self._openings)
                self.trials.mkdir(exist_ok=True)
                self.stopping.unlink(missing_ok=True)
                for remains in self.path.glob(".*.tmp"):
                    remains.unlink(missing_ok=True)
                for scratch in self.path.glob(f"{SCRATCH}*"):
                    shutil.rmtree(scratch, ignore_errors=True)
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the sweep's lock. Raises ValueError when another process works on the sweep."""
        try:
            self._lock.acquire(LOOK_S)
        except Held:
            raise ValueError(
                f"another process is working on the sweep {self.name!r}; wait for it or stop it first"
            ) from None
        try:
            yield
        finally:
            self._lock.release()

    def is_worked_on(self) -> bool:
        """Whether a process works on the sweep. Nothing is written."""
        return self._lock.is_held()

    def note_run(self, began: float, worked_s: float) -> None:
        """Write down that the process that began at `began` (Unix seconds) has worked for `worked_s` so far."""
        runs = {run["began"]: run for run in self.runs()}
        runs[began] = {**runs.get(began, {}), "began": began, "worked_s": worked_s}
        write_rows(self._runs, runs.values())

    def runs(self) -> list[dict[str, float]]:
        """Each process that worked on the sweep: `began` (Unix seconds) and `worked_s`.

        In a record of format 0 also `gpu_s`, the GPU-seconds of its epochs.
        """
        return read_rows(self._runs, numbers=("began", "worked_s"))

    def meter(self, row: Mapping[str, float]) -> None:
        """Write down what one epoch took of a GPU: `trial`, `epoch`, `epoch_s` and its share, `gpus`."""
        append_row(self._metered, row)

    def metered(self) -> list[dict[str, float]]:
        """Every epoch that took GPU time."""
        return read_rows(self._metered, numbers=("trial", "epoch", "epoch_s", "gpus"))

    def settle(self, number: int) -> None:
        """Have on the disk what a power cut could take of a trial, before anything is recorded that builds on it."""
        trial = self.trial(number)
        if trial.path.exists():
            with storage(trial.path):
                sync(trial.epochs)
                sync_folder(trial.path)
                sync_folder(self.trials)
                sync(self._metered)

    def note_opening(self, values: Mapping[str, Any]) -> None:
        """Write down that the test split was opened, for what, and what it said."""
        with storage(self._openings):
            self.evaluations.mkdir(exist_ok=True)
            end_last_row(self._openings)
            append_row(self._openings, values)
            sync(self._openings)
            sync_folder(self.evaluations)

    def openings(self) -> list[dict[str, Any]]:
        """Every opening of the test split so far, oldest first."""
        return read_rows(self._openings, numbers=("trial",))
