"""One process that holds a trial's images and goes through them, for those who look at its memory from outside.

    python -m benchmarks.held_images CONFIGURATION

It says that it is there and waits for a line on its input; reads the data, says how long the first batch took, makes
the other batches of an epoch as a trial's steps take them, says so, and waits again.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from benchmarks.memory import pss_mb
from tune_mixup.config import TrialConfig
from tune_mixup.data.augment import normaliser
from tune_mixup.data.loading import TrainingData
from tune_mixup.seeding import generator
from tune_mixup.training.feed import feed_for
from tune_mixup.training.fitting import draw_batches, load_fitting
from tune_mixup.training.step import draw_inputs

CPU = torch.device("cpu")


class Inputs:
    """Makes of images what a network takes, and has none."""

    def __init__(self, data: TrainingData) -> None:
        self.inputs = normaliser(data.mean, data.std)


class Epochs:
    """The batches of a trial's epochs, as its steps make them."""

    def __init__(self, config: TrialConfig) -> None:
        self.config = config
        self.data = load_fitting(config, device=CPU)
        self.network: Any = Inputs(self.data)
        self.feed = feed_for(self.data, config.data.augment, CPU, batch_size=config.training.batch_size)
        self.generator = generator(config.seed, "augment")
        self.epoch = 0

    def batches(self) -> Iterator[Tensor]:
        """Those of the next epoch."""
        batches = draw_batches(self.config, self.data, self.epoch)
        self.feed.begin_epoch(batches)
        for index in batches:
            self.feed.advance()
            images, rows = self.feed.take(index)
            yield draw_inputs(
                self.network,
                images,
                rows,
                size=self.data.size,
                augment=self.config.data.augment,
                boxes=self.config.data.crop,
                background=None,
                generator=self.generator,
            )
        self.epoch += 1

    def count(self) -> int:
        """Makes every batch of an epoch; returns the number of images."""
        return sum(len(inputs) for inputs in self.batches())


class Holder:
    """Such a process, seen from outside. Its context ends it."""

    def __init__(self, config: TrialConfig) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.held_images", json.dumps(config.plain())],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def __enter__(self) -> "Holder":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def hear(self) -> dict[str, float]:
        """What it says next. Raises RuntimeError when it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"held_images: a process ended with code {self._process.wait()}")
        found: dict[str, float] = json.loads(line)
        return found

    def go(self) -> None:
        """Let it do what comes next."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()


def growth_mb(configs: Sequence[TrialConfig]) -> tuple[float, list[float]]:
    """By how many MB (10^6 bytes) a process for each of `configs` grow together when they hold their images.

    By their proportional set sizes, before any of them reads and when all have gone through an epoch; and the seconds
    that each took to the first batch.
    """
    with ExitStack() as stack:
        holders = [stack.enter_context(Holder(config)) for config in configs]
        for holder in holders:
            holder.hear()
        before = sum(pss_mb(holder.pid) for holder in holders)
        for holder in holders:
            holder.go()
        took = [holder.hear()["first_batch_s"] for holder in holders]
        for holder in holders:
            holder.hear()
        return sum(pss_mb(holder.pid) for holder in holders) - before, took


def main(config: TrialConfig) -> None:
    """What the process does."""
    torch.set_num_threads(1)
    print("{}", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    epochs = Epochs(config)
    batches = epochs.batches()
    next(batches)
    print(json.dumps({"first_batch_s": time.perf_counter() - began}), flush=True)
    for _ in batches:
        pass
    print("{}", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(TrialConfig.parse(json.loads(sys.argv[1])))
