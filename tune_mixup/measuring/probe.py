"""Measures trials where they would run: copies of one as processes of a Ray task, on one node and one GPU."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from tune_mixup.config import TrialConfig
from tune_mixup.measuring.packing import Load, OutOfMemory

COMMAND = [sys.executable, "-m", "tune_mixup.measuring.probe_process"]
MIN_EPOCHS, MIN_S, ENOUGH_S = 3, 3.0, 20.0
"""A copy is watched for so many short epochs and seconds while all run, but when one has passed not much longer."""


@dataclass(frozen=True)
class RayProbe:
    """A trial on one node of a cluster, with all of its CPUs or with one GPU."""

    config: TrialConfig
    threads: int
    """Of each copy."""
    cpus: float
    """Logical CPUs that are taken for the time of the probe."""
    gpus: float
    """1: the copies share a whole GPU, which nobody else has meanwhile; 0: they run on the CPU."""
    where: Mapping[str, float]
    """Other resources to ask for, which say the node: `accelerator_type:X` or `node:IP`."""
    memory_bytes: int | None = None
    """What the node's workers may use of its memory; empty: the probe says what there is."""

    def measure(self, copies: int) -> Load:
        """Run `copies` at once for a few seconds. Raises OutOfMemory, and ValueError when the trial has a fault."""
        import ray

        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, resources=dict(self.where), max_retries=0)(measure)
        request = {"config": self.config.plain(), "threads": self.threads, "gpu": bool(self.gpus)}
        found: dict[str, Any] = ray.get(task.remote(request, copies))
        if "out_of_memory" in found:
            raise OutOfMemory(found["out_of_memory"])
        if "fault" in found:
            raise ValueError(
                f"the probe of the largest setting failed: {found['fault']}; give a number instead of auto"
            )
        memory = found["memory_bytes"] if self.memory_bytes is None else self.memory_bytes
        return Load(found["step_s"], int(found["peak_bytes"]), int(memory))


def measure(request: Mapping[str, Any], copies: int) -> dict[str, Any]:
    """Train `copies` of the request's trial at once, each in a process of its own.

    Returns the fields of `Load`, or the line with which one of them ended.
    """
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(_process(request)) for _ in range(copies)]
        for process in processes:
            report = _next(process)
            if "step_s" not in report:
                return report
        warm = time.time()
        watched = []
        for process in processes:
            reports: list[dict[str, Any]] = []
            while not _enough(len(reports), time.time() - warm):
                report = _next(process)
                if "step_s" not in report:
                    return report
                if report["began"] >= warm:
                    reports.append(report)
            watched.append({"step_s": median(one["step_s"] for one in reports), **_memory(reports)})
    return {key: max(copy[key] for copy in watched) for key in ("step_s", "peak_bytes", "memory_bytes")}


def _memory(reports: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: max(report[key] for report in reports) for key in ("peak_bytes", "memory_bytes")}


def _enough(epochs: int, seconds: float) -> bool:
    return (epochs >= MIN_EPOCHS and seconds >= MIN_S) or (epochs >= 1 and seconds >= ENOUGH_S)


@contextlib.contextmanager
def _process(request: Mapping[str, Any]) -> Iterator["subprocess.Popen[str]"]:
    """A training process with what this one has: its environment, and its GPU."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(request["threads"])}
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(dict(request)) + "\n")
            process.stdin.flush()
            yield process
        finally:
            process.kill()


def _next(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if line:
        report: dict[str, Any] = json.loads(line)
        return report
    if process.wait() == -9:  # SIGKILL, which the kernel sends when the host has no memory left
        return {"out_of_memory": "the host ran out of memory"}
    return {"fault": f"its process ended with code {process.returncode}"}
