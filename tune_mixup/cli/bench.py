"""`bench`: how fast this machine trains a configuration, how far that is from its limits, and what to change."""

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tune_mixup.activity import doing
from tune_mixup.cli.early import check_trial
from tune_mixup.cli.options import DataRoot, Json, Settings, parse_settings
from tune_mixup.cli.train import configuration
from tune_mixup.display import showing_activity
from tune_mixup.record.names import named

if TYPE_CHECKING:
    from rich.table import Table

    from tune_mixup.config import TrialConfig
    from tune_mixup.measuring.findings import Findings

SMALL = {
    "data.name": "synthetic",
    "data.num_train": 5000,
    "data.size": 32,
    "data.channels": 3,
    "data.augment.crop_padding": 4,
    "data.augment.flip": True,
    "model.name": "tiny_resnet",
    "mixing.name": "mixup",
}
"""What is measured where nothing is given: a small net on made-up images of CIFAR's size."""


def bench(
    space: Annotated[
        str | None, typer.Option(metavar="SPACE", help="A search space; takes its first baseline.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(parser=named, metavar="FILE", help="An exported file, or plain settings; - is stdin.")
    ] = None,
    rank: Annotated[int | None, typer.Option(metavar="N", help="Which of an exported file's. Default: 1.")] = None,
    set_: Settings = None,
    data_root: DataRoot = None,
    seconds: Annotated[float, typer.Option(metavar="S", min=10, help="How long it may take.")] = 120,
    as_json: Json = False,
) -> None:
    """Measure how fast a configuration trains here, how far from the machine's limits, and what to change.

    Without --space and --config: a small net on made-up images. Nothing is written.
    """
    began = time.monotonic()
    settings = parse_settings(set_, data_root)

    check_trial(space, settings)
    from tune_mixup.config import TrialConfig

    if space is None and config is None and rank is None:
        trial = TrialConfig.from_dotted(SMALL, settings)
    else:
        trial = configuration(space, config, rank, settings)

    with showing_activity(), doing(f"measuring, for {seconds:.0f} s"):
        import torch

        from tune_mixup.measuring.child import Child
        from tune_mixup.measuring.turns import measure
        from tune_mixup.measuring.variants import variants

        device = "cuda" if torch.cuda.is_available() else "cpu"
        tried, left_out = variants(trial, device=device, seconds=seconds)
        found = measure(tried, seconds=seconds - (time.monotonic() - began), start=Child, device=device)
    said = report(found, trial, left_out=left_out)
    if as_json:
        print(json.dumps(said, indent=2, allow_nan=False))
        return

    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, soft_wrap=True)
    console.print(_title(said), markup=False)
    for table in (_limits(said), _shares(said), _variants(said)):
        console.print(table)
    for line in _lines(said):
        console.print(line, markup=False)


def report(found: "Findings", trial: "TrialConfig", *, left_out: Sequence[str] = ()) -> dict[str, Any]:
    """All that is said, as plain values."""
    from tune_mixup.measuring.advice import MARGIN, changes, gain, noise, shares
    from tune_mixup.measuring.findings import MIN_ROUNDS
    from tune_mixup.measuring.variants import cores

    parts, given = found.parts, found.tried[0]
    return {
        "config": trial.plain(),
        "device": found.device,
        "cores": cores(),
        "threads": given.variant.threads,
        "seconds": round(found.took_s, 1),
        "rounds": len(given.rates),
        "min_rounds": MIN_ROUNDS,
        "noise": round(noise(given.rates), 4),
        "margin": MARGIN,
        "ceilings": found.ceilings._asdict(),
        "images_per_s": given.images_per_s,
        "loop_images_per_s": trial.training.batch_size / parts.loop_s,
        "network_images_per_s": trial.training.batch_size / parts.network_s,
        "parts": parts._asdict(),
        "shares": {name: round(value, 5) for name, value in shares(found, trial)._asdict().items()},
        "variants": [
            {
                "name": one.variant.name,
                "images_per_s": one.images_per_s if one.rates else None,
                "ratio": round(gain(one), 4) if one.ratios else None,
                "ratios": [round(ratio, 4) for ratio in one.ratios],
                "fault": one.fault or None,
            }
            for one in found.tried[1:]
        ],
        "changes": [
            {"what": change.what, "gain": round(change.gain, 3), "note": change.why} for change in changes(found, trial)
        ],
        "not_tried": list(left_out),
    }


