"""The half-hour on a GPU: three cells, `gpu_lean`, `gpu_sharing` and `gpu_sweep`; `docs/gpu.md` says how to run them.

A fourth, `gpu_methods`, runs when it is named: what each mixing method costs.

A cell is made of parts (`parts.py`), each in a process of its own with a time limit (`process.py`), so that no fault
reaches the next part. The module of a part has two functions: `results(size, **arguments)` yields what it measures, one
dict at a time, and `rows(own, found)` makes lines of the table of all that the parts of this module have yielded.
Without a GPU everything is run at tiny sizes: a rehearsal, whose numbers mean nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

Result = dict[str, Any]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Size:
    """How large the parts are."""

    device: torch.device
    captures: bool
    """Whether steps are captured as asked; a rehearsal takes eager steps in their place, and compiles none."""
    image_side: int
    num_images: int
    """Random images of the timing parts."""
    seconds: float
    """How long one measurement of a variant lasts."""
    repeats: int
    """Measurements of a variant; their median is reported."""
    nets: Mapping[str, Settings]
    """Label -> settings of the networks that are timed, batch size included."""
    checked: Settings
    """Settings of the trials that are compared."""
    replays: int
    """Steps of the longest of them."""
    published_images: int
    """Images of an epoch of the published loop, which is slower."""
    loader_workers: int
    shared_by: tuple[int, ...]
    """Trials at a time."""
    sweep_s: float
    """Wall seconds that each contender has for a sweep."""
    sweep: Settings
    """Settings of its trials."""
    sweep_trials: int
    sweep_epochs: int
    too_large: Settings
    """What makes a trial run out of memory; a rehearsal has none, lest the host run out."""


FULL = Size(
    device=torch.device("cuda"),
    captures=True,
    image_side=32,
    num_images=50_000,
    seconds=0.5,
    repeats=3,
    nets={
        "resnet18, batch 128": {"model.name": "resnet18", "training.batch_size": 128},
        "resnet18, batch 512": {"model.name": "resnet18", "training.batch_size": 512},
        "tiny_resnet, batch 128": {"model.name": "tiny_resnet", "training.batch_size": 128},
        "wide_resnet 28-10, batch 128": {"model.name": "wide_resnet", "training.batch_size": 128},
    },
    checked={"model.name": "resnet18", "training.batch_size": 128, "data.num_train": 1600},
    replays=200,
    published_images=12_800,
    loader_workers=8,
    shared_by=(1, 2, 4, 8),
    sweep_s=115.0,  # three contenders, their starts and the faults fit eight minutes
    sweep={"data.num_train": 20_000, "model.name": "resnet18", "training.batch_size": 128},
    sweep_trials=64,
    sweep_epochs=9,
    too_large={"model.name": "wide_resnet", "training.batch_size": 16_000},
)
# ResizeMix needs 20 pixels.
TINY = Size(
    device=torch.device("cpu"),
    captures=False,
    image_side=20,
    num_images=200,
    seconds=0.005,
    repeats=2,
    nets=dict.fromkeys(FULL.nets, {"model.name": "tiny_resnet", "model.width": 8, "training.batch_size": 20}),
    checked={"model.name": "tiny_resnet", "model.width": 8, "training.batch_size": 20, "data.num_train": 80},
    replays=6,
    published_images=80,
    loader_workers=0,
    shared_by=(1, 2),
    sweep_s=60.0,
    sweep={"data.num_train": 200, "model.name": "tiny_resnet", "model.width": 8, "training.batch_size": 20},
    sweep_trials=2,
    sweep_epochs=2,
    too_large={},
)


def size() -> Size:
    """As large as this machine allows."""
    return FULL if torch.cuda.is_available() else TINY
