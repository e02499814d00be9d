"""What trials leave in a process that goes on: steps, and memory of the device."""

import gc
from collections.abc import Iterator

import torch

from benchmarks.gpu import Result, Size
from benchmarks.gpu.equality import GRAPH, trial
from benchmarks.gpu.timing import let_go
from tune_mixup.training.step import Step

STRUCTURES = 10
WORKSPACE_MIB = 48
"""What may stay: one workspace of cuBLAS, 32 MiB on a Hopper, and small change."""


def results(size: Size) -> Iterator[Result]:
    """Train trials of `STRUCTURES` structures in turn; count what is there before the collector has run and after."""
    _one_epoch(size, 0)
    let_go()
    before, alive = allocated(size), steps()
    gc.disable()
    try:
        for number in range(STRUCTURES):
            _one_epoch(size, number)
        live = steps() - alive
    finally:
        gc.enable()
    yield {
        "what": f"steps alive after {STRUCTURES} structures in turn, before the collector has run",
        "value": live,
        "at_most": 1,
        "unit": "",
        "note": "One is the process's warm step.",
    }
    let_go()
    yield {"what": "steps alive after forget and a collection", "value": steps() - alive, "at_most": 0, "unit": ""}
    yield {
        "what": f"memory that {STRUCTURES} structures leave after forget",
        "value": (allocated(size) - before) / 2**20,
        "at_most": WORKSPACE_MIB,
        "unit": "MiB",
    }


def steps() -> int:
    """Training steps that this process still holds."""
    return sum(type(one) is Step for one in gc.get_objects())  # isinstance asks proxies for their class


def allocated(size: Size) -> int:
    """Bytes that tensors hold of a GPU."""
    return torch.cuda.memory_allocated() if size.device.type == "cuda" else 0


def _one_epoch(size: Size, number: int) -> None:
    """The number changes a setting that no captured step can be kept for."""
    trainer = trial(size, {"loss.label_smoothing": number / 100}, GRAPH)
    trainer.train_epoch()
    trainer.close()
