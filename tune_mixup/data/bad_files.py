"""What of a data set can't be used: told of all at once, then refused or left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

OnError = Literal["refuse", "skip"]
_NAMED = 10
"""Entries of which a line says the names."""


@dataclass(frozen=True)
class BadFiles:
    """The files, rows or items that can't be used, among all that a folder or a file has for a data set."""

    why: Mapping[str, str]
    """Their names, for files the paths below the folder, in the order of the listing, and the reasons."""
    number: int
    """How many there are, good and bad."""
    place: Path
    """The file or folder that they are in."""
    kind: str
    """What they should be: `images`."""
    entries: str = "files"
    """What they are called."""

    def left_out(self) -> str | None:
        """A line that says what was left out; None where all files are good."""
        return f"{self._listed()}; they are left out" if self.why else None

    def check(self, on_error: OnError, *, remedy: str = "") -> None:
        """Raise ValueError that lists them, unless they are to be left out; `remedy` is what else would help."""
        if self.why and on_error == "refuse":
            raise ValueError(
                f"{self._listed()}; replace or remove them{remedy}, or leave them out by data.on_error=skip"
            )

    def _listed(self) -> str:
        named = ", ".join(f"{name} ({why})" for name, why in [*self.why.items()][:_NAMED])
        more = f" and {len(self.why) - _NAMED:,} more" if len(self.why) > _NAMED else ""
        count = f"{len(self.why):,} of {self.number:,} {self.entries} in {self.place}"
        return f"{count} can't be read as {self.kind}: {named}{more}"
