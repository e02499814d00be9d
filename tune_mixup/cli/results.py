"""`leaderboard`, `export` and `evaluate`: what came out of a sweep."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tune_mixup.activity import doing
from tune_mixup.cli.errors import Interrupted
from tune_mixup.cli.options import Address, Force, Json, Name, Root, parse_settings, sweep_path
from tune_mixup.cli.tables import Columns, Wide, screen_width
from tune_mixup.display import display
from tune_mixup.faults import cut, shown
from tune_mixup.record.names import command_for, named, trial_name

WHOLE = "Nothing was held out; a median is that of the test metric over the last training.median_epochs epochs. "


def leaderboard(
    name: Name,
    top: Annotated[int | None, typer.Option(metavar="N", help="Only the first N rows.")] = None,
    format: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="table (default), markdown, or csv or json, with every column and digit."),
    ] = None,
    by: Annotated[
        Literal["setting", "trial"], typer.Option(help="One row for each setting (its mean over seeds), or each trial.")
    ] = "setting",
    columns: Columns = None,
    wide: Wide = False,
    root: Root = Path("sweeps"),
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Rank the settings of a sweep by its metric on validation."""
    path = sweep_path(name, root)

    from tune_mixup.analysis import leaderboard as analysis
    from tune_mixup.analysis.board import board
    from tune_mixup.analysis.fitted import chosen
    from tune_mixup.analysis.rendering import check_format, render
    from tune_mixup.analysis.sweep import load_sweep

    if as_json and format not in (None, "json"):
        raise ValueError(f"got --json and --format {format}; give one of the two")
    wanted = "json" if as_json else format or "table"
    check_format(wanted)
    record = load_sweep(path).record
    if wanted == "table":
        print(board(record, top=top, by=by, columns=columns, width=screen_width(wide=wide)))
        return
    frame = analysis.leaderboard(record, top, by=by)
    if columns is not None:
        frame = frame[chosen(list(frame.columns), columns)]
    note = analysis.rule(record, by=by)
    print(render(frame, wanted, note=note))
    if wanted == "csv":
        print(note, file=sys.stderr)


def export(
    name: Name,
    to: Annotated[
        Path,
        typer.Option(parser=named, metavar="FILE", help="The suffix says how: .yaml, .json, .csv or .parquet."),
    ],
    top: Annotated[int, typer.Option(metavar="N", help="How many of the best.")] = 1,
    force: Force = False,
    root: Root = Path("sweeps"),
    as_json: Json = False,
) -> None:
    """Write the whole configurations of the best trials to a file that `train --config` reads."""
    from tune_mixup.record.targets import check_file

    check_file(to, overwrite=force)
    path = sweep_path(name, root)

    from tune_mixup.analysis.export import export as write
    from tune_mixup.analysis.sweep import load_sweep

    record = load_sweep(path).record
    count = write(record, top, to, overwrite=force)
    if as_json:
        print(json.dumps({"file": str(to), "configurations": count}))
        return
    few = " (no more trials are COMPLETE)" if count < top else ""
    threads = max(1, int(record.folder.config()["cpus_per_trial"]))
    command = f"tune-mixup train --config {shlex.quote(str(to))} --rank 1 --threads {threads} --out DIR"
    print(f"wrote the best {count}{few} to {to}; train the first again with")
    print(f"  {command}")


