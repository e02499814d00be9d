"""A trial's own folder: the one place that knows its files, and writes each so that a crash leaves the old or the new.

config.yaml          the whole TrialConfig
epochs.jsonl         one line per finished epoch
checkpoint.pt        the newest state; checkpoint.previous.pt the one before
snapshots/0003.npz   what the mixer remembers after epoch 3 (the confusion matrix)
error.txt            the traceback of a trial that failed
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import yaml

Epoch = dict[str, float | int]
"""One epoch's report: `epoch` counts finished epochs from 1; all values are finite."""


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that readers and crashes see the old content or the new, never a part.

    Raises OSError when the disk is full or read-only; the old content is then still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(unfinished, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


class TrialFolder:
    """Reads and writes the files of one trial."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.epochs = path / "epochs.jsonl"
        self.checkpoint = path / "checkpoint.pt"
        self.error = path / "error.txt"

    def write_config(self, values: Mapping[str, Any]) -> None:
        """Keep the whole configuration, nested plain values, as YAML."""
        text = yaml.safe_dump(dict(values), sort_keys=False)
        write_atomically(self.config, lambda file: file.write(text.encode()))

    def read_config(self) -> dict[str, Any]:
        """The configuration as nested plain values. Raises FileNotFoundError when the trial has none yet."""
        values = yaml.safe_load(self.config.read_text())
        return dict(values)

    def append_epoch(self, report: Epoch) -> None:
        """Add one finished epoch."""
        with open(self.epochs, "ab") as file:
            file.write(json.dumps(report).encode() + b"\n")

    def rewrite_epochs(self, reports: Sequence[Epoch]) -> None:
        """Replace all epochs: what a resumed trial has not kept in its checkpoint it will train again."""
        text = "".join(json.dumps(report) + "\n" for report in reports)
        write_atomically(self.epochs, lambda file: file.write(text.encode()))

    def read_epochs(self) -> list[Epoch]:
        """The finished epochs in order; a last line that a crash cut short is left out."""
        if not self.epochs.exists():
            return []
        lines = self.epochs.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def write_snapshot(self, epoch: int, arrays: Mapping[str, Any]) -> None:
        """Keep named NumPy arrays for an epoch (finished epochs, counted from 1)."""
        import numpy as np

        path = self.path / "snapshots" / f"{epoch:04d}.npz"
        write_atomically(path, lambda file: np.savez(file, **arrays))

    def write_error(self, text: str) -> None:
        """Keep a failed trial's traceback."""
        write_atomically(self.error, lambda file: file.write(text.encode()))
