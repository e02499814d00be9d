"""`ablate`: the arms of a plan side by side on the same seeds, as a sweep, and what is known of their differences."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tune_mixup.activity import doing
from tune_mixup.cli.early import check_places
from tune_mixup.cli.errors import Interrupted
from tune_mixup.cli.options import Address, DataRoot, Json, Root, Settings, parse_settings
from tune_mixup.cli.sweep import driver, resumable, show_result
from tune_mixup.cli.tables import screen_width
from tune_mixup.display import display, showing_activity

if TYPE_CHECKING:
    from tune_mixup.sweep_config import SweepConfig


def ablate(
    ablation: Annotated[
        str,
        typer.Argument(metavar="PLAN", help="An ablation that ships (generalized_mixup) or the path of a .yaml file."),
    ],
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it takes and what it can show; start nothing.")
    ] = False,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of its folder. Default: the plan's.")] = None,
    seeds: Annotated[int | None, typer.Option(metavar="N", help="Seeds of each arm. Default: the plan's.")] = None,
    set_: Settings = None,
    data_root: DataRoot = None,
    root: Root = Path("sweeps"),
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Compare arms on the same seeds: which ingredient buys what, and how sure that is; decided arms end early."""
    settings = parse_settings(set_, data_root)
    check_places(name, root, None)
    if plan:
        with showing_activity():
            config = _planned(ablation, name, seeds, settings)
        from tune_mixup.analysis.foreseen import Foreseen

        found = Foreseen.of(config)
        print(json.dumps(found.plain(), indent=2) if as_json else "\n".join(found.lines(screen_width())))
        return
    try:
        with display(as_json) as listener:
            cluster = driver()
            config = _planned(ablation, name, seeds, settings)
            with resumable(root / config.name):
                done = cluster.start(config, root=root, address=address, listener=listener)
    except KeyboardInterrupt:
        raise Interrupted("interrupted before the ablation began; nothing was written") from None
    show_result(done.record, as_json)


@doing("checking the plan")
def _planned(ablation: str, name: str | None, seeds: int | None, settings: Mapping[str, Any]) -> "SweepConfig":
    """The sweep that runs the plan. Raises ValueError in one line for whatever is wrong with it."""
    from tune_mixup.cli.train import configuration
    from tune_mixup.search.ablation_plan import load_plan

    plan, path = load_plan(ablation)
    if seeds is not None:
        plan = plan.replace(seeds=seeds)
    of_trials = {key: value for key, value in settings.items() if not key.startswith("sweep.")}
    if "seed" in {**plan.of_trials(), **of_trials}:
        raise ValueError(
            "seed: each arm is trained on all seeds of the plan; give --seeds N, or first_seed in the plan"
        )
    base = plan.base
    file = None if base.config is None else path.parent / Path(base.config).expanduser()
    try:
        start = configuration(base.space, file, base.rank, {**plan.of_trials(), **of_trials})
    except FileNotFoundError as error:
        raise ValueError(
            f"{path}: base.config: there is no file {error.filename}; give the path from the plan on"
        ) from None
    of_sweep = {key: value for key, value in settings.items() if key.startswith("sweep.")}
    return plan.planned(start, name or path.stem, of_sweep)
