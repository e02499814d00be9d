"""A sweep's record: its folder and its Optuna study, which together are the whole truth about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tune_mixup.record.facts import Decision
from tune_mixup.record.folder import SweepFolder
from tune_mixup.record.names import check_sweep_there
from tune_mixup.record.study import Outcome, SweepStudy


@dataclass(frozen=True)
class SweepRecord:
    """Reading needs no lock, working on the sweep does (`folder.working()`)."""

    folder: SweepFolder
    study: SweepStudy

    @classmethod
    def create(
        cls,
        root: Path,
        name: str,
        config: Mapping[str, Any],
        *,
        direction: Literal["maximize", "minimize"],
        fill: "Callable[[SweepRecord], object]" = lambda record: None,
    ) -> "SweepRecord":
        """Make the folder and the study, whole or not at all. Raises ValueError when the name is taken.

        `fill` adds what a sweep of this name must never be without; when it raises, nothing is made.
        """
        with SweepFolder.making(root, name) as made:
            SweepStudy.create(made.journal, name, direction=direction)
            made.write_config(config)
            fill(cls(made, SweepStudy(made.journal, name)))
        return cls.open(root / name)

    @classmethod
    def open(cls, path: Path | str) -> "SweepRecord":
        """The record at `path`. Raises ValueError when there is none."""
        path = Path(path).expanduser().resolve()
        check_sweep_there(path)
        folder = SweepFolder(path)
        return cls(folder, SweepStudy(folder.journal, folder.name))

    def decide(self, number: int, decision: Decision) -> None:
        """Record what was decided on an unfinished trial; before a stop its epochs are on the disk."""
        if decision.stop:
            self.folder.settle(number)
        self.study.decide(number, decision)

    def finish(self, number: int, outcome: Outcome) -> None:
        """Record a trial's end, with its epochs on the disk; one that has already ended stays as it is."""
        self.folder.settle(number)
        self.study.finish(number, outcome)

    @property
    def path(self) -> Path:
        """The folder's path."""
        return self.folder.path

    @property
    def name(self) -> str:
        """The sweep's name, which is its folder's."""
        return self.folder.name
