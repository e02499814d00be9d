"""`explain`: why trials were stopped, and what stopping may have cost."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tune_mixup.cli.options import Json, Name, Root, sweep_path
from tune_mixup.cli.tables import screen_width
from tune_mixup.record.names import trial_name, trial_number

if TYPE_CHECKING:
    from tune_mixup.search.replay import Event


def explain(
    name: Name,
    trial: Annotated[
        str | None, typer.Argument(help="A trial's number or name, 7 or t0007: every decision on it.")
    ] = None,
    order: Annotated[
        bool,
        typer.Option("--order", help="Every ask, decision and tell in its order, each made again to compare."),
    ] = False,
    finalists: Annotated[
        bool, typer.Option("--finalists", help="What the best settings came to on fresh seeds, and which is handed on.")
    ] = False,
    root: Root = Path("sweeps"),
    as_json: Json = False,
) -> None:
    """Say why trials were stopped, and what the control group says about the rungs."""
    number = None if trial is None else trial_number(trial, "trial")
    if finalists and (order or number is not None):
        raise ValueError("--finalists: is about the whole sweep; leave out --order and the trial")
    path = sweep_path(name, root)

    from tune_mixup.analysis.fitting import filled
    from tune_mixup.analysis.sweep import load_sweep
    from tune_mixup.search.explanation import explain_finals, explain_sweep, explain_trial
    from tune_mixup.search.replay import replay

    record = load_sweep(path).record
    width = screen_width()
    if order:
        events = (event for event in replay(record) if number is None or event.trial == number)
        for line in (json.dumps(asdict(event)) for event in events) if as_json else _order(events):
            print(line if as_json else filled(line, width))
        return
    if finalists:
        found, lines = explain_finals(record), _finals
    else:
        found, lines = (explain_sweep(record), _sweep) if number is None else (explain_trial(record, number), _trial)
    compared = None
    if lines is _sweep and record.folder.config().get("ablation") is not None:
        from tune_mixup.analysis.ablation import compare

        compared = compare(record)
    if as_json:
        ablation = {} if compared is None else {"ablation": compared.plain()}
        print(json.dumps({**found, **ablation}, indent=2, allow_nan=False))
        return
    for line in (*compared.lines(width), "") if compared is not None else ():
        print(line)
    for line in lines(found, width):
        print(filled(line, width))


def _sweep(found: Mapping[str, Any], width: int | None) -> Iterator[str]:
    smoothed = f", the median of {found['reports_smoothed']} reports" if found["reports_smoothed"] > 1 else ""
    yield f"{found['name']}: {found['scheduler']} by {found['metric']}{smoothed}"
    if found["warm_start"]:
        yield f"  began with what is known {found['warm_start']}"
    for stratum in found["strata"]:
        limit = "above" if stratum["up_to"] is None else f"up to a strength of {stratum['up_to']:.3g}"
        yield f"  {stratum['name']}: {limit}"
    if found["strata_checked"] is not None:
        yield f"  {_checked(found['strata_checked'])}"
    for look in found["looks"]:
        yield f"  {look['arm']} after {look['seeds']} seeds: {look['verdict']}; {look['why']}"
    for longer in found["longer_grace"]:
        yield f"  from {trial_name(longer['from_trial'])} on {longer['why']}"
    for state, title in (("PRUNED", "Stopped"), ("FAIL", "Failed")):
        ended = [one for one in found["trials"] if one["state"] == state]
        yield f"\n{title}: {len(ended)} of {len(found['trials'])} trials"
        yield from (f"  {trial_name(one['trial'])}  {one['reason']}" for one in ended)
    control = [one for one in found["trials"] if one["control"]]
    names = ", ".join(f"{trial_name(one['trial'])} {one['state']}" for one in control)
    none = "none yet" if found["share_spared"] else "none (sweep.stopping.control_fraction is 0)"
    yield f"\nControl group, which is never stopped: {names or none}"
    yield from _table(found["control"], width)
    chance = found["chance_best_stopped"]
    yield f"Chance that the best trial was stopped: {'unknown' if chance is None else f'about {chance:.0%}'}"
    complete = sum(one["state"] == "COMPLETE" for one in found["trials"])
    yield f"\nAll {complete} COMPLETE trials; correlations are too low here, for rungs let the better ones through"
    yield from _table(found["complete"], width)


def _checked(rise: Mapping[str, Any]) -> str:
    """What the sweep's curves say about its strata."""
    if rise["correlation"] is None:
        return (
            f"whether stronger mixing rises later in this sweep is unknown (COMPLETE trials that mix: {rise['trials']})"
        )
    later, so = ("later", "as strata assume") if rise["correlation"] > 0 else ("earlier", "against what strata assume")
    return (
        f"stronger mixing rises {later} in this sweep, {so}: rank correlation {rise['correlation']:.2f} "
        f"({rise['low']:.2f} to {rise['high']:.2f}) in {rise['trials']} COMPLETE trials"
    )


