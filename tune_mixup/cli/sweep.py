"""`sweep` and `resume`: run trials on Ray, show how they go, and say what to do next."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tune_mixup.activity import doing
from tune_mixup.cli.early import check_places, check_sweep, sweep_name
from tune_mixup.cli.errors import Interrupted
from tune_mixup.cli.options import (
    Address,
    DataRoot,
    From,
    Json,
    Name,
    Root,
    Settings,
    Space,
    parse_settings,
    sweep_path,
    taking,
)
from tune_mixup.cli.tables import screen_width
from tune_mixup.display import display
from tune_mixup.options import Options, Promise
from tune_mixup.record.names import command_for, is_sweep

if TYPE_CHECKING:
    from tune_mixup.record.sweep_record import SweepRecord
    from tune_mixup.sweep_config import SweepConfig

SHOWN = 5
"""Rows of the leaderboard at the end of a sweep."""


@taking(Options)
def sweep(
    space: Space,
    *,
    options: Options,
    from_: From = None,
    set_: Settings = None,
    data_root: DataRoot = None,
    root: Root = Path("sweeps"),
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Search a space: many trials on Ray, poor ones stopped early, the next ones suggested by Optuna."""
    settings = parse_settings(set_, data_root)
    check_sweep(space, settings, options)
    check_places(sweep_name(space, settings, options), root, from_)
    warm_start = None if from_ is None else sweep_path(from_, root)
    try:
        with display(as_json) as listener:
            cluster = driver()
            config = _planned(space, settings, options)
            with resumable(root / config.name):
                found = cluster.start(config, root=root, address=address, warm_start=warm_start, listener=listener)
    except KeyboardInterrupt:
        raise Interrupted("interrupted before the sweep began; nothing was written") from None
    show_result(found.record, as_json)


@taking(Promise)
def resume(
    name: Name,
    *,
    options: Promise,
    root: Root = Path("sweeps"),
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Go on with a sweep that was interrupted, or add trials to it; no finished trial runs again."""
    path = sweep_path(name, root)
    with resumable(path), display(as_json) as listener:
        found = driver().resume(path, address=address, listener=listener, **options)
    show_result(found.record, as_json)


@doing("loading torch and Ray")
def driver() -> ModuleType:
    """What runs sweeps; it takes seconds to load, so that the display is there before."""
    from tune_mixup.cluster import sweep

    return sweep


@doing("checking the search space")
def _planned(space: str, settings: dict[str, Any], options: Options) -> "SweepConfig":
    """What the sweep will be; its name is known for certain only from here on."""
    from tune_mixup.sweep_config import plan

    return plan(space, settings, **options)


@contextlib.contextmanager
def resumable(path: Path) -> Iterator[None]:
    """Say of an interrupt how to go on with the sweep in `path`, if it has begun."""
    try:
        yield
    except KeyboardInterrupt:
        if not is_sweep(path):
            raise
        raise Interrupted(f"interrupted; go on with `{command_for('resume', path)}`") from None


def show_result(record: "SweepRecord", as_json: bool) -> None:
    """Print the best trials, or the arms of an ablation, and what to do next.

    Raises RuntimeError when every trial failed, and where an ablation's gate is shut.
    """
    from tune_mixup.analysis.ablation import compare
    from tune_mixup.analysis.board import board as table
    from tune_mixup.analysis.leaderboard import direction, leaderboard, rule
    from tune_mixup.analysis.rendering import rows

    board = leaderboard(record, by="trial")
    states = {str(state): int(count) for state, count in board["state"].value_counts().items()}
    best = leaderboard(record, SHOWN)
    ablated = record.folder.config().get("ablation") is not None and set(states) != {"FAIL"}
    compared = compare(record) if ablated else None
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
            **({} if compared is None else {"ablation": compared.plain()}),
        }
        print(json.dumps(end, allow_nan=False), flush=True)
    else:
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        print(f"\n{record.name}: {len(board)} trials ({counts}) in {record.path}\n")
        if compared is None:
            print(table(record, top=SHOWN, width=screen_width()))
        else:
            print("\n".join(compared.lines(screen_width())))
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
