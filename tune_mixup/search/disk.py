"""What a sweep keeps on the disk: which checkpoints go when trials end, and which when a budget is used up.

Without a budget a stopped or failed trial keeps no checkpoint, one that is complete keeps its weights, and an
unfinished one the newest two states. With a budget, more goes when room is needed, in the order of `plan_drops`.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from optuna.trial import FrozenTrial, TrialState

from tune_mixup.record.files import storage
from tune_mixup.record.names import command_for
from tune_mixup.record.sizes import in_words as in_words
from tune_mixup.record.sizes import size_of
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.record.trial_folder import CHECKPOINT as NEWEST
from tune_mixup.sweep_config import SweepConfig

LEADERS = 3
"""So many of the best complete trials keep their weights whatever the budget."""
RUNNING_FILES = 3
"""A running trial has the newest state, the one before and, while it saves, the next."""
RECORD_BYTES = 4 * 2**20
"""Set aside for what grows beside checkpoints between two looks: the study, epochs, Ray's own files."""


class Held(NamedTuple):
    """A trial's checkpoint files, name -> bytes, and how good it is (higher is better; None: not measured)."""

    number: int
    state: TrialState
    score: float | None
    files: Mapping[str, int]


class Drop(NamedTuple):
    """A file of a trial to delete, and what that gives back."""

    number: int
    file: str
    size: int


class NoRoom(RuntimeError):
    """The budget can't hold what may not be deleted."""


def plan_drops(trials: Sequence[Held], excess: int) -> list[Drop]:
    """The files to delete, in this order, until `excess` bytes are given back or nothing more may go.

    First what ended trials have beside their newest state; then stopped and failed trials' newest states; then complete
    trials', the worst first. Never an unfinished trial's, nor those of the `LEADERS` best complete ones.
    """
    ended = [trial for trial in trials if trial.state.is_finished()]
    complete = sorted((trial for trial in ended if trial.state == TrialState.COMPLETE), key=_rank)
    stopped = [trial for trial in ended if trial.state != TrialState.COMPLETE]
    candidates = [
        *(Drop(trial.number, file, size) for trial in ended for file, size in trial.files.items() if file != NEWEST),
        *(Drop(trial.number, NEWEST, trial.files[NEWEST]) for trial in stopped if NEWEST in trial.files),
        *(Drop(trial.number, NEWEST, trial.files[NEWEST]) for trial in complete[:-LEADERS] if NEWEST in trial.files),
    ]
    drops = []
    for drop in candidates:
        if excess <= 0:
            break
        drops.append(drop)
        excess -= drop.size
    return drops


def _rank(trial: Held) -> tuple[float, int]:
    return (float("-inf") if trial.score is None else trial.score, -trial.number)


class Keeper:
    """Keeps a sweep's folder within its budget. Told of each trial that begins, reports or ends."""

    def __init__(self, record: SweepRecord, config: SweepConfig, *, checkpoint_bytes: int) -> None:
        """Look at the whole folder once. `checkpoint_bytes` is what one state may take at most."""
        self.record = record
        self.budget = config.disk_budget
        self.sign = 1 if config.direction == "maximize" else -1
        self.checkpoint_bytes = checkpoint_bytes
        self.running: set[int] = set()
        self._held: dict[int, Held] = {}
        self._sizes: dict[int, int] = {}
        """Trial -> bytes of its folder."""
        self._total = 0
        """Bytes of all trials' folders."""
        for trial in record.study.asked():
            if trial.state.is_finished():
                self.ended(trial.number)
            else:
                self._look(trial)

    def begin(self, number: int) -> None:
        """Make room for a trial to run. Raises NoRoom when there is none."""
        self.running.add(number)
        self._look(self.record.study.trial(number))
        self._make_room()

    def report(self, number: int) -> None:
        """Look at what a trial has written. Raises NoRoom when the budget can't hold it."""
        self._look(self.record.study.trial(number))
        self._make_room()

    def ended(self, number: int) -> None:
        """Delete what an ended trial needs no more; one that is to be tried again keeps everything."""
        self.running.discard(number)
        trial, folder = self.record.study.trial(number), self.record.folder.trial(number)
        if trial.state.is_finished():
            for file in folder.checkpoints():
                if file.name != NEWEST or trial.state != TrialState.COMPLETE:
                    _delete(file)
        self._look(trial)

    def _make_room(self) -> None:
        if self.budget is None:
            return
        excess = self._used() + self._reserved() - self.budget
        if excess <= 0:
            return
        for drop in plan_drops(list(self._held.values()), excess):
            _delete(self.record.folder.trial(drop.number).path / drop.file)
            self._look(self.record.study.trial(drop.number))
            excess -= drop.size
        if excess > 0:
            raise NoRoom(
                f"the disk budget of {in_words(self.budget)} is used up by the record and by checkpoints that are "
                f"needed; allow at least {in_words(self.budget + excess)}: `"
                f"{command_for('resume', self.record.path)} --disk-budget SIZE`"
            )

    def _used(self) -> int:
        return self._total + sum(
            size_of(path) for path in self.record.path.iterdir() if path != self.record.folder.trials
        )

    def _reserved(self) -> int:
        """What the running trials may write before anybody looks again."""
        room = 0
        for number in self.running:
            has = sum(self._held[number].files.values())
            room += max(0, RUNNING_FILES * self.checkpoint_bytes - has)
        return room + RECORD_BYTES

    def _look(self, trial: FrozenTrial) -> None:
        if self.budget is None:
            return
        folder = self.record.folder.trial(trial.number)
        files = {file.name: size_of(file) for file in folder.checkpoints()}
        if files:
            self.checkpoint_bytes = max(self.checkpoint_bytes, *files.values())
        score = self.sign * trial.value if trial.state == TrialState.COMPLETE and trial.value is not None else None
        self._held[trial.number] = Held(trial.number, trial.state, score, files)
        size = size_of(folder.path)
        self._total += size - self._sizes.get(trial.number, 0)
        self._sizes[trial.number] = size


def check_space(root: Path, config: SweepConfig, *, checkpoint_bytes: int, concurrent: int) -> None:
    """Raise ValueError when the disk below `root`, or the sweep's disk budget, can't hold what runs at once."""
    needed = concurrent * RUNNING_FILES * checkpoint_bytes + RECORD_BYTES
    why = (
        f"{concurrent} trials at once keep {RUNNING_FILES} states of up to {in_words(checkpoint_bytes)} each: "
        f"{in_words(needed)} with the record"
    )
    free = shutil.disk_usage(_existing(root.expanduser().resolve())).free
    if free < needed:
        raise ValueError(
            f"{root} has {in_words(free)} free, but {why}; make room, choose another --root, or fewer --concurrent"
        )
    needed += LEADERS * checkpoint_bytes
    if config.disk_budget is not None and config.disk_budget < needed:
        raise ValueError(
            f"disk_budget: got {in_words(config.disk_budget)}, but {why}, and {in_words(needed)} with the weights of "
            f"the {LEADERS} best; allow more, or fewer --concurrent"
        )


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _delete(file: Path) -> None:
    with storage(file):
        file.unlink(missing_ok=True)
