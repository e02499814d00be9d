"""`sweep` and `resume`: run trials on Ray, show how they go, and say what to do next."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from tune_mixup.cli.errors import Interrupted
from tune_mixup.cli.options import (
    Address,
    Concurrent,
    CpusPerTrial,
    DataRoot,
    DiskBudget,
    GpuHours,
    GpusPerTrial,
    Json,
    MaxEpochs,
    MaxFailures,
    Name,
    Root,
    Sampler,
    Seed,
    Settings,
    Space,
    TimeBudget,
    Trials,
    TrialTimeout,
    command_for,
    parse_amount,
    parse_duration,
    parse_settings,
    sweep_options,
    sweep_path,
)
from tune_mixup.display import display
from tune_mixup.record.names import is_sweep

if TYPE_CHECKING:
    from tune_mixup.analysis.sweep import Sweep
    from tune_mixup.record.sweep_record import SweepRecord
    from tune_mixup.search.standing import Listener
    from tune_mixup.sweep_config import Promise

SHOWN = 5
"""Rows of the leaderboard at the end of a sweep."""


def sweep(
    space: Space,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the sweep. Default: the space's.")] = None,
    trials: Trials = None,
    max_epochs: MaxEpochs = None,
    time_budget: TimeBudget = None,
    gpu_hours: GpuHours = None,
    metric: Annotated[
        str | None, typer.Option(metavar="METRIC", help="What ranks trials. Default: val_accuracy_median.")
    ] = None,
    sampler: Sampler = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who stops trials early: asha (default), hyperband, median or none."),
    ] = None,
    strata: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Compare trials of like mixing strength: strength (default), or none."),
    ] = None,
    repeats: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A setting that was asked before: replicate it on a fresh seed (default), serve its result, or train.",
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="SWEEP", help="Begin with what another sweep has learnt: its name or folder."),
    ] = None,
    outside: Annotated[
        Literal["drop", "clip", "refuse"],
        typer.Option(metavar="NAME", help="Its trials outside the space: drop (default), clip or refuse."),
    ] = "drop",
    concurrent: Concurrent = None,
    cpus_per_trial: CpusPerTrial = None,
    gpus_per_trial: GpusPerTrial = None,
    max_failures: MaxFailures = None,
    trial_timeout: TrialTimeout = None,
    disk_budget: DiskBudget = None,
    seed: Seed = None,
    set_: Settings = None,
    data_root: DataRoot = None,
    root: Root = Path("sweeps"),
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Search a space: many trials on Ray, poor ones stopped early, the next ones suggested by Optuna."""
    settings = parse_settings(set_, data_root)
    options = sweep_options(
        {
            "name": name,
            "trials": trials,
            "max_epochs": max_epochs,
            "metric": metric,
            "sampler": sampler,
            "scheduler": scheduler,
            "strata": strata,
            "repeats": repeats,
            "concurrent": concurrent,
            "cpus_per_trial": parse_amount(cpus_per_trial, "--cpus-per-trial"),
            "gpus_per_trial": parse_amount(gpus_per_trial, "--gpus-per-trial"),
            "seed": seed,
            "time_budget_s": parse_duration(time_budget, "--time-budget"),
            "gpu_hours": gpu_hours,
            "max_failures": max_failures,
            "trial_timeout_s": parse_duration(trial_timeout, "--trial-timeout"),
            "disk_budget": disk_budget,
        }
    )
    from tune_mixup.cluster.sweep import sweep as run

    path = root.expanduser() / (name or Path(space).stem)
    _follow(
        lambda listener: run(
            space,
            settings,
            root=root.expanduser(),
            address=address,
            warm_start=None if from_ is None else sweep_path(from_, root),
            outside=outside,
            listener=listener,
            **options,
        ),
        path,
        as_json,
    )


def resume(
    name: Name,
    trials: Trials = None,
    time_budget: TimeBudget = None,
    gpu_hours: GpuHours = None,
    concurrent: Concurrent = None,
    max_failures: MaxFailures = None,
    trial_timeout: TrialTimeout = None,
    disk_budget: DiskBudget = None,
    root: Root = Path("sweeps"),
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Go on with a sweep that was interrupted, or add trials to it; no finished trial runs again."""
    promise = {
        "trials": trials,
        "time_budget_s": parse_duration(time_budget, "--time-budget"),
        "gpu_hours": gpu_hours,
        "concurrent": concurrent,
        "max_failures": max_failures,
        "trial_timeout_s": parse_duration(trial_timeout, "--trial-timeout"),
        "disk_budget": disk_budget,
    }
    from tune_mixup.cluster.sweep import resume as run

    path = sweep_path(name, root)
    _follow(lambda listener: run(path, address=address, listener=listener, **cast("Promise", promise)), path, as_json)


def _follow(run: Callable[["Listener"], "Sweep"], path: Path, as_json: bool) -> None:
    """Run with a display, then show the result. Raises RuntimeError when every trial failed."""
    shown: AbstractContextManager[Listener] = display(as_json)
    try:
        with shown as listener:
            record = run(listener).record
    except KeyboardInterrupt:
        if not is_sweep(path):
            raise Interrupted("interrupted before the sweep began; nothing was written") from None
        raise Interrupted(f"interrupted; go on with `{command_for('resume', path)}`") from None
    _show_result(record, as_json)


def _show_result(record: "SweepRecord", as_json: bool) -> None:
    from tune_mixup.analysis.leaderboard import direction, leaderboard, render, rows, rule

    board = leaderboard(record)
    states = {str(state): int(count) for state, count in board["state"].value_counts().items()}
    best = board.head(SHOWN)
    if as_json:
        end = {
            "event": "end",
            "name": record.name,
            "path": str(record.path),
            "metric": record.folder.config()["metric"],
            "direction": direction(record),
            "states": states,
            "rule": rule(record),
            "leaderboard": rows(best),
        }
        print(json.dumps(end, allow_nan=False), flush=True)
    else:
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        print(f"\n{record.name}: {len(board)} trials ({counts}) in {record.path}\n")
        print(render(best, "table", note=rule(record)))
        print("\nNext:")
        for verb, rest in (
            ("leaderboard", " --top 20"),
            ("export", " --top 3 --to best.yaml"),
            ("evaluate", " --top 3 --seeds 3"),
        ):
            print(f"  {command_for(verb, record.path, rest)}")
    if len(board) and set(states) == {"FAIL"}:
        first = board.sort_values("trial").iloc[0]
        where = record.folder.trial(int(first["trial"])).path
        raise RuntimeError(f"all {len(board)} trials failed; trial {first['trial']}: {first['reason']}; see {where}")
