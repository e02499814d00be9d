"""A trial that trains without end and says after each short epoch how long a step took and what memory it holds."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from tune_mixup.data.base import Split
from tune_mixup.measuring.messages import EpochSeen, Watch
from tune_mixup.measuring.packing import Load
from tune_mixup.measuring.shortening import few_batches
from tune_mixup.training.fitting import load_fitting
from tune_mixup.training.trainer import Trainer

STEPS = 10
"""Steps of an epoch, about."""


def epochs_of(request: Watch) -> Iterator[EpochSeen]:
    """Train without end; yields what was seen of each epoch.

    The first epoch is warm-up: when it is over, what is to be compiled is, and a full batch has been validated.
    """
    device = torch.device("cuda" if request.gpu and torch.cuda.is_available() else "cpu")
    config = request.config
    whole = load_fitting(config, device=device)  # stays there: a trial has all of it in memory too
    trainer = Trainer(few_batches(config, whole, num_batches=STEPS), device=device)
    first = config.training.eval_batch_size
    while True:
        began = time.time()
        epoch = trainer.train_epoch()
        if trainer.epoch == 1:
            trainer.evaluate(Split(whole.validation.images[:first], whole.validation.targets[:first]))
        peak, memory = gpu_memory() if device.type == "cuda" else host_memory()
        step_s = config.training.batch_size / epoch["images_per_s"]
        yield EpochSeen(began=began, load=Load(step_s, peak, memory))


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
