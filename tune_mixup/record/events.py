"""What has happened in a sweep, oldest first, as its record tells it: told again at any time, by any process."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from optuna.trial import FrozenTrial

from tune_mixup.record.names import trial_name
from tune_mixup.record.study import facts_of
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.record.tables import known_rows

Kind = Literal["driver", "ask", "epoch", "decide", "death", "end", "note", "error", "test"]
"""driver: a process worked on the sweep; ask: a trial was begun; decide: a rule compared it; death: its worker died;
end: how it ended; note: what was mended in its folder; error: its traceback; test: the test split was opened."""


@dataclass(frozen=True)
class Event:
    """One thing that has happened."""

    when: float | None
    """In Unix seconds; None where the record does not say."""
    kind: Kind
    trial: int | None
    what: str


def sweep_events(record: SweepRecord) -> list[Event]:
    """What has happened, without the epochs and decisions of trials, which `trial_events` has."""
    found = [*_drivers(record), *_openings(record, None)]
    for trial in record.study.asked():
        found += [_begin(trial), *_deaths(trial), *_end(trial)]
    return sorted(found, key=lambda event: event.when or 0.0)


def trial_events(record: SweepRecord, number: int) -> list[Event]:
    """All that is known of one trial. Raises ValueError when the sweep has no such trial."""
    asked = {trial.number: trial for trial in record.study.asked()}
    if number not in asked:
        there = f"it has {min(asked)} to {max(asked)}" if asked else "it has none yet"
        raise ValueError(f"the sweep {record.name!r} has no trial {number}; {there}")
    trial, folder = asked[number], record.folder.trial(number)
    found = [_begin(trial)]
    decisions = facts_of(trial).decisions
    for row in known_rows(record, trial, metric=str(record.folder.config()["metric"])):
        found.append(Event(None, "epoch", number, _pairs(row)))
        found += [
            Event(None, "decide", number, f"{'stop' if one.stop else 'go on'}: {one.why}")
            for one in decisions
            if one.epoch == row["epoch"]
        ]
    found += _deaths(trial)
    for kind, file in (("note", folder.notes), ("error", folder.error)):
        if file.exists():
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            found += [Event(None, "note" if kind == "note" else "error", number, line) for line in lines]
    return [*found, *_end(trial), *_openings(record, number)]


def _drivers(record: SweepRecord) -> Iterator[Event]:
    runs, alive = record.folder.runs(), record.folder.is_worked_on()
    for place, run in enumerate(runs, start=1):
        yield Event(run["began"], "driver", None, f"process {place} began to work on the sweep")
        if not (alive and place == len(runs)):
            ended = run["began"] + run["worked_s"]
            yield Event(ended, "driver", None, f"process {place} was last heard of, after {run['worked_s']:.0f} s")


def _begin(trial: FrozenTrial) -> Event:
    facts = facts_of(trial)
    final = f"a finalist, the setting of {trial_name(facts.finalist)}: " if facts.finalist is not None else ""
    return Event(_unix(trial.datetime_start), "ask", trial.number, final + _pairs(trial.params))


def _deaths(trial: FrozenTrial) -> Iterator[Event]:
    for place, why in enumerate(facts_of(trial).deaths, start=1):
        yield Event(_unix(trial.datetime_start), "death", trial.number, f"worker {place} died: {why}")


def _end(trial: FrozenTrial) -> Iterator[Event]:
    if trial.state.is_finished():
        value = "" if trial.value is None else f" {trial.value:.6g}"
        reason = facts_of(trial).reason
        words = f"{trial.state.name}{value}" + (f": {reason}" if reason else "")
        yield Event(_unix(trial.datetime_complete), "end", trial.number, words)


def _openings(record: SweepRecord, number: int | None) -> Iterator[Event]:
    for row in record.folder.openings():
        if number is None or row["trial"] == number:
            what = f"the test split was opened for {', '.join(map(str, row.get('retrained', ())))}"
            yield Event(row.get("when"), "test", int(row["trial"]), what)


def _pairs(values: Mapping[str, Any]) -> str:
    return "  ".join(
        f"{key} {value:.6g}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items()
    )


def _unix(moment: datetime | None) -> float | None:
    """Optuna's moments are local time without a zone."""
    return None if moment is None else moment.timestamp()
