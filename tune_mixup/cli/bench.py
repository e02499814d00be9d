"""`bench`: how fast this machine trains a configuration, how far that is from its limits, and what to change."""

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tune_mixup.activity import Activity, doing, pass_on
from tune_mixup.analysis.fitting import Column, draw, filled
from tune_mixup.cli.early import check_trial
from tune_mixup.cli.options import DataRoot, FromFile, FromSpace, Json, Rank, Settings, parse_settings
from tune_mixup.cli.tables import screen_width
from tune_mixup.cli.train import configuration
from tune_mixup.display import showing_activity
from tune_mixup.faults import shown
from tune_mixup.options import parse_duration

if TYPE_CHECKING:
    from tune_mixup.config import TrialConfig
    from tune_mixup.measuring.findings import Findings
    from tune_mixup.measuring.turns import OutOfTime

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

LEAST_S = 10
"""Less is not enough to start what measures."""
_UNMEASURED = ("device", "cores", "threads", "seconds", "min_rounds", "noise", "margin", "ceilings", "images_per_s")
_NOTHING: Mapping[str, Any] = {
    "config": None,
    **dict.fromkeys(_UNMEASURED),
    **dict.fromkeys(("loop_images_per_s", "network_images_per_s", "parts", "shares")),
    "rounds": 0,
    "variants": (),
    "changes": (),
    "not_tried": (),
    "why": None,
}
"""What `--json` has: null where there was no time to measure it, and then `why` says so."""


def bench(
    space: FromSpace = None,
    config: FromFile = None,
    rank: Rank = None,
    set_: Settings = None,
    data_root: DataRoot = None,
    seconds: Annotated[
        str,
        typer.Option(metavar="S", help="How long it may take, such as 90 or 3m; with less, less is tried."),
    ] = "120",
    as_json: Json = False,
) -> None:
    """Measure how fast a configuration trains here, how far from the machine's limits, and what to change.

    Without --space and --config: a small net on made-up images. Nothing is written.
    """
    began = time.monotonic()
    limit_s = _limit_s(seconds)
    settings = parse_settings(set_, data_root)
    if rank is not None and space is None and config is None:
        raise ValueError(f"--rank: got {rank} with neither of --space and --config; give the file with --config")

    if space is None and config is None:
        check_trial(None, settings)
        from tune_mixup.config import TrialConfig

        trial = TrialConfig.from_dotted(SMALL, settings)
    else:
        trial = configuration(space, config, rank, settings)
    from tune_mixup.measuring.turns import OutOfTime

    print(f"tune-mixup: bench takes at most {limit_s:.0f} s (--seconds)", file=sys.stderr, flush=True)
    try:
        with showing_activity(), doing(f"measuring, for {limit_s:.0f} s"):
            found, left_out = _measured(trial, began, limit_s)
    except OutOfTime as short:
        if short.images_per_s is None:
            raise
        _say_little(trial, short, as_json)
        return
    said = report(found, trial, left_out=left_out)
    if as_json:
        print(json.dumps(said, indent=2, allow_nan=False))
        return

    width = screen_width()
    for line in (_title(said), *_limits(said, width), *_shares(said, width), *_variants(said, width), *_lines(said)):
        print(filled(line, width))