def _finals(found: Mapping[str, Any], width: int | None) -> Iterator[str]:
    from tune_mixup.analysis.fitting import Column, draw

    if not found["rounds"]:
        if found["finite"] and not found["share"]:
            why = "the sampler goes through all points; where these have several seeds, the seeds are the finalists"
        elif not found["share"]:
            why = "sweep.finalists.share is 0"
        else:
            least = f"{found['min_search']:g} full runs' worth of epochs"
            why = f"they begin after the search, and only where that has {least}"
        yield f"{found['name']}: no finalists; {why}"
        return
    yield f"{found['name']}: finalists by {found['metric']}"
    for one in found["rounds"]:
        yield f"  {one['why']}"
    if since := found["searched_since"]:
        same = "" if found["missing"] else "; the best settings are the same"
        yield f"  {since} more trial{'s were' if since > 1 else ' was'} searched since{same}"
    if found["missing"]:
        yield f"\n{found['missing']}"
    rows = found["settings"]
    if not rows:
        return
    yield ""
    cells = {
        "setting": [trial_name(row["trial"]) for row in rows],
        "search": [f"{row['search']:.4g}" for row in rows],
        "fresh seeds": [
            ", ".join(
                f"{seed}: {state if value is None else format(value, '.4g')}"
                for seed, value, state in zip(row["seeds"], row["values"], row["states"], strict=True)
            )
            for row in rows
        ],
        "mean": [f"{row['mean']:.4g}" for row in rows],
        "error": ["" if row["error"] is None else f"{row['error']:.2g}" for row in rows],
        "": ["handed on" if row["handed_on"] else "" for row in rows],
    }
    yield from draw([Column(head, tuple(texts)) for head, texts in cells.items()], width, ("error",)).lines


def _trial(found: Mapping[str, Any], width: int | None) -> Iterator[str]:
    group = found["group"] or "all trials"
    strength = "" if found["strength"] is None else f", mixing strength {found['strength']:.3g}"
    yield f"{trial_name(found['trial'])} {found['state']} at epoch {found['epoch']}" + (
        f": {found['reason']}" if found["reason"] else ""
    )
    if found["finalist"] is not None:
        first = trial_name(found["finalist"])
        yield f"  It is a finalist's run: the setting of {first} on a fresh seed, compared with none and never stopped."
        return
    rungs = ", ".join(str(rung) for rung in found["rungs"]) or "none"
    yield f"  {found['scheduler']} by {found['metric']}, compared with: {group}{strength}; rungs at epochs: {rungs}"
    if found["control"]:
        yield "  It is in the control group, which is never stopped."
    yield from (f"  {decision['why']}" for decision in found["decisions"])


def _table(rows: Sequence[Mapping[str, Any]], width: int | None) -> Iterator[str]:
    """A row for each rung of which there is something to say, and the reason for the others."""
    from tune_mixup.analysis.fitting import Column, draw

    said = [row for row in rows if row["correlation"] is not None]
    silent = [row for row in rows if row["correlation"] is None]
    if said:
        cells = {
            "rung": [str(row["rung"]) for row in said],
            "trials": [str(row["trials"]) for row in said],
            "rank correlation with the end": [f"{row['correlation']:.2f}" for row in said],
            "95 % interval": [f"{row['low']:.2f} to {row['high']:.2f}" for row in said],
            "chance to stop the best": [
                "" if row["chance_best_stopped"] is None else f"{row['chance_best_stopped']:.1%}" for row in said
            ],
        }
        columns = [Column(head, tuple(texts)) for head, texts in cells.items()]
        room = None if width is None else width - 2
        yield from (f"  {line}" for line in draw(columns, room, ("trials", "chance to stop the best")).lines)
    if silent:
        rungs = ", ".join(f"{row['rung']} ({row['trials']})" for row in silent)
        yield (
            f"  Nothing can be said yet of the rungs at epochs (trials that went by): {rungs}. With too few trials, or "
            "values that do not vary, a rank correlation with the end may as well be of the other sign."
        )


def _order(events: Iterator["Event"]) -> Iterator[str]:
    asked = same = 0
    for event in events:
        again = {True: "", False: "  DIFFERS when made again", None: ""}[event.again]
        asked, same = asked + (event.again is not None), same + (event.again is True)
        known = f" ({event.ended} ended, {event.running} running)" if event.kind == "ask" else ""
        yield f"{event.kind:6} {trial_name(event.trial)}{known}  {event.what}{again}"
    yield f"\n{same} of {asked} asks and decisions came out the same when made again from what was known at the time"
