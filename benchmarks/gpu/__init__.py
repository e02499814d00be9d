"""The GPU set: what limits a trial, what each rung of the fast path buys, how trials share a GPU, and a whole sweep.

    python -m benchmarks run --gpu [--minutes 9] [--to FOLDER]

Cells run in the order of their worth until the minutes are up, and a cell's file is written anew after each result.
Without a GPU everything is run at tiny sizes: a rehearsal, whose numbers mean nothing. All but the whole sweep need
neither Ray nor Optuna.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Size:
    """How large the cells are."""

    device: torch.device
    num_images: int
    """Random images of the timing cells."""
    published_images: int
    """Images of an epoch of the published loop, which is slower."""
    image_side: int
    seconds: float
    """How long one measurement of a variant lasts."""
    repeats: int
    """Measurements of a variant; their median is reported."""
    nets: dict[str, dict[str, Any]]
    """Label -> settings of the networks on the ladder, batch size included."""
    shared_nets: tuple[str, ...]
    """Which of them share a GPU."""
    shared_by: tuple[int, ...]
    """Trials at a time."""
    loader_workers: int
    sweep_s: float
    """Wall seconds that each contender has for a sweep."""
    sweep: dict[str, Any]
    """Settings of its trials beside those of the race."""
    sweep_trials: int
    sweep_epochs: int


FULL = Size(
    device=torch.device("cuda"),
    num_images=50_000,
    published_images=12_800,
    image_side=32,
    seconds=1.0,
    repeats=5,
    nets={
        "resnet18, batch 128": {"model.name": "resnet18", "training.batch_size": 128},
        "resnet18, batch 512": {"model.name": "resnet18", "training.batch_size": 512},
        "tiny_resnet, batch 128": {"model.name": "tiny_resnet", "training.batch_size": 128},
        "wide_resnet 28-10, batch 128": {"model.name": "wide_resnet", "training.batch_size": 128},
    },
    shared_nets=("resnet18, batch 128", "tiny_resnet, batch 128"),
    shared_by=(1, 2, 4, 8),
    loader_workers=8,
    sweep_s=210.0,
    sweep={"data.train_limit": 20_000, "model.name": "resnet18", "training.batch_size": 130},
    sweep_trials=64,
    sweep_epochs=9,
)
TINY = Size(
    device=torch.device("cpu"),
    num_images=200,
    published_images=80,
    image_side=16,
    seconds=0.01,
    repeats=2,
    nets={"tiny_resnet, batch 20": {"model.name": "tiny_resnet", "model.width": 2, "training.batch_size": 20}},
    shared_nets=("tiny_resnet, batch 20",),
    shared_by=(1, 2),
    loader_workers=0,
    sweep_s=150.0,
    sweep={"data.train_limit": 400, "model.name": "tiny_resnet", "model.width": 2},
    sweep_trials=3,
    sweep_epochs=2,
)


def size() -> Size:
    """As large as this machine allows."""
    return FULL if torch.cuda.is_available() else TINY


def growing(
    size: Size,
    results: Iterable[dict[str, Any]],
    rows: Callable[[Sequence[dict[str, Any]]], list[dict[str, Any]]],
    **known: Any,
) -> Iterator[dict[str, Any]]:
    """What a cell has found, anew after each of its results; `rows` makes the table of those that there are."""
    measured: list[dict[str, Any]] = []
    for result in results:
        print(result, flush=True)
        measured.append(result)
        yield {"rows": rows(measured), "rehearsal": size.device.type == "cpu", **known, "measured": measured}
