"""Trials of random images, and images per second of their steps, waiting for the device only at the end."""

import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any, get_args

import torch

from benchmarks.gpu import Settings, Size
from tune_mixup.config import Training, TrialConfig
from tune_mixup.training import warm
from tune_mixup.training.fitting import draw_batches
from tune_mixup.training.trainer import Trainer

MODES: tuple[str, ...] = get_args(Training.model_fields["compile"].annotation)
"""How a step can be run."""
FAST = {"training.precision": "bf16", "training.channels_last": True, "training.deterministic": False}


def on_random_images(size: Size) -> dict[str, Any]:
    """Settings of a trial of plain mixup on images that nothing must be fetched for, by dotted key."""
    return {
        "data.name": "synthetic",
        "data.num_train": size.num_images,
        "data.num_test": 100,
        "data.size": size.image_side,
        "data.channels": 3,
        "data.num_classes": 4,
        "data.batches": "stratified",
        "data.augment.crop_padding": 4,
        "data.augment.flip": True,
        "mixing.name": "mixup",
        "schedule.name": "constant",
    }


def config(size: Size, *layers: Settings) -> TrialConfig:
    """Such a trial with what the layers change; the later one wins.

    A rehearsal that captures nothing takes eager steps for all others.
    """
    eager = {} if size.captures else {"training.compile": "none"}
    return TrialConfig.from_dotted(on_random_images(size), *layers, eager)


def wait(device: torch.device) -> None:
    """Until the device has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def stepper(trainer: Trainer) -> Callable[[int], None]:
    """What makes a number of training steps, on the batches of one epoch again and again."""
    step = trainer.step
    batches = draw_batches(trainer.config, trainer.data, epoch=0)
    rates = [trainer.config.optimizer.lr] * len(batches)
    begun = False

    def steps(count: int) -> None:
        nonlocal begun
        with step.running():
            for _ in range(count):
                if not begun or step.num_steps == len(batches):
                    step.begin_epoch(0, batches, rates)
                    begun = True
                step()

    return steps


def images_per_s(steps: Callable[[int], None], batch_size: int, size: Size, *, warm_up: int = 10) -> dict[str, Any]:
    """Median, least and most of `repeats` windows of about `seconds` each, after a warm-up that finds their length."""
    steps(warm_up)
    wait(size.device)
    began = time.perf_counter()
    steps(warm_up)
    wait(size.device)
    count = max(1, round(size.seconds * warm_up / (time.perf_counter() - began)))
    rates = []
    for _ in range(size.repeats):
        began = time.perf_counter()
        steps(count)
        wait(size.device)
        rates.append(count * batch_size / (time.perf_counter() - began))
    return {"images_per_s": median(rates), "min": min(rates), "max": max(rates), "steps_per_window": count}


def let_go() -> None:
    """Of what trials have left that nobody holds: the process's captured step, and the memory that it held."""
    warm.forget()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def peak(size: Size) -> dict[str, int]:
    """The most bytes that tensors of this process have held of a GPU."""
    return {"peak_bytes": torch.cuda.max_memory_allocated()} if size.device.type == "cuda" else {}
