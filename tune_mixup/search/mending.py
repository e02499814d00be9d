"""What a power cut, damage or a copy may have taken of a sweep's trial folders, written again from what is whole.

The study says what was measured, and the state of a trial has its whole history. Only whoever holds the sweep's lock
may mend, and nothing may be training.
"""

import logging
import os
import re
from collections.abc import Callable, Sequence

from optuna.trial import FrozenTrial

from tune_mixup.config import TrialConfig
from tune_mixup.record.files import storage
from tune_mixup.record.names import trial_name
from tune_mixup.record.study import is_invalid
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.record.tables import with_study
from tune_mixup.record.trial_folder import Epoch
from tune_mixup.training import checkpoint
from tune_mixup.training.claim import is_state_of

STRAYS = "strays"
"""Where folders go, in a sweep's own, whose trials its study does not know."""


def mend_all(record: SweepRecord, metric: str, config_of: Callable[[int], TrialConfig]) -> None:
    """Bring the folders of all trials that have ended up to the study; `config_of` gives a trial's configuration."""
    _set_strays_aside(record)
    for trial in record.study.asked():
        if trial.state.is_finished() and not is_invalid(trial):
            mend(record, trial, metric, config_of)


def _set_strays_aside(record: SweepRecord) -> None:
    """Move folders of trials that were never begun out of the way of those that will be.

    They are there when the study is older than the folders, as in a copy of a sweep that was running meanwhile.
    """
    begun = {trial_name(trial.number) for trial in record.study.asked()}
    strays = [path for path in record.folder.trials.iterdir() if re.fullmatch(r"t\d{4,}", path.name)]
    for path in sorted(path for path in strays if path.name not in begun):
        with storage(path):
            aside = record.path / STRAYS
            aside.mkdir(exist_ok=True)
            taken = sum(other.name.partition(".")[0] == path.name for other in aside.iterdir())
            os.rename(path, aside / (f"{path.name}.{taken}" if taken else path.name))
        logging.getLogger(__name__).warning(
            f"{path} is of a trial that the study has not begun, so it was moved to {aside}; the study is older than it"
        )


def mend(record: SweepRecord, trial: FrozenTrial, metric: str, config_of: Callable[[int], TrialConfig]) -> None:
    """Write again what is missing or damaged of a trial that trains no more: its epochs and its configuration.

    Epochs come from the trial's state where that is kept, else from the study, which has only their `metric`.
    """
    folder = record.folder.trial(trial.number)
    if folder.has_epochs(trial.last_step or 0) and folder.has_whole_config():
        return  # as for nearly all trials
    held = folder.read_epochs()
    rows = with_study(held, trial, metric=metric)
    if not rows and not folder.path.exists():
        return  # it has not begun to train
    with storage(folder.path):
        folder.path.mkdir(exist_ok=True)
    missing = set(range(1, int(rows[-1]["epoch"]) + 1)) - {int(row["epoch"]) for row in held} if rows else set()
    if missing:
        state, _ = checkpoint.peek(folder.checkpoint)
        history = state["history"] if state and is_state_of(config_of(trial.number), state) else []
        whole = {int(row["epoch"]): row for row in history if row["epoch"] in missing}
        known = {int(row["epoch"]): row for row in rows} | whole
        if back := missing & known.keys():  # the study knows only epochs that were validated
            folder.rewrite_epochs([known[epoch] for epoch in sorted(known)])
            source = "its checkpoint" if back <= whole.keys() else "the study"
            folder.note(f"the rows of {len(back)} epochs were missing or damaged; written again from {source}")
    if not folder.has_whole_config():
        folder.write_config(config_of(trial.number).plain())
        folder.note("config.yaml was missing or damaged; written again from the study")


def unbroken(rows: Sequence[Epoch], *, after: int) -> list[Epoch]:
    """The rows of an unfinished trial up to the first gap behind epoch `after`: what is told must be told in order."""
    end = after
    for row in rows:
        end += row["epoch"] == end + 1
    return [row for row in rows if row["epoch"] <= end]
