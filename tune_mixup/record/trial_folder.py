"""A trial's own folder: the one place that knows its files, each written so that a crash leaves the old or the new.

config.yaml            the whole TrialConfig
epochs.jsonl           one line per finished epoch
checkpoint.pt          the newest state; checkpoint.previous.pt the one before, while the trial is unfinished
snapshots/0003.npz     what the mixer remembers after epoch 3 (the confusion matrix)
error.txt              the traceback of a trial that failed
notes.txt              what went wrong and was mended, such as a damaged checkpoint
lock                   held by the process that trains the trial
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from tune_mixup.reading import dump_yaml, parse_yaml
from tune_mixup.record.files import storage, write_atomically
from tune_mixup.record.lines import open_text, seal_text
from tune_mixup.record.rows import append_row, count_rows, read_rows, write_rows

CHECKPOINT = "checkpoint.pt"
"""The newest state."""
_LAST_SETTING = "\n  median_epochs: "
"""In every configuration without a checksum, with at most the metrics from outside behind it."""
Epoch = dict[str, float | int]
"""One epoch's report: `epoch` counts finished epochs from 1; all values are finite."""


class TrialFolder:
    """Reads and writes the files of one trial."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def config(self) -> Path:
        """The whole TrialConfig."""
        return self.path / "config.yaml"

    @cached_property
    def epochs(self) -> Path:
        """A line per finished epoch."""
        return self.path / "epochs.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The newest state."""
        return self.path / CHECKPOINT

    @property
    def error(self) -> Path:
        """The traceback of a trial that failed."""
        return self.path / "error.txt"

    @property
    def notes(self) -> Path:
        """What went wrong and was mended."""
        return self.path / "notes.txt"

    def write_config(self, values: Mapping[str, Any]) -> None:
        """Keep the whole configuration, nested plain values, as YAML."""
        content = seal_text(dump_yaml(dict(values)))
        write_atomically(self.config, lambda file: file.write(content))

    def read_config(self) -> dict[str, Any]:
        """The configuration as nested plain values.

        Raises FileNotFoundError when the trial has none yet, and ValueError when it is damaged.
        """
        try:
            text, _ = open_text(self.config.read_bytes())
            values = parse_yaml(text)
            if not isinstance(values, dict):
                raise ValueError("it holds no settings")
        except ValueError as error:
            raise ValueError(f"{self.config} can't be read as a configuration: {error}") from None
        return values

    def has_whole_config(self) -> bool:
        """Whether the configuration is there and as it was written; looked at without reading its settings.

        One without a checksum, of an earlier version, counts as whole when what such a one ends with is there.
        """
        try:
            text, sealed = open_text(self.config.read_bytes())
            return sealed or (text.endswith("\n") and _LAST_SETTING in text)
        except (OSError, ValueError):
            return False

    def append_epoch(self, report: Epoch) -> None:
        """Add one finished epoch. Raises StorageFault when that can't be written."""
        append_row(self.epochs, report)

    def rewrite_epochs(self, reports: Sequence[Epoch]) -> None:
        """Replace all epochs: what a resumed trial has not kept in its checkpoint it will train again."""
        write_rows(self.epochs, reports)

    def read_epochs(self) -> list[Epoch]:
        """The finished epochs in order, each once; those whose line was damaged are missing."""
        rows = {row["epoch"]: row for row in read_rows(self.epochs, numbers=("epoch",)) if row["epoch"] >= 1}
        return [rows[epoch] for epoch in sorted(rows)]

    def has_epochs(self, last: int) -> bool:
        """Whether rows of all epochs up to `last`, and no others, are there and whole."""
        return count_rows(self.epochs) == last

    def write_snapshot(self, epoch: int, arrays: Mapping[str, Any]) -> None:
        """Keep named NumPy arrays for an epoch (finished epochs, counted from 1)."""
        import numpy as np

        path = self.path / "snapshots" / f"{epoch:04d}.npz"
        with storage(path):
            path.parent.mkdir(exist_ok=True)
        write_atomically(path, lambda file: np.savez(file, **arrays))

    def write_error(self, text: str) -> None:
        """Keep a failed trial's traceback."""
        write_atomically(self.error, lambda file: file.write(text.encode("utf-8", "backslashreplace")))

    def note(self, text: str) -> None:
        """Add a line, with the time, to what went wrong and was mended."""
        with storage(self.notes), open(self.notes, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {text}\n")

    def checkpoints(self) -> list[Path]:
        """The files of saved states, whole, old, damaged or half-written."""
        return sorted((*self.path.glob("checkpoint*.pt"), *self.path.glob(".checkpoint*.tmp")))

    def tidy(self) -> None:
        """Delete what a killed process left half-written. Only whoever holds the trial's lock may call this."""
        with storage(self.path):
            for remains in (*self.path.glob(".*.tmp"), *self.path.glob("snapshots/.*.tmp")):
                remains.unlink(missing_ok=True)
