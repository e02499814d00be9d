"""Images per second of training steps as the trainer makes them, waiting for the device only at the end."""

import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from benchmarks.gpu import Size
from tune_mixup.config import TrialConfig
from tune_mixup.training.fitting import draw_batches
from tune_mixup.training.trainer import Trainer


def config(size: Size, net: str, **changes: Any) -> TrialConfig:
    """A trial of generalized mixup on random images."""
    settings = {
        "data.name": "synthetic",
        "data.num_train": size.num_images,
        "data.num_test": 1000,
        "data.size": size.image_side,
        "data.channels": 3,
        "data.num_classes": 4,
        "data.batches": "stratified",
        "data.augment.crop_padding": 4,
        "data.augment.flip": True,
        "mixing.name": "generalized_mixup",
        "schedule.name": "constant",
        **size.nets[net],
    }
    return TrialConfig.from_dotted(settings, changes)


def wait(device: torch.device) -> None:
    """Until the device has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def stepper(trainer: Trainer) -> Callable[[int], None]:
    """What makes so many training steps, on batch after batch of one epoch."""
    batches = draw_batches(trainer.config, trainer.data, epoch=0)
    trainer.step.begin_epoch(0)
    lr = trainer.config.optimizer.lr

    def steps(count: int) -> None:
        with trainer.step.kernels():
            for number in range(count):
                trainer.step.set_rate(lr)
                trainer.step(batches[number % len(batches)])

    return steps


def images_per_s(steps: Callable[[int], None], batch_size: int, size: Size, *, warm_up: int = 5) -> dict[str, Any]:
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


def free() -> None:
    """Let go of what the last variant held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
