"""A sweep's study for those who only look: reading takes no lock, and nothing can be written."""

from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalStorage
from typing_extensions import override

from tune_mixup.record.journal import Journal


class ReadOnlyJournal(Journal):
    """A journal that refuses to be written, whatever asks for it."""

    @override
    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Raises PermissionError."""
        raise PermissionError(f"{self.path} was opened to be read only")


def read_only_storage(path: Path) -> JournalStorage:
    """The storage of the study in the journal at `path`, which follows what a running sweep adds."""
    return JournalStorage(ReadOnlyJournal(path))
