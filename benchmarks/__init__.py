"""Measurements of this project, side by side with what they are compared with; one command runs and renders them.

    python -m benchmarks run [--only NAME ...] [--all]    # writes results/NAME.json; without options the CPU set
    python -m benchmarks report                           # tables and plots of docs/performance.md, from results/

A measurement is a module `benchmarks/NAME.py` and one line in `BENCHMARKS`. Its contract:

- `measure() -> dict[str, Any]`, every parameter of which has a default, takes no input and writes no results itself
  (a figure that `plot` can't express it may draw into docs/). It runs in a process of its own: it may set threads,
  start a Ray (and shut it down), print progress.
- Variants that are compared take turns within one run; at least five rounds, medians.
- What it returns can be written as JSON. It holds whatever the measurement wants to keep, and under these keys, for
  `report`, which knows no measurement by name:
    - `"rows"`: a list of `benchmarks.rows.row(...)`, one per line of the table;
    - `"plots"`, if any: a list of `benchmarks.rows.plot(...)`, one per figure.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True)
class Benchmark:
    """One measurement."""

    title: str
    """What is measured against what."""
    about_s: int
    """How long it takes on two idle cores."""
    by_default: bool = True
    """Whether it belongs to the CPU set; others run only when named, or with `--all`."""


BENCHMARKS: dict[str, Benchmark] = {
    "input_pipeline": Benchmark("crop, flip and normalise, batched against DataLoader with Pillow", 30),
    "pairing": Benchmark("generalized mixup's whole overhead over mixup, against loops over samples", 45),
    "ladder": Benchmark("from the published loop to the fast path on a CPU, a rung at a time", 180),
    "trial_cost": Benchmark("a short trial beside its training, against plain Ray Tune", 90),
    "report_cost": Benchmark("an epoch's report through searcher, scheduler and record", 15),
    "checkpointing": Benchmark("checkpoints as a share of training time", 60),
    "race": Benchmark("24 configurations under ASHA, against plain Ray Tune and Optuna with a pool", 1400),
    "worker_memory": Benchmark("memory of one more concurrent trial, against plain Ray Tune", 110),
    "cli_import": Benchmark("`tune-mixup --help` in a fresh process", 10),
    "search_efficiency": Benchmark("epochs to reach the best settings, on a recorded table of curves", 330),
    "search_options": Benchmark("what a sweep's options do to that", 1000, by_default=False),
    "heap": Benchmark("a CPU worker's kept heap against glibc's defaults", 240, by_default=False),
    "mixers": Benchmark("each mixing method's training step against mixup's", 600, by_default=False),
    "mixers_compiled": Benchmark("the same with torch.compile", 900, by_default=False),
    "driver_memory": Benchmark("the driver's memory over 2,000 trials", 300, by_default=False),
    "early_stopping": Benchmark("early stopping on simulated slow starters, against Ray's ASHA", 150, by_default=False),
    "fashion_mnist_sweep": Benchmark("a whole sweep on real images", 300, by_default=False),
}
"""Name of the module -> measurement, in the order in which they run."""


def measure(name: str) -> dict[str, Any]:
    """Run one measurement in this process."""
    module = importlib.import_module(f"{__name__}.{name}")
    return cast(Callable[[], dict[str, Any]], module.measure)()
