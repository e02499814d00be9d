"""A made-up sweep that is killed at its writes, beside one that never is: both must come to the same decisions."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from tune_mixup.record.journal import Journal
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.session import Session
from tune_mixup.sweep_config import SweepConfig
from tune_mixup.testing.made_up_sweep import decisions, work


class Killed(BaseException):
    """What a kill at a write looks like from inside."""


class Writes:
    """Counts the writes to journals, and raises `Killed` at the one with the number `kill_at` and at all later ones."""

    def __init__(self, kill_at: int | None) -> None:
        self.kill_at = kill_at
        self.count = 0

    def next(self) -> None:
        """Another write is about to happen."""
        self.count += 1
        if self.kill_at is not None and self.count >= self.kill_at:
            raise Killed


@contextmanager
def counted_writes(kill_at: int | None = None) -> Iterator[Writes]:
    """Count the block's writes to any sweep's journal, of which the one numbered `kill_at` kills it.

    Nothing waits for the disk meanwhile: a killed process loses nothing that the system has taken.
    """
    writes, append = Writes(kill_at), Journal.append_logs

    def counted(journal: Journal, logs: list[dict[str, Any]]) -> None:
        writes.next()
        append(journal, logs)

    with mock.patch.object(Journal, "append_logs", counted), mock.patch.object(os, "fsync", lambda descriptor: None):
        yield writes


def create(root: Path, config: SweepConfig) -> SweepRecord:
    """The record of a sweep that nobody has worked on."""
    return SweepRecord.create(root, config.name, config.model_dump(mode="json"), direction=config.direction)


def read_from_record(config: SweepConfig) -> SweepConfig:
    """The configuration as another process gets it from the record of the sweep."""
    with tempfile.TemporaryDirectory() as folder:
        return SweepConfig.from_record(create(Path(folder), config).folder.config())


def worked_through(record: SweepRecord, config: SweepConfig, *, kill_at: int | None = None) -> tuple[bool, int]:
    """Work on a sweep until its end or until its `kill_at`-th write; whether it came to its end, after which writes."""
    with counted_writes(kill_at) as writes:
        try:
            work(Session.open(SweepRecord.open(record.path), config), faults=True)
        except Killed:
            return False, writes.count - 1
    return True, writes.count


class Outcome(NamedTuple):
    """The logs of decisions of a sweep that was killed and of one that was not, and how much either wrote."""

    unbroken: bytes
    killed: bytes
    writes: int
    kills: int


def killed_after_each_write(config: SweepConfig) -> Outcome:
    """Run the sweep twice; the second time each process dies once it has written one thing.

    Where that was only what an earlier one had written (Optuna's CMA-ES notes itself anew at each ask), the next one
    may write one thing more. Raises AssertionError when the second sweep does not come to an end.
    """
    with tempfile.TemporaryDirectory() as folder:
        whole = create(Path(folder) / "whole", config)
        _, writes = worked_through(whole, config)
        record, kills, kill_at = create(Path(folder) / "killed", config), 0, 2
        before = _content(record)
        while not worked_through(record, config, kill_at=kill_at)[0]:
            kills += 1
            assert kills < 10 * writes, "processes that go on with a sweep only repeat what others have written"
            after = _content(SweepRecord.open(record.path))
            kill_at = 2 if after != before else kill_at + 1
            before = after
        return Outcome(decisions(whole), decisions(SweepRecord.open(record.path)), writes, kills)


def _content(record: SweepRecord) -> list[tuple[Any, ...]]:
    trials = record.study.optuna.get_trials(deepcopy=False)
    return [(t.state, t.params, t.intermediate_values, t.user_attrs, t.system_attrs) for t in trials]
