"""`list` and `status`: what sweeps there are and how they stand, from their records, while drivers work or not."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tune_mixup.cli.options import Json, Name, Root, sweep_path
from tune_mixup.cli.tables import Columns, Wide, screen_width
from tune_mixup.display import can_draw
from tune_mixup.record.names import command_for, trial_name
from tune_mixup.record.sizes import in_words
from tune_mixup.words import said

if TYPE_CHECKING:
    from tune_mixup.record.summary import Summary

COLUMNS = ("name", "state", "trials", "best", "age", "size")
GIVING_UP = ("size", "age", "trials", "best")
"""Columns that make room on a narrow terminal, the least wanted first."""
WATCH_S = 2.0
"""Between two looks at a sweep that is watched."""


def list(columns: Columns = None, wide: Wide = False, root: Root = Path("sweeps"), as_json: Json = False) -> None:
    """List the sweeps: state, trials that have ended, the best value, when last written to, size on the disk."""
    from tune_mixup.record.summary import summary, sweeps_in
    from tune_mixup.record.sweep_record import SweepRecord

    rows: dict[str, Any] = {}
    for path in sweeps_in(root):
        try:
            rows[path.name] = summary(SweepRecord.open(path))
        except (ValueError, OSError) as error:  # one that is damaged must not hide the others
            rows[path.name] = said(error)
    if as_json:
        said_of = {name: {"fault": one} if isinstance(one, str) else one.plain() for name, one in rows.items()}
        print(json.dumps({"root": str(root), "sweeps": [{"name": name, **one} for name, one in said_of.items()]}))
    elif rows:
        print(_table(rows, columns, screen_width(wide=wide)))
        for name, one in rows.items():
            if isinstance(one, str):
                print(f"tune-mixup: {name} can't be read: {one}", file=sys.stderr)
    else:
        print(f"there are no sweeps in {root}; start one with `tune-mixup sweep quickstart`")


def status(
    name: Name,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until no process works on it any more.")] = False,
    root: Root = Path("sweeps"),
    as_json: Json = False,
) -> None:
    """Say how a sweep stands: its state, its trials, the best one and those that run; while it runs too."""
    path = sweep_path(name, root)

    from tune_mixup.analysis.fitting import filled
    from tune_mixup.record.summary import summary
    from tune_mixup.record.sweep_record import SweepRecord

    record = SweepRecord.open(path)
    first = summary(record)
    if watch and first.state == "running" and can_draw(sys.stdout) and not as_json:
        _draw(_looks(record, first), first)
        return
    shown = None
    for now in _looks(record, first) if watch else [first]:
        text = json.dumps(now.plain()) if as_json else filled("\n".join(_lines(now)), screen_width())
        if text != shown:
            print(text if not watch or as_json else f"{text}\n", flush=True)
        shown = text


def _draw(looks: "Iterator[Summary]", first: "Summary") -> None:
    """Each look over the one before; the last one stays."""
    from rich.console import Console
    from rich.text import Text

    from tune_mixup.display.terminal import Page

    now = first
    with Page(lambda: Text("\n".join(_lines(now))), Console(file=sys.stdout)):
        for look in looks:
            now = look


def _looks(record: Any, now: "Summary") -> Iterator["Summary"]:
    """The sweep as it stands, until no process works on it; Ctrl-C is the way to end it before, and so no fault."""
    from tune_mixup.record.summary import summary

    try:
        yield now
        while now.state == "running":
            time.sleep(WATCH_S)
            now = summary(record)
            yield now
    except KeyboardInterrupt:
        return


def _lines(now: "Summary") -> Iterator[str]:
    counts = ", ".join(f"{count} {state}" for state, count in now.states.items() if count)
    yield f"{now.name}: {now.state}; {_ended(now)} of {now.trials} trials have ended ({counts})"
    if now.best_trial is not None:
        yield f"best {trial_name(now.best_trial)}: {_best(now)} after {now.best_epoch} epochs"
    yield f"worked on for {_duration(now.worked_s)}, last written to {_age(now.changed)} ago"
    yield f"{in_words(now.size)} in {now.path}"
    for one in now.unended:
        value = "" if one.value is None else f", {now.metric} {one.value:.4g}"
        yield f"  {trial_name(one.trial)} {one.epoch} epochs{value}"
    if now.state != "running":
        verb, why = ("resume", "go on with") if now.state == "unfinished" else ("leaderboard", "see all with")
        yield f"{why} `{command_for(verb, Path(now.path))}`"


def _table(rows: dict[str, Any], chosen_by: str | None, width: int | None) -> str:
    """A row for each sweep, within `width` screen cells, or complete."""
    from tune_mixup.analysis.fitted import chosen, fitted
    from tune_mixup.analysis.fitting import Column

    cells = [_cells(name, one) for name, one in rows.items()]
    names = COLUMNS if chosen_by is None else chosen(COLUMNS, chosen_by)
    columns = [Column(head, tuple(one[head] for one in cells)) for head in names]
    return fitted(columns, width, GIVING_UP if chosen_by is None else ())


def _cells(name: str, one: Any) -> dict[str, str]:
    if isinstance(one, str):
        return {**dict.fromkeys(COLUMNS, ""), "name": name, "state": "damaged"}
    best = "" if one.best_trial is None else f"{_best(one)} ({trial_name(one.best_trial)})"
    ended = f"{_ended(one)}/{one.trials}"
    cells = (name, one.state, ended, best, _age(one.changed), in_words(one.size))
    return dict(zip(COLUMNS, cells, strict=True))


def _ended(now: "Summary") -> int:
    return sum(count for state, count in now.states.items() if state not in ("RUNNING", "WAITING"))


def _best(now: "Summary") -> str:
    return f"{now.metric} {now.best_value:.4g}" + (f", mean of {now.best_seeds} seeds" if now.best_seeds > 1 else "")


def _age(changed: float) -> str:
    return _duration(max(0.0, time.time() - changed))


def _duration(seconds: float) -> str:
    """Its two largest units: 90061 s are 1d 1h."""
    left, parts = int(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= size:
            parts.append(f"{left // size}{unit}")
        left %= size
    return " ".join(parts[:2]) or "0s"
