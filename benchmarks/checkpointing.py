"""Checkpoints as a share of training time at the default policy, the first and the last one included.

A `tiny_resnet` really trains, with its folder on the disk of temporary files. For a state of the size of ResNet-18
(weights and momentum, 90 MB) what is written is real and the time between is not: a CPU would train such an epoch for
ten minutes, so the trainer's clock is put forward by what a fast GPU takes for one, while few images are trained on.
"""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import torch

from benchmarks.rows import row
from tune_mixup.config import TrialConfig
from tune_mixup.training import trainer
from tune_mixup.training.trainer import Trainer

ROUNDS = 5
TINY = {
    "data.name": "synthetic",
    "data.num_train": 2200,
    "data.size": 28,
    "mixing.name": "mixup",
    "model.name": "tiny_resnet",
    "training.epochs": 8,
}
RESNET = {
    "data.name": "synthetic",
    "data.num_train": 20,
    "data.size": 8,
    "mixing.name": "mixup",
    "model.name": "resnet18",
    "training.batch_size": 10,
    "training.epochs": 50,
}
RESNET_EPOCH_S = 2.0
"""50 epochs of it are 100 s, a short trial on a GPU."""


class Share(NamedTuple):
    """What came of one trial."""

    saves: int
    saving_s: float
    total_s: float
    megabytes: float


class Metered(Trainer):
    """Counts its saves and their seconds."""

    saves = 0
    saving_s = 0.0

    def save(self) -> None:
        began = time.perf_counter()
        super().save()
        self.saving_s += time.perf_counter() - began
        self.saves += 1


class Clock:
    """The trainer's clock, which can be put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    def perf_counter(self) -> float:
        return time.perf_counter() + self.ahead_s


def trial(settings: Mapping[str, Any], *, epoch_s: float = 0.0) -> Share:
    """Train to the end; each epoch lasts `epoch_s` longer by the clock."""
    clock = Clock()
    shown = SimpleNamespace(monotonic=clock.monotonic, perf_counter=clock.perf_counter)
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(trainer, "time", shown):
        one = Metered(TrialConfig.from_dotted(settings), folder=Path(folder) / "trial", device="cpu")
        largest, began = 0, clock.monotonic()
        while not one.done:
            clock.ahead_s += epoch_s
            one.train_epoch()
            assert one.folder is not None
            if one.folder.checkpoint.exists():
                largest = max(largest, one.folder.checkpoint.stat().st_size)
        return Share(one.saves, one.saving_s, clock.monotonic() - began, largest / 1e6)


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    torch.set_num_threads(1)
    found: dict[str, list[Share]] = {"tiny_resnet": [], "resnet18": []}
    for _ in range(rounds):
        found["tiny_resnet"].append(trial(TINY))
        found["resnet18"].append(trial(RESNET, epoch_s=RESNET_EPOCH_S))
    rows = []
    for (name, shares), settings in zip(found.items(), (TINY, RESNET), strict=True):
        percent = [100 * share.saving_s / share.total_s for share in shares]
        middle = sorted(shares, key=lambda share: share.saving_s / share.total_s)[len(shares) // 2]
        made_up = f", {RESNET_EPOCH_S:g} s each by a clock that is put forward" if name == "resnet18" else ""
        rows.append(
            row(
                f"checkpoints' share of training time, `{name}`",
                ours=middle.saving_s, other=middle.total_s, unit="s", value=median(percent), value_unit="%", at_most=2,
                note=f"{settings['training.epochs']} epochs{made_up}; {middle.saves} saves of at most "
                f"{middle.megabytes:.1f} MB; {min(percent):.2f} to {max(percent):.2f} % in {rounds} trials.",
            )
        )  # fmt: skip
    return {"rows": rows, "shares": {name: [share._asdict() for share in shares] for name, shares in found.items()}}
