"""A sweep in a few lines, from its record alone: what state it is in, how far it has come, what is best so far."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from optuna.trial import FrozenTrial, TrialState

from tune_mixup.record.merit import Merits
from tune_mixup.record.names import SWEEP, named
from tune_mixup.record.sizes import size_of
from tune_mixup.record.sweep_record import SweepRecord

State = Literal["running", "done", "budget used up", "unfinished"]
"""running: a process works on it; done: all promised trials have ended; budget used up: its time or its GPU-hours are;
unfinished: `resume` goes on."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A trial that is not at its end."""

    trial: int
    epoch: int
    """Finished epochs that the record knows of."""
    value: float | None
    """Of the sweep's metric after them."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A sweep at one moment."""

    name: str
    path: str
    state: State
    trials: int
    """Trials promised."""
    states: Mapping[str, int]
    """Trials by state: COMPLETE, PRUNED, FAIL, RUNNING (begun, not ended) and WAITING (promised, not begun)."""
    metric: str
    best_trial: int | None
    """The first trial of the best setting that was trained to the end; while there is none, the best trial of all."""
    best_value: float | None
    """The mean over the setting's seeds."""
    best_epoch: int | None
    best_seeds: int
    unended: tuple[Running, ...]
    worked_s: float
    """Wall seconds over all processes that have worked on it."""
    changed: float
    """When it was last written to, in Unix seconds."""
    size: int
    """Bytes of its folder."""

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values


def summary(record: SweepRecord) -> Summary:
    """What the record says now. Raises ValueError for a record that is damaged."""
    config = record.folder.config()
    asked = record.study.asked()
    ended = [trial for trial in asked if trial.state.is_finished()]
    states = Counter(trial.state.name for trial in ended)
    names = (TrialState.COMPLETE.name, TrialState.PRUNED.name, TrialState.FAIL.name)
    merits = Merits.of(record)
    setting = merits.best()
    best = _most_promising(asked, sign=merits.sign) if setting is None else record.study.trial(setting.trial)
    trials = int(config["trials"])
    runs = record.folder.runs()
    worked_s = sum(run["worked_s"] for run in runs)
    return Summary(
        name=record.name,
        path=str(record.path),
        state=_state(record, config, all_ended=len(ended) == max(trials, len(asked)), worked_s=worked_s),
        trials=trials,
        states={
            **{name: states[name] for name in names},
            "RUNNING": len(asked) - len(ended),
            "WAITING": max(0, trials - len(asked)),
        },
        metric=str(config["metric"]),
        best_trial=None if best is None else best.number,
        best_value=setting.mean if setting is not None else None if best is None else _value(best),
        best_epoch=None if best is None else best.last_step,
        best_seeds=1 if setting is None else len(setting.values),
        unended=tuple(
            Running(trial=trial.number, epoch=trial.last_step or 0, value=_value(trial))
            for trial in asked
            if not trial.state.is_finished()
        ),
        worked_s=worked_s,
        changed=_changed(record.path, [run["began"] + run["worked_s"] for run in runs]),
        size=size_of(record.path),
    )


def sweeps_in(root: Path) -> list[Path]:
    """The folders of the sweeps under `root`, by name; hidden ones are being made or deleted.

    Raises ValueError where `root` is something else than a folder.
    """
    folder = named(root)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"root: {folder} is no folder; give the one that the sweeps are in")
    return sorted(file.parent for file in folder.glob(f"[!.]*/{SWEEP}"))


def _state(record: SweepRecord, config: Mapping[str, Any], *, all_ended: bool, worked_s: float) -> State:
    if record.folder.is_worked_on():
        return "running"
    if all_ended:
        return "done"
    time_s, gpu_hours = config.get("time_budget_s"), config.get("gpu_hours")
    if time_s is not None and worked_s >= time_s:
        return "budget used up"
    if gpu_hours is not None and _gpu_s(record) >= 3600 * gpu_hours:
        return "budget used up"
    return "unfinished"


def _gpu_s(record: SweepRecord) -> float:
    metered = sum(row["epoch_s"] * row["gpus"] for row in record.folder.metered())
    return metered + sum(run.get("gpu_s", 0.0) for run in record.folder.runs())


def _most_promising(asked: list[FrozenTrial], *, sign: int) -> FrozenTrial | None:
    known = [trial for trial in asked if _value(trial) is not None]
    return max(known, key=lambda trial: (sign * (_value(trial) or 0.0), -trial.number), default=None)


def _value(trial: FrozenTrial) -> float | None:
    """The metric after the last epoch that has one."""
    return None if trial.last_step is None else trial.intermediate_values[trial.last_step]


def _changed(path: Path, ends: list[float]) -> float:
    """When a sweep was last written to. Looking at it makes no file in it newer, a copy keeps the times."""
    files = (path / name for name in (SWEEP, "study.journal", "runs.jsonl", "metered.jsonl"))
    return max([*ends, *(file.stat().st_mtime for file in files if file.exists())], default=time.time())
