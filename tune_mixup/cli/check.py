"""`check`: parse everything that a sweep would, show it, start nothing and write nothing."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tune_mixup.activity import doing
from tune_mixup.cli.early import check_sweep
from tune_mixup.cli.options import (
    Address,
    DataRoot,
    From,
    Json,
    Root,
    Settings,
    Space,
    parse_settings,
    sweep_path,
    taking,
)
from tune_mixup.cli.tables import screen_width
from tune_mixup.display import showing_activity
from tune_mixup.options import Options

if TYPE_CHECKING:
    from tune_mixup.schema import Schema
    from tune_mixup.search_space import Params
    from tune_mixup.sweep_config import SweepConfig


NOTE = 120
"""Columns of a line of prose."""


@taking(Options)
def check(
    space: Space,
    *,
    options: Options,
    ctx: typer.Context,
    from_: From = None,
    set_: Settings = None,
    data_root: DataRoot = None,
    samples: Annotated[int, typer.Option(metavar="N", min=0, help="How many configurations to draw.")] = 5,
    everything: Annotated[bool, typer.Option("--all", help="Show the settings with a default too.")] = False,
    root: Root = Path("sweeps"),
    address: Address = None,
    as_json: Json = False,
) -> None:
    """List the settings and ranges of a search space and draw samples; starts nothing.

    Takes what `sweep` takes and refuses what it would refuse, data that can't be read and clusters excepted.
    """
    settings = parse_settings(set_, data_root)
    check_sweep(space, settings, options)
    with showing_activity(), doing("checking the space"):
        from tune_mixup.cluster.dry_run import dry_run
        from tune_mixup.sweep_config import plan

        config = plan(space, settings, **options)
        warm_start = None if from_ is None else sweep_path(from_, root)
        learnt = dry_run(config, root=root, address=address, warm_start=warm_start)
        drawn = config.space.sample(samples, seed=config.seed)
        found = {
            **_describe(config, drawn),
            "folder": str(root / config.name),
            "warm_start": learnt,
            "defaults_from": [default.words() for default in (ctx.obj or {}).values()],
        }
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print("\n".join(_lines(found, everything, screen_width())))


def _describe(config: "SweepConfig", drawn: list["Params"]) -> dict[str, Any]:
    from tune_mixup.cli.fields import explain_key
    from tune_mixup.conditions import in_words as condition_in_words
    from tune_mixup.distributions import in_words, plain_range
    from tune_mixup.schema import flatten
    from tune_mixup.sweep_parts import Parts

    space = config.space
    conditions = space.model_dump(mode="json", include={"conditions"})["conditions"]
    free = {
        key: {
            "range": in_words(space.free[key]),
            "distribution": plain_range(space.free[key]),
            "exists_when": conditions.get(key, {}),
            "exists_where": condition_in_words(space.conditions.get(key)),
            "meaning": explain_key(key, space),
        }
        for key in space.order()
    }
    tried = list(config.examples())
    invalid = config.invalid_points()
    return {
        "name": config.name,
        "trials": config.trials,
        "max_epochs": max(trial.training.epochs for trial in tried),
        "metric": config.metric,
        "direction": config.direction,
        "sampler": config.sampler.name,
        "scheduler": config.stopping.name,
        "cpus_per_trial": config.cpus_per_trial,
        "gpus_per_trial": config.gpus_per_trial,
        "gpus_here": list(_of_gpus(config.gpus_per_trial)),
        "seed": config.seed,
        "sweep": {
            f"sweep.{section}.{key}": {"value": value, "meaning": _meaning(getattr(config, section), key)}
            for section in Parts.model_fields
            for key, value in getattr(config, section).model_dump(mode="json").items()
        },
        "fixed": flatten(space.fixed),
        "free": free,
        "defaults": {
            key: {"value": value, "meaning": explain_key(key, space)}
            for key, value in flatten(tried[0].plain()).items()
            if key not in space.free and key not in flatten(space.fixed)
        },
        "constraints": [str(constraint) for constraint in space.constraints],
        "baselines": list(space.baselines),
        "samples": drawn,
        "invalid": {**invalid._asdict(), "words": invalid.words()},
    }


def _of_gpus(share: float | str) -> Iterator[str]:
    """The GPUs of this host, on which a sweep without --address would run, and what to know of them."""
    from tune_mixup.measuring.gpus import gpus_here, remarks

    if share:
        found = gpus_here()
        for name, count in found.names().items():
            yield f"this host: {count} of {name}"
        yield from remarks("this host", found, counted=len(found.found), share=share)


def _meaning(part: "Schema", key: str) -> str:
    return " ".join((type(part).model_fields[key].description or "").split())


def _lines(found: Mapping[str, Any], everything: bool, screen: int | None) -> Iterator[str]:
    """What is printed, in lines that fit the screen."""
    from tune_mixup.analysis.fitting import filled, hung

    defaults, parts = (found["defaults"], found["sweep"]) if everything else ({}, {})
    width = max(len(key) for key in ("", *found["fixed"], *found["free"], *defaults, *parts))
    for line in _head(found):
        yield filled(line, screen)
    yield filled("\nFixed" + ("" if everything else " (--all shows the other settings, with their defaults)"), screen)
    for key, value in found["fixed"].items():
        yield from hung(f"  {key:{width}}  ", str(value), screen)
    for title, settings in (
        ("Defaults, as the first trial has them", defaults),
        ("Sampler, stopping rule and finalists", parts),
    ):
        if settings:
            yield f"\n{title}"
        for key, about in settings.items():
            yield from hung(f"  {key:{width}}  ", str(about["value"]), screen)
            yield from _note(about["meaning"], width, screen)
    yield "\nSearched"
    for key, about in found["free"].items():
        yield from hung(f"  {key:{width}}  ", about["range"], screen)
        for note in (about["meaning"], about["exists_where"] and f"Exists where {about['exists_where']}."):
            yield from _note(note, width, screen)
    if found["constraints"]:
        yield "\nConstraints, to which all points are drawn"
        yield from (filled(f"  {constraint}", screen) for constraint in found["constraints"])
    for title, points in (
        ("Baselines, which run first", found["baselines"]),
        (f"Samples, random with seed {found['seed']}", found["samples"]),
    ):
        if points:
            yield f"\n{title}"
            for index, point in enumerate(points, start=1):
                text = "  ".join(f"{key}={_short(value)}" for key, value in point.items())
                yield from hung(f"  {index:2}. ", text, screen)
    fits = f"Note: {found['invalid']['words']}." if found["invalid"]["words"] else "Everything fits together."
    yield "\n" + filled(f"{fits} Nothing was started and nothing written.", screen)


def _head(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['name']}: {found['trials']} trials of at most {found['max_epochs']} epochs"
    yield f"ranked by {found['metric']} ({found['direction']}), which is measured on validation"
    yield f"sampler {found['sampler']}, scheduler {found['scheduler']}"
    yield _resources(found["cpus_per_trial"], found["gpus_per_trial"])
    yield from found["gpus_here"]
    yield f"kept in {found['folder']}"
    if found["warm_start"]:
        yield f"begins with what is known {found['warm_start']}"
    if found["defaults_from"]:
        yield f"not from the command line: {', '.join(found['defaults_from'])}"


def _resources(cpus: float | str, gpus: float | str) -> str:
    """What a trial runs on; of `auto`, what will be measured when the sweep starts."""
    if cpus == "auto":
        return "CPUs per trial: the threads with which most trials end per hour, measured when the sweep starts"
    if gpus == "auto":
        gpus = "the share with which most trials end per hour, measured when the sweep starts"
    return f"CPUs per trial: {cpus:g}, GPUs: {gpus if isinstance(gpus, str) else format(gpus, 'g')}"


def _note(note: str, width: int, screen: int | None) -> Iterator[str]:
    """A note below the values, which no screen and no file makes too wide to be read."""
    from tune_mixup.analysis.fitting import hung

    if note:
        yield from hung(" " * (width + 4), note, min(screen or NOTE, NOTE))


def _short(value: Any) -> str:
    return format(value, ".4g") if isinstance(value, float) else str(value)
