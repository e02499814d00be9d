"""`explain`: why trials were stopped, and what stopping may have cost."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from tabulate import tabulate

from tune_mixup.cli.options import Json, Name, Root, sweep_path


def explain(
    name: Name,
    trial: Annotated[int | None, typer.Argument(help="Number of a trial: every decision on it.")] = None,
    root: Root = Path("sweeps"),
    as_json: Json = False,
) -> None:
    """Say why trials were stopped, and what the control group says about the rungs."""
    from tune_mixup.record import load_sweep
    from tune_mixup.tuning.explanation import explain_sweep, explain_trial

    record = load_sweep(sweep_path(name, root))
    found = explain_sweep(record) if trial is None else explain_trial(record, trial)
    if as_json:
        print(json.dumps(found, indent=2, allow_nan=False))
    else:
        print("\n".join(_sweep(found) if trial is None else _trial(found)))


def _sweep(found: Mapping[str, Any]) -> Iterator[str]:
    smoothed = f", the median of {found['reports_smoothed']} reports" if found["reports_smoothed"] > 1 else ""
    yield f"{found['name']}: {found['scheduler']} by {found['metric']}{smoothed}"
    for stratum in found["strata"]:
        limit = "above" if stratum["up_to"] is None else f"up to a strength of {stratum['up_to']:.3g}"
        yield f"  {stratum['name']}: {limit}"
    for longer in found["longer_grace"]:
        yield f"  from {_name(longer['from_trial'])} on {longer['why']}"
    for state, title in (("PRUNED", "Stopped"), ("FAIL", "Failed")):
        ended = [one for one in found["trials"] if one["state"] == state]
        yield f"\n{title}: {len(ended)} of {len(found['trials'])} trials"
        yield from (f"  {_name(one['trial'])}  {one['reason']}" for one in ended)
    control = [one for one in found["trials"] if one["control"]]
    names = ", ".join(f"{_name(one['trial'])} {one['state']}" for one in control)
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
    yield f"{_name(found['trial'])} {found['state']} at epoch {found['epoch']}" + (
        f": {found['reason']}" if found["reason"] else ""
    )
    rungs = ", ".join(str(rung) for rung in found["rungs"]) or "none"
    yield f"  {found['scheduler']} by {found['metric']}, compared with: {group}{strength}; rungs at epochs: {rungs}"
    if found["control"]:
        yield "  It is in the control group, which is never stopped."
    yield from (f"  {decision['why']}" for decision in found["decisions"])


def _table(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    cells = [
        [
            row["rung"],
            row["trials"],
            "" if row["correlation"] is None else f"{row['correlation']:.2f}",
            "" if row["low"] is None else f"{row['low']:.2f} to {row['high']:.2f}",
            "" if row["chance_best_stopped"] is None else f"{row['chance_best_stopped']:.0%}",
        ]
        for row in rows
    ]
    headers = ["rung", "trials", "rank correlation with the end", "95 % interval", "chance to stop the best"]
    yield from ("  " + line for line in tabulate(cells, headers, disable_numparse=True).splitlines())


def _name(number: int) -> str:
    return f"t{number:04d}"