def evaluate(
    name: Name,
    top: Annotated[int, typer.Option(metavar="K", help="How many of the best COMPLETE trials.")] = 3,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Fresh seeds for each: 3; with --until-sure at most: 20.")
    ] = None,
    until_sure: Annotated[
        bool, typer.Option("--until-sure", help="Add seeds until one has won, they tie, or the seeds are out.")
    ] = False,
    error: Annotated[
        float | None, typer.Option(metavar="P", help="The chance to call a winner among equals: 0.05.")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(metavar="D", help="A smaller difference of the metric is a tie: 0.002.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Only data.validation_fraction=0: train on all training images."
        ),
    ] = None,
    columns: Columns = None,
    wide: Wide = False,
    root: Root = Path("sweeps"),
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Retrain the best settings on fresh seeds and open the test split, which is written down."""
    whole = _whole(parse_settings(set_))
    if whole and until_sure:
        raise ValueError("--until-sure decides by validation, for which data.validation_fraction=0 leaves nothing")
    path = sweep_path(name, root)

    from tune_mixup.analysis import leaderboard as analysis
    from tune_mixup.analysis.evaluated import names_of, table
    from tune_mixup.analysis.fitted import chosen
    from tune_mixup.analysis.rendering import rows
    from tune_mixup.analysis.sweep import load_sweep
    from tune_mixup.search.racing import rule_for

    for option, value in (("--error", error), ("--margin", margin)):
        if value is not None and not until_sure:
            raise ValueError(f"{option} is for --until-sure; give both, or leave it out")
    record = load_sweep(path).record
    board = analysis.leaderboard(record, top)
    metric = str(record.folder.config()["metric"])
    picked = None if columns is None else chosen(names_of(board, metric, whole=whole), columns)
    best = [int(number) for number in board.loc[board["state"] == "COMPLETE", "trial"]]
    if not best:
        raise ValueError(
            f"no trial of the sweep {record.name!r} is COMPLETE; finish one with "
            f"`{command_for('resume', record.path)}` first"
        )

    if until_sure and len(best) == 1 < top:
        raise ValueError(
            f"--until-sure: {record.name} has one setting that was trained to the end, but a race takes two or more; "
            f"finish another with `{command_for('resume', record.path)}`, or leave out --until-sure"
        )
    rule = rule_for(len(best), most=seeds, error=error, margin=margin) if until_sure else None
    number = rule.most if rule is not None else 3 if seeds is None else seeds
    fresh = f"{number} fresh seed{'s' if number > 1 else ''}"
    if not as_json:
        names = ", ".join(map(trial_name, best))
        trainings = f"{number * len(best)} training{'s' if number * len(best) > 1 else ''}"
        how = f"{fresh} each: {trainings}" if rule is None else f"up to {fresh} each: at most {trainings}"
        print(f"retraining {names} of {record.name} on {how}")
    out: dict[str, Any] = {}
    try:
        with display(as_json) as listener:
            with doing("loading torch and Ray"):
                from tune_mixup.cluster.evaluation import evaluate as run
                from tune_mixup.cluster.race import race

            if rule is None:
                frame = run(path, best, seeds=number, whole=whole, address=address, listener=listener)
            else:
                raced = race(path, best, rule, address=address, listener=listener)
                frame, out = raced.rows, {"race": {**raced.plain(), "words": raced.words(metric)}}
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command goes on with what is left") from None
    note = (
        f"Each setting was trained on {fresh if rule is None else 'fresh seeds'} to the full budget; n of them ended, "
        f"sd is over these. {WHOLE if whole else ''}"
        f"The test split was opened, which {record.folder.evaluations} remembers."
    )
    if as_json:
        print(json.dumps({"event": "end", "rule": note, "rows": rows(frame), **out}, allow_nan=False))
    else:
        shown = f"{note}\n{out['race']['words']}" if out else note
        print("\n" + table(frame, metric, note=shown, columns=picked, width=screen_width(wide=wide)))
    if not frame["n"].any():
        raise RuntimeError(f"all {frame['failed'].sum()} trainings failed; what each of them failed by is said above")


def _whole(settings: Mapping[str, Any]) -> bool:
    """Whether nothing is to be held out. Raises ValueError for any other setting."""
    for key, value in settings.items():
        if key != "data.validation_fraction" or isinstance(value, bool) or value != 0:
            raise ValueError(
                f"--set {cut(key)}: got {shown(value)}, but evaluate retrains settings as they were searched; it takes "
                "data.validation_fraction=0 only"
            )
    return bool(settings)
