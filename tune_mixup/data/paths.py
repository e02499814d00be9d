"""Paths that a person writes into settings."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field


def absolute(path: Path) -> Path:
    """Absolute, because Ray's workers run in another working directory than the person who wrote the path."""
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(f"got {str(path)!r}, whose home folder is not known; write the path in full") from error


Folder = Annotated[Path, Field(strict=False), AfterValidator(absolute)]
"""A path or a string; `~` is the home folder."""
