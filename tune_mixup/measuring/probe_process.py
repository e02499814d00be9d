"""A process that trains a trial until nobody listens any more, and says after each short epoch how it went.

    echo JSON | python -m tune_mixup.measuring.probe_process

The line that it reads is the trial's configuration with the threads, and whether it has a GPU. Each line that it writes
is a JSON object: `began` (Unix seconds of the epoch's start), `step_s`, `peak_bytes` and `memory_bytes`; or `fault` or
`out_of_memory` with the words of an error, and then it ends. The first epoch is warm-up: it has compiled what is to be
compiled and validated on a full batch.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data.base import Split
from tune_mixup.measuring.shortening import few_batches
from tune_mixup.training.fitting import load_fitting
from tune_mixup.training.threads import set_threads
from tune_mixup.training.trainer import Trainer

STEPS = 10
"""Of an epoch, about."""


def main() -> None:
    """Read the request, train and report."""
    request = json.loads(sys.stdin.readline())
    try:
        for report in reports(request):
            print(json.dumps(report), flush=True)
    except BrokenPipeError:
        os._exit(0)  # whoever asked has heard enough
    except (torch.OutOfMemoryError, MemoryError) as error:
        print(json.dumps({"out_of_memory": str(error)}))
    except Exception as error:
        print(json.dumps({"fault": f"{type(error).__name__}: {error}".splitlines()[0]}))


def reports(request: dict[str, Any]) -> Iterator[dict[str, float]]:
    """Train without end; yields a report per epoch."""
    set_threads(request["threads"])
    device = torch.device("cuda" if request["gpu"] and torch.cuda.is_available() else "cpu")
    config = TrialConfig.parse(request["config"])
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
        yield {"began": began, "step_s": step_s, "peak_bytes": peak, "memory_bytes": memory}


def gpu_memory() -> tuple[int, int]:
    """The most that this process has held of the GPU, and what the GPU has, in bytes.

    What is held beside torch's cache, such as the CUDA context, is seen only as used by somebody: correct for a process
    that is alone on its GPU.
    """
    free, total = torch.cuda.mem_get_info()
    context = total - free - torch.cuda.memory_reserved()
    return torch.cuda.max_memory_reserved() + context, total


def host_memory() -> tuple[int, int]:
    """The most that this process has held of the host, but for the libraries that all share, and what the host has."""
    held = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kilobytes = {key: int(held[key].split()[0]) for key in ("VmHWM", "RssFile")}
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 1024 * (kilobytes["VmHWM"] - kilobytes["RssFile"]), total


if __name__ == "__main__":
    main()
