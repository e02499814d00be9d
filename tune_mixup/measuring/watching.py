"""A trial that trains without end and says after each epoch how long a step took and what memory it holds.

On a GPU whole epochs are timed. Between two epochs the host works and leaves the GPU to the neighbours, so that epochs
of a few steps would make sharing look better than it is: there an epoch lasts about `EPOCH_S`, or is the trial's whole
one where that is shorter, and its time is that of the wall clock, with validation and the mixer's work at its end.
"""

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data.base import Split
from tune_mixup.data.loading import TrainingData
from tune_mixup.measuring.device import device_for
from tune_mixup.measuring.messages import EpochSeen, Watch
from tune_mixup.measuring.packing import Load
from tune_mixup.measuring.shortening import few_batches
from tune_mixup.training.fitting import draw_batches, load_fitting
from tune_mixup.training.trainer import Trainer
from tune_mixup.training.warm import forget

STEPS = 10
"""Steps of a short epoch, about: of those on the CPU, and of those that only tell how long a step takes."""
EPOCH_S = 1.5
"""Seconds of an epoch of a trial that is alone on a GPU, about."""
TIMING_S = 0.3
"""Seconds of short epochs from which the steps of such an epoch are chosen."""


def epochs_of(request: Watch) -> Iterator[EpochSeen]:
    """Train without end; yields what was seen of each epoch.

    The first epoch is warm-up: when it is over, what is to be compiled is, and a full batch has been validated.
    Raises ValueError for a GPU that is not there.
    """
    device = device_for(1 if request.gpu else 0)
    config = request.config
    whole = load_fitting(config, device=device)  # stays there: a trial has all of it in memory too
    wanted = request.steps or (steps_that_last(_step_s(config, whole, device)) if request.gpu else STEPS)
    trainer = Trainer(few_batches(config, whole, num_batches=wanted), device=device)
    steps = len(draw_batches(trainer.config, trainer.data, epoch=0))
    name = torch.cuda.get_device_name() if device.type == "cuda" else ""
    first = config.training.eval_batch_size
    while True:
        began, clock = time.time(), time.perf_counter()
        epoch = trainer.train_epoch()
        epoch_s = time.perf_counter() - clock
        if trainer.epoch == 1:
            trainer.evaluate(Split(whole.validation.images[:first], whole.validation.targets[:first]))
        peak, memory = gpu_memory() if device.type == "cuda" else host_memory()
        step_s = epoch_s / steps if request.gpu else config.training.batch_size / epoch["images_per_s"]
        yield EpochSeen(began=began, load=Load(step_s, peak, memory, steps if request.gpu else None, name))


def steps_that_last(step_s: float) -> int:
    """The steps of an epoch of about `EPOCH_S` on a GPU, where one takes `step_s`; never fewer than of a short one."""
    return max(STEPS, round(EPOCH_S / step_s))


def _step_s(config: TrialConfig, whole: TrainingData, device: torch.device) -> float:
    """Seconds of a training step, from short epochs of a trial that is thrown away, with the memory that it held."""
    trainer = Trainer(few_batches(config, whole, num_batches=STEPS), device=device)
    trainer.train_epoch()  # what is to be compiled is compiled
    began, images_per_s = time.perf_counter(), 0.0
    while not images_per_s or time.perf_counter() - began < TIMING_S:
        images_per_s = max(images_per_s, trainer.train_epoch()["images_per_s"])
    del trainer
    forget()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return config.training.batch_size / images_per_s


def gpu_memory() -> tuple[int, int]:
    """The most that this process has held of the GPU, and what the GPU has, in bytes.

    What is held beside torch's cache, such as the CUDA context, is seen only as used by somebody: correct for a process
    that is alone on its GPU.
    """
    free, total = torch.cuda.mem_get_info()
    context = total - free - torch.cuda.memory_reserved()
    return torch.cuda.max_memory_reserved() + context, total


def host_memory() -> tuple[int, int]:
    """The most that this process has held of the host, without the libraries that all share, and what the host has."""
    held = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kilobytes = {key: int(held[key].split()[0]) for key in ("VmHWM", "RssFile")}
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 1024 * (kilobytes["VmHWM"] - kilobytes["RssFile"]), total
