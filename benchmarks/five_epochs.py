"""Every mixing method trains for real: five epochs of tiny_resnet on 5,000 images of CIFAR-10, one seed, one thread.

What each epoch comes to is kept, and a method that the journal holds is not trained again. Five epochs are enough to
see that all learn, and far too few to say which method is best: those that mix more learn later.
"""

import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.real_data import data_root
from benchmarks.rows import row
from benchmarks.table_data import shrink

SIDE, EACH = 32, {"train": 500, "test": 10}
"""Pixels to a side, and the images of each class; none of the test is looked at."""
SETTINGS: dict[str, Any] = {
    "data.name": "imagefolder",
    "data.batches": "stratified",
    "data.validation_fraction": 0.2,
    "data.augment.crop_padding": 4,
    "data.augment.flip": True,
    "model.name": "tiny_resnet",
    "optimizer.lr": 0.1,
    "optimizer.weight_decay": 1e-4,
    "training.batch_size": 100,
    "training.epochs": 5,
    "seed": 0,
}
KEPT = ("train_loss", "val_accuracy", "val_nll", "epoch_s")
Curve = list[dict[str, float]]


def measure(
    *,
    limit_s: float | None = None,
    journal: Path | None = None,
    methods: Sequence[str] = (),
    side: int = SIDE,
    each: int = EACH["train"],
    settings: tuple[tuple[str, Any], ...] = (),
) -> Iterator[dict[str, Any]]:
    """All curves so far, anew after each method; no `methods` are all. No method begins after `limit_s`.

    `side`, `each` and `settings`, which win over `SETTINGS`, are for a look at it in less time.
    """
    from tune_mixup.mixing import MIXERS

    began = time.monotonic()
    fixed = {**SETTINGS, **dict(settings)}
    about = {"settings": fixed, "side": side, "each": each}
    curves = known(journal, about)
    names = list(methods or MIXERS)
    with tempfile.TemporaryDirectory() as folder:
        if not all(name in curves for name in names):
            shrink(data_root() / "cifar10-imagefolder.tar.xz", Path(folder), side=side, each={**EACH, "train": each})
        for name in names:
            if name not in curves:
                if limit_s is not None and time.monotonic() > began + limit_s:
                    yield found(about, {method: curves[method] for method in names if method in curves})
                    return
                curves[name] = train({**fixed, "data.path": folder, "mixing.name": name})
                keep(journal, about, name, curves[name])
                print(f"{name}: {curves[name][-1]}", flush=True)
            yield found(about, {method: curves[method] for method in names if method in curves})


def train(settings: dict[str, Any]) -> Curve:
    """What a trial comes to in each epoch."""
    import torch

    from tune_mixup import Trainer, TrialConfig

    torch.set_num_threads(1)
    reports = Trainer(TrialConfig.from_dotted(settings), device="cpu").run()
    return [{name: float(report[name]) for name in ("epoch", *KEPT)} for report in reports]


def known(journal: Path | None, about: dict[str, Any]) -> dict[str, Curve]:
    """The curves that the journal holds of trials with the same settings."""
    if journal is None or not journal.exists():
        return {}
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    return {line["method"]: line["curve"] for line in lines if line["about"] == about}


def keep(journal: Path | None, about: dict[str, Any], name: str, curve: Curve) -> None:
    """Append a curve."""
    if journal is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        with journal.open("a") as file:
            file.write(json.dumps({"about": about, "method": name, "curve": curve}) + "\n")


def found(about: dict[str, Any], curves: dict[str, Curve]) -> dict[str, Any]:
    """A row for each method, and all that was measured."""
    plain = curves.get("erm", [{}])[-1].get("val_accuracy", math.nan)
    epochs, images = about["settings"]["training.epochs"], 10 * about["each"]
    rows = [
        row(
            f"validation accuracy of {name} after {epochs} epochs of tiny_resnet on {images:,} CIFAR-10 images, by erm",
            ours=100 * curve[-1]["val_accuracy"],
            other=100 * plain,
            unit="%",
            value=100 * (curve[-1]["val_accuracy"] - plain),
            value_unit="points",
            note=f"One seed, which says that it learns, not how good it is; epoch by epoch {_accuracies(curve)} %.",
        )
        for name, curve in curves.items()
        if name != "erm"
    ]
    return {"rows": rows, "curves": curves, **about}


def _accuracies(curve: Curve) -> str:
    return ", ".join(f"{100 * one['val_accuracy']:.1f}" for one in curve)
