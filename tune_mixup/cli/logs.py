"""`logs`: what has happened in a sweep or a trial, from its record."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tune_mixup.cli.options import Json, Name, Root, sweep_path
from tune_mixup.cli.tables import screen_width
from tune_mixup.record.names import trial_name, trial_number

if TYPE_CHECKING:
    from tune_mixup.record.events import Event
    from tune_mixup.record.sweep_record import SweepRecord

FOLLOW_S = 1.0
"""Between two looks at a sweep that is followed."""


def logs(
    name: Name,
    trial: Annotated[
        str | None,
        typer.Option(metavar="T", help="One trial (12 or t0012): its epochs, decisions, faults and traceback."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what happens, until no process works on it any more.")
    ] = False,
    root: Root = Path("sweeps"),
    as_json: Json = False,
) -> None:
    """Tell what has happened: when trials were begun, how they ended and why, which processes worked on the sweep."""
    number = None if trial is None else trial_number(trial, "--trial")
    path = sweep_path(name, root)

    from tune_mixup.record.sweep_record import SweepRecord

    record = SweepRecord.open(path)
    for event in _followed(record, number) if follow else _events(record, number):
        print(json.dumps(asdict(event)) if as_json else "\n".join(_lines(event, screen_width())), flush=follow)


def _events(record: "SweepRecord", number: int | None) -> "list[Event]":
    from tune_mixup.record.events import sweep_events, trial_events

    return sweep_events(record) if number is None else trial_events(record, number)


def _followed(record: "SweepRecord", number: int | None) -> "Iterator[Event]":
    """Each event once; Ctrl-C is the way to end it before the sweep does, and so no fault."""
    told: Counter[Event] = Counter()
    try:
        while True:
            alive = record.folder.is_worked_on()  # before the look, or what comes between would not be told
            events = Counter(_events(record, number))
            yield from (events - told).elements()
            told |= events
            if not alive:
                return
            time.sleep(FOLLOW_S)
    except KeyboardInterrupt:
        return


def _lines(event: "Event", width: int | None) -> Iterator[str]:
    from tune_mixup.analysis.fitting import hung

    when = "" if event.when is None else datetime.fromtimestamp(event.when).isoformat(" ", timespec="seconds")
    which = "" if event.trial is None else trial_name(event.trial)
    yield from hung(f"{when:19}  {which:5}  {event.kind:6}  ", event.what, width)
