"""A trial in a process of its own, ready to be timed: `python -m benchmarks.gpu.worker NET` and its owner's side.

It says a line of JSON when it is warm; for each line that it reads, seconds, it trains for that long and says how fast.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from benchmarks import gpu
from benchmarks.gpu import Size
from benchmarks.gpu.ladder import RUNGS
from benchmarks.gpu.process import ROOT
from benchmarks.gpu.timing import config, stepper, wait
from tune_mixup.training.trainer import Trainer

SYNC_EVERY = 10
"""Steps between two looks at the clock."""


class Worker:
    """Such a process. All that it has said is an answer; one that has died raises RuntimeError."""

    def __init__(self, net: str, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu.worker", net],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "OMP_NUM_THREADS": "1"},
            text=True,
        )

    def train(self, seconds: float) -> None:
        """Begin; `answer` waits for the end."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then `answer` says so
            self._process.stdin.write(f"{seconds}\n")
            self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What it says next. Raises RuntimeError when it has died."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker died with exit code {self._process.wait()}")
        said: dict[str, Any] = json.loads(line)
        return said

    def stop(self) -> None:
        """End it: it reads the end of its input; one that does not is killed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextlib.contextmanager
def workers(count: int, net: str, environment: Mapping[str, str]) -> Iterator[list[Worker]]:
    """Warm workers, started at the same time. A worker that idles holds memory and takes no turn on the device."""
    started = [Worker(net, environment) for _ in range(count)]
    try:
        for one in started:
            one.answer()
        yield started
    finally:
        for one in started:
            one.stop()


def serve(size: Size, net: str) -> None:
    """The process's own side."""
    torch.set_num_threads(1)
    trainer = Trainer(config(size, size.nets[net], RUNGS["graph"]), device=size.device)
    steps = stepper(trainer)
    steps(SYNC_EVERY)
    wait(size.device)
    print(json.dumps({"warm": True}), flush=True)
    for line in sys.stdin:
        began, made = time.perf_counter(), 0
        while time.perf_counter() - began < float(line):
            steps(SYNC_EVERY)
            wait(size.device)
            made += SYNC_EVERY
        rate = made * trainer.config.training.batch_size / (time.perf_counter() - began)
        print(json.dumps({"images_per_s": rate, "used_bytes": used(size)}), flush=True)


def used(size: Size) -> int:
    """Bytes of the whole GPU that are in use, contexts included."""
    if size.device.type != "cuda":
        return 0
    free_bytes, total = torch.cuda.mem_get_info()
    return total - free_bytes


if __name__ == "__main__":
    serve(gpu.size(), sys.argv[1])
