"""Whose a folder is: a trial goes on only in its own, with its own configuration, data and states."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tune_mixup.config import TrialConfig
from tune_mixup.data.base import DataFault
from tune_mixup.record.trial_folder import TrialFolder
from tune_mixup.training import checkpoint

_KINDS = {"epoch": int, "history": list, "model": Mapping, "mixer": Mapping}
"""What every state of a trial holds beside its identity and seed."""


def claim(folder: TrialFolder, config: TrialConfig) -> None:
    """Write down the configuration in a folder that has none, or a damaged one.

    Raises ValueError when the folder holds another trial, and DataFault when it holds this one with other data.
    """
    held = _held(folder)
    if held is None or (held.identity(), held.seed) not in _identities(config):
        state, _ = checkpoint.peek(folder.checkpoint)
        if state is None or not is_state_of(config, state):  # else it is the configuration that is damaged
            _refuse_another(folder, config, held, has_state=state is not None)
        if folder.config.exists():
            folder.note("config.yaml was damaged; written again")
        folder.write_config(config.plain())
    elif held.data.fingerprint is None:
        folder.write_config(config.plain())


def _refuse_another(folder: TrialFolder, config: TrialConfig, held: TrialConfig | None, *, has_state: bool) -> None:
    if held is None and not has_state:
        return
    if held is not None and (held.of_data(config.data.fingerprint).identity(), held.seed) in _identities(config):
        raise DataFault(
            f"{folder.path} holds a trial of data with the fingerprint {held.data.fingerprint}, but those that are "
            f"there now have {config.data.fingerprint}; bring those back or choose another folder"
        )
    raise ValueError(f"{folder.path} holds a trial with another configuration; choose another folder")


def newest_state(folder: TrialFolder, config: TrialConfig) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest whole state of the trial in its folder, None where there is none; and what is to be said about it."""
    newest, _, unmoved, _ = checkpoint.files(folder.checkpoint)
    missing = not newest.exists() and not unmoved.exists()
    notes: list[str] = []
    others: list[int] = []

    def is_ours(state: Any) -> bool:
        ours = is_state_of(config, state)
        if not ours:
            others.append(len(notes))  # the one that is noted next
        return ours

    def note(file: Path) -> None:
        what = "is no state of this trial" if len(notes) in others else "was truncated or damaged"
        notes.append(f"{file.name} {what}")

    state = checkpoint.load(folder.checkpoint, note, is_ours)
    if missing and not notes and (state is not None or len(folder.read_epochs()) > 1):  # else none was saved yet
        notes.append(f"{newest.name} was missing")
    return state, notes


def is_state_of(config: TrialConfig, state: Any) -> bool:
    """Whether what a file holds is a state of this trial."""
    return (
        isinstance(state, dict)
        and (state.get("identity"), state.get("seed")) in _identities(config)
        and all(isinstance(state.get(key), kind) for key, kind in _KINDS.items())
        and len(state["history"]) == state["epoch"]
    )


def _held(folder: TrialFolder) -> TrialConfig | None:
    """The configuration in a folder; None where there is none or it is damaged."""
    if not folder.has_whole_config():  # what is left of one may still be read, with defaults for the rest
        return None
    try:
        return TrialConfig.parse(folder.read_config())
    except (FileNotFoundError, ValueError):
        return None


def _identities(config: TrialConfig) -> list[tuple[str, int]]:
    """Identity and seed of the trial, also as they were before trials noted the content of their data."""
    return [(one.identity(), one.seed) for one in (config, config.of_data(None))]
