"""`explain`: why trials were stopped, and what stopping may have cost."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tune_mixup.cli.options import Json, Name, Root, sweep_path
from tune_mixup.record.names import trial_name

if TYPE_CHECKING:
    from tune_mixup.search.replay import Event


def explain(
    name: Name,
    trial: Annotated[int | None, typer.Argument(help="Number of a trial: every decision on it.")] = None,
    order: Annotated[
        bool,
        typer.Option("--order", help="Every ask, decision and tell in its order, each made again to compare."),
    ] = False,
    root: Root = Path("sweeps"),
    as_json: Json = False,
) -> None:
    """Say why trials were stopped, and what the control group says about the rungs."""
    from tune_mixup.analysis.sweep import load_sweep
    from tune_mixup.search.explanation import explain_sweep, explain_trial
    from tune_mixup.search.replay import replay

    record = load_sweep(sweep_path(name, root)).record
    if order:
        events = (event for event in replay(record) if trial is None or event.trial == trial)
        for line in (json.dumps(asdict(event)) for event in events) if as_json else _order(events):
            print(line)
        return
    found = explain_sweep(record) if trial is None else explain_trial(record, trial)
    if as_json:
        print(json.dumps(found, indent=2, allow_nan=False))
    else:
        print("\n".join(_sweep(found) if trial is None else _trial(found)))


def _sweep(found: Mapping[str, Any]) -> Iterator[str]:
    smoothed = f", the median of {found['reports_smoothed']} reports" if found["reports_smoothed"] > 1 else ""
    yield f"{found['name']}: {found['scheduler']} by {found['metric']}{smoothed}"
    if found["warm_start"]:
        yield f"  began with what is known {found['warm_start']}"
    for stratum in found["strata"]:
        limit = "above" if stratum["up_to"] is None else f"up to a strength of {stratum['up_to']:.3g}"
        yield f"  {stratum['name']}: {limit}"
    for longer in found["longer_grace"]:
        yield f"  from {trial_name(longer['from_trial'])} on {longer['why']}"
    for state, title in (("PRUNED", "Stopped"), ("FAIL", "Failed")):
        ended = [one for one in found["trials"] if one["state"] == state]
        yield f"\n{title}: {len(ended)} of {len(found['trials'])} trials"
        yield from (f"  {trial_name(one['trial'])}  {one['reason']}" for one in ended)
    control = [one for one in found["trials"] if one["control"]]
    names = ", ".join(f"{trial_name(one['trial'])} {one['state']}" for one in control)
    yield f"\nControl group, which is never stopped: {names or 'none yet'}"
    yield from _table(found["control"])
    if found["chance_best_stopped"] is not None:
        yield f"Chance that the best trial was stopped: about {found['chance_best_stopped']:.0%}"
    complete = sum(one["state"] == "COMPLETE" for one in found["trials"])
    yield f"\nAll {complete} COMPLETE trials; correlations are too low here, for rungs let the better ones through"
    yield from _table(found["complete"])


def _trial(found: Mapping[str, Any]) -> Iterator[str]:
    group = found["group"] or "all trials"
    strength = "" if found["strength"] is None else f", mixing strength {found['strength']:.3g}"
    yield f"{trial_name(found['trial'])} {found['state']} at epoch {found['epoch']}" + (
        f": {found['reason']}" if found["reason"] else ""
    )
    rungs = ", ".join(str(rung) for rung in found["rungs"]) or "none"
    yield f"  {found['scheduler']} by {found['metric']}, compared with: {group}{strength}; rungs at epochs: {rungs}"
    if found["control"]:
        yield "  It is in the control group, which is never stopped."
    yield from (f"  {decision['why']}" for decision in found["decisions"])


def _table(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    import pandas as pd

    from tune_mixup.analysis.leaderboard import render

    cells = [
        {
            "rung": row["rung"],
            "trials": row["trials"],
            "rank correlation with the end": row["correlation"],
            "95 % interval": "" if row["low"] is None else f"{row['low']:.2f} to {row['high']:.2f}",
            "chance to stop the best": row["chance_best_stopped"],
        }
        for row in rows
    ]
    yield from (f"  {line}" for line in render(pd.DataFrame(cells), "table").splitlines() if rows)


def _order(events: Iterator["Event"]) -> Iterator[str]:
    asked = same = 0
    for event in events:
        again = {True: "", False: "  DIFFERS when made again", None: ""}[event.again]
        asked, same = asked + (event.again is not None), same + (event.again is True)
        known = f" ({event.ended} ended, {event.running} running)" if event.kind == "ask" else ""
        yield f"{event.kind:6} {trial_name(event.trial)}{known}  {event.what}{again}"
    yield f"\n{same} of {asked} asks and decisions came out the same when made again from what was known at the time"