def _limit_s(text: str) -> float:
    """Seconds, at least 10, of a number or a duration. Raises ValueError for anything else."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = parse_duration(text, "--seconds")
    if not LEAST_S <= seconds < math.inf:
        raise ValueError(f"--seconds: got {shown(text)}, must be at least {LEAST_S}, or a duration such as 90s or 3m")
    return seconds


def _measured(trial: "TrialConfig", began: float, seconds: float) -> tuple["Findings", list[str]]:
    """What was found, and what was not tried. Raises as `measure` does."""
    import torch

    from tune_mixup.measuring.child import Child
    from tune_mixup.measuring.turns import measure
    from tune_mixup.measuring.variants import variants

    def tell(words: str) -> None:
        pass_on(Activity(what=f"measuring, for {seconds:.0f} s", detail=words))

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tried, left_out = variants(trial, device=device, seconds=seconds)
    left_s = seconds - (time.monotonic() - began)
    return measure(tried, seconds=left_s, start=Child, device=device, tell=tell), left_out


def _say_little(trial: "TrialConfig", short: "OutOfTime", as_json: bool) -> None:
    """The speed of a first step is all that there was time for."""
    if as_json:
        found = {**_NOTHING, "config": trial.plain(), "images_per_s": short.images_per_s, "why": str(short)}
        print(json.dumps(found, indent=2, allow_nan=False))
        return
    width = screen_width()
    print(filled(f"training: about {short.images_per_s:,.3g} images/s, from a single step and its beginning.", width))
    print(filled(f"There was time for no more: {short}.", width))


def report(found: "Findings", trial: "TrialConfig", *, left_out: Sequence[str] = ()) -> dict[str, Any]:
    """All that is said, as plain values."""
    from tune_mixup.measuring.advice import MARGIN, changes, gain, noise, shares
    from tune_mixup.measuring.findings import MIN_ROUNDS
    from tune_mixup.measuring.variants import cores

    parts, given = found.parts, found.tried[0]
    return {
        **_NOTHING,
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


def _limits(said: Mapping[str, Any], width: int | None) -> list[str]:
    ceilings, shares = said["ceilings"], said["shares"]
    rows = [("machine and trial", "", "")]
    rows.append(("large product or convolution", f"{_short(ceilings['flops'])}FLOP/s", "the limit of arithmetic"))
    rows.append(("large copy", f"{_short(ceilings['copy_bytes'])}B/s", "the limit of memory, read and written"))
    rows.append(("network alone", f"{said['network_images_per_s']:,.0f} images/s", ""))
    overhead = shares["loop_overhead"]
    words = f"{overhead:.1%} slower than" if overhead >= 0 else f"{1 / (1 + overhead):.2f} times as fast as"
    note = f"{words} that; {shares['arithmetic']:.1%} of the limit of arithmetic"
    rows.append(("training", f"{said['loop_images_per_s']:,.0f} images/s", note))
    return _table(rows, width)


def _shares(said: Mapping[str, Any], width: int | None) -> list[str]:
    shares, parts = said["shares"], said["parts"]
    rows = [("where the time goes", "", "")]
    rows.append(
        ("gather, crop, flip, normalise", f"{shares['input']:.1%} of a step", f"{1e3 * parts['input_s']:.2f} ms")
    )
    rows.append(("mixing", f"{shares['mixing']:.1%} of a step", f"{1e3 * parts['mixing_s']:.2f} ms"))
    rows.append(("validation", f"{shares['evaluation']:.1%} of an epoch", f"{parts['evaluation_s']:.2f} s"))
    rows.append(("the mixer between epochs", f"{shares['end_epoch']:.1%} of an epoch", f"{parts['end_epoch_s']:.3f} s"))
    rows.append(("checkpoints", f"{shares['checkpoints']:.1%} of a trial", f"{parts['save_s']:.3f} s each"))
    return _table(rows, width)


def _variants(said: Mapping[str, Any], width: int | None) -> list[str]:
    rows = [("other ways to run it", "times as fast", "rounds")]
    for one in said["variants"]:
        if one["ratio"] is None:
            rows.append((one["name"], "", one["fault"] or "no time left"))
        else:
            low, high = min(one["ratios"]), max(one["ratios"])
            rows.append((one["name"], f"{one['ratio']:.2f}", f"{low:.2f} to {high:.2f} in {len(one['ratios'])}"))
    return _table(rows, width)


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


def _table(rows: Sequence[tuple[str, str, str]], width: int | None) -> list[str]:
    """Rows, of which the first has the headers, with the notes in the last column as far as there is room."""
    head, *cells = rows
    columns = [Column(name, tuple(texts)) for name, texts in zip(head, zip(*cells, strict=True), strict=True)]
    return [line for line in draw(columns, width).lines if line] if cells else []


def _short(value: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g} "
