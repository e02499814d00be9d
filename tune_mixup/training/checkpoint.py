"""A trial's saved state: written whole or not at all, with the one before kept until the next is whole."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from tune_mixup.trial_folder import write_atomically


def _previous(path: Path) -> Path:
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def save(state: dict[str, Any], path: Path) -> None:
    """Write tensors and plain values to `path`; the file that was there becomes the previous one.

    Raises OSError when the disk is full or read-only; what was saved before is then still whole.
    """
    fresh = path.with_name(f"{path.stem}.next{path.suffix}")
    write_atomically(fresh, lambda file: torch.save(state, file))
    if path.exists():
        os.replace(path, _previous(path))
    os.replace(fresh, path)


def load(path: Path) -> dict[str, Any] | None:
    """The newest whole state at `path`, on the CPU; None when nothing was ever saved.

    A truncated or damaged file is passed over for the previous one. Raises ValueError when none can be read.
    """
    damaged = []
    for candidate in (path, _previous(path)):
        if not candidate.exists():
            continue
        try:
            state: dict[str, Any] = torch.load(candidate, map_location="cpu", weights_only=True)
            return state
        except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile):
            damaged.append(candidate)
    if damaged:
        raise ValueError(
            f"{damaged[0]} is truncated or damaged, and there is no whole checkpoint before it; "
            "delete the folder to train the trial again from the start"
        )
    return None