def _title(said: Mapping[str, Any]) -> str:
    config = said["config"]
    training = config["training"]
    where = said["device"] if said["device"] != "cpu" else f"CPU, {said['threads']} of {said['cores']} cores"
    return (
        f"{config['mixing']['name']}, {config['model']['name']}, {config['data']['name']}, batches of "
        f"{training['batch_size']}, {training['precision']}, compile {training['compile']}, on {where}"
    )


def _limits(said: Mapping[str, Any]) -> "Table":
    ceilings, shares = said["ceilings"], said["shares"]
    table = _table("machine and trial", "", "")
    table.add_row("large product or convolution", f"{_short(ceilings['flops'])}FLOP/s", "the limit of arithmetic")
    table.add_row("large copy", f"{_short(ceilings['copy_bytes'])}B/s", "the limit of memory, read and written")
    table.add_row("network alone", f"{said['network_images_per_s']:,.0f} images/s", "")
    overhead = shares["loop_overhead"]
    words = f"{overhead:.1%} slower than" if overhead >= 0 else f"{1 / (1 + overhead):.2f} times as fast as"
    note = f"{words} that; {shares['arithmetic']:.1%} of the limit of arithmetic"
    table.add_row("training", f"{said['loop_images_per_s']:,.0f} images/s", note)
    return table


def _shares(said: Mapping[str, Any]) -> "Table":
    shares, parts = said["shares"], said["parts"]
    table = _table("where the time goes", "", "")
    table.add_row(
        "gather, crop, flip, normalise", f"{shares['input']:.1%} of a step", f"{1e3 * parts['input_s']:.2f} ms"
    )
    table.add_row("mixing", f"{shares['mixing']:.1%} of a step", f"{1e3 * parts['mixing_s']:.2f} ms")
    table.add_row("validation", f"{shares['evaluation']:.1%} of an epoch", f"{parts['evaluation_s']:.2f} s")
    table.add_row("the mixer between epochs", f"{shares['end_epoch']:.1%} of an epoch", f"{parts['end_epoch_s']:.3f} s")
    table.add_row("checkpoints", f"{shares['checkpoints']:.1%} of a trial", f"{parts['save_s']:.3f} s each")
    return table


def _variants(said: Mapping[str, Any]) -> "Table":
    table = _table("other ways to run it", "times as fast", "rounds")
    for one in said["variants"]:
        if one["ratio"] is None:
            table.add_row(one["name"], "", one["fault"] or "no time left")
        else:
            low, high = min(one["ratios"]), max(one["ratios"])
            table.add_row(one["name"], f"{one['ratio']:.2f}", f"{low:.2f} to {high:.2f} in {len(one['ratios'])}")
    return table


def _lines(said: Mapping[str, Any]) -> Iterator[str]:
    noise, margin = said["noise"], said["margin"]
    yield (
        f"{said['seconds']:.0f} s, {said['rounds']} rounds; the middle half of them lies within {noise:.1%}. "
        f"Worth a change: more than {margin:.0%}, in three of four rounds."
    )
    if said["not_tried"]:
        yield f"Not tried: {'; '.join(said['not_tried'])}."
    if noise > margin:
        yield "Other work on this machine disturbs the measurement; repeat it when it is idle."
    few = said["rounds"] < said["min_rounds"]
    if few:
        more = 10 * math.ceil(said["seconds"] * said["min_rounds"] / said["rounds"] / 10)
        yield f"Too few rounds to say which of these to take: {said['min_rounds']} at least; give --seconds {more}."
    if said["changes"] or not few:
        yield "What to change" if said["changes"] else "Nothing to change."
    for change in said["changes"]:
        note = f" ({change['note']})" if change["note"] else ""
        yield f"  {change['what']}: {change['gain']:.2f} times as fast here{note}"


def _table(*heads: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head)
    return table


def _short(value: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g} "
