"""Memory of one more concurrent trial on a node: ours against plain Ray Tune (`baselines/plain_tune.py`).

A search of as many trials as run at once, each of some epochs on 5,000 Fashion-MNIST images. While all of them train,
the worker processes of Ray and what they start (a DataLoader's processes) are looked at: the sum of their proportional
set sizes (PSS of /proc/PID/smaps_rollup: a page that n processes share counts 1/n in each), medians over the looks.
What one more trial takes is the slope between one trial and four at a time.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from optuna.distributions import FloatDistribution

from benchmarks import race
from benchmarks.baselines.search_task import SearchTask
from benchmarks.contenders import CONTENDERS, RAYS
from benchmarks.memory import pss_mb
from benchmarks.real_data import data_root
from benchmarks.rivals import Rival
from benchmarks.rows import row
from tune_mixup.search_space import SearchSpace

CONCURRENT = (1, 4)
"""Trials at a time, on a Ray with as many logical CPUs."""
EPOCHS = 2
LOOK_S = 0.25
MIN_LOOKS = 5
VARIANTS = {"ours": ("ours", 0), "plain Ray Tune": ("plain Ray Tune", 0), "with 1 loader worker": ("plain Ray Tune", 1)}
"""Name -> contender, and worker processes of each DataLoader."""
FIXED = {key: value for key, value in race.FIXED.items() if key != "model.width"}


def search_task(trials: int, loader_workers: int) -> SearchTask:
    """`trials` at a time, none of which is stopped."""
    points = [{"mixing.alpha": 0.1 + 0.1 * number} for number in range(trials)]
    space = SearchSpace(
        fixed={**FIXED, "data.root": str(data_root())},
        free={"mixing.alpha": FloatDistribution(0.1, 4.0, log=True)},
        baselines=points,
    )
    return SearchTask(space=space, max_epochs=EPOCHS, grace_epochs=EPOCHS, slots=trials, loader_workers=loader_workers)


def parents() -> dict[int, int]:
    """Every process -> its parent."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue  # it has ended
    return found


def below(root: int, parent_of: dict[int, int]) -> list[int]:
    """The processes that `root` started, and those that they did."""
    found, reached = [], {root}
    while True:
        more = [pid for pid, parent in parent_of.items() if parent in reached and pid not in reached]
        if not more:
            return found
        found += more
        reached.update(more)


def workers_of(root: int) -> tuple[list[int], list[int]]:
    """Ray's processes below `root` that are at work on a trial, and those with all that they started."""
    parent_of = parents()
    titled = {pid for pid in below(root, parent_of) if _title(pid).startswith("ray::") and ".train" in _title(pid)}
    training = [pid for pid in titled if parent_of[pid] not in titled]  # a loader's process inherits the title
    return training, [*training, *(child for pid in training for child in below(pid, parent_of))]


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def looks(name: str, trials: int) -> list[float]:
    """The sums of PSS, in MB, at each look while all trials train. Raises RuntimeError for too few of them."""
    contender, loader_workers = VARIANTS[name]
    found = []
    with tempfile.TemporaryDirectory() as folder, Rival() as rival:
        rival(RAYS[contender], trials)
        rival.start(CONTENDERS[contender], search_task(trials, loader_workers), Path(folder))
        while rival.running(LOOK_S):
            training, every = workers_of(rival.process.pid or 0)
            if len(training) == trials:
                found.append(sum(pss_mb(pid) for pid in every))
        rival.result()
    if len(found) < MIN_LOOKS:
        raise RuntimeError(f"worker_memory: {name} was seen with {trials} trials {len(found)} times only; train longer")
    return found[len(found) // 2 :]  # by then every trial has its data, its model and its first epoch behind it


def measure(concurrent: tuple[int, int] = CONCURRENT) -> dict[str, Any]:
    few, many = concurrent
    pss: dict[str, dict[int, list[float]]] = {name: {} for name in VARIANTS}
    for trials in concurrent:
        for name in VARIANTS:
            began = time.perf_counter()
            pss[name][trials] = looks(name, trials)
            print(f"{name}, {trials} at a time: {median(pss[name][trials]):.0f} MB", end=", ")
            print(f"{len(pss[name][trials])} looks, {time.perf_counter() - began:.0f} s", flush=True)
    extra = {name: (median(found[many]) - median(found[few])) / (many - few) for name, found in pss.items()}
    rows = [
        row(
            f"worker memory of one more concurrent trial, against {what}",
            ours=extra["ours"], other=extra[name], unit="MB", value=100 * extra["ours"] / extra[name], value_unit="%",
            at_most=60 if name == "plain Ray Tune" else None,
            note=f"Proportional set sizes of the worker processes, which share the pages of their libraries; slope "
            f"between {few} and {many} trials at a time. Alone: {median(pss['ours'][few]):.0f} MB (ours), "
            f"{median(pss[name][few]):.0f} MB.",
        )
        for name, what in {
            "plain Ray Tune": "plain Ray Tune without loader processes",
            "with 1 loader worker": "plain Ray Tune with one loader process per trial",
        }.items()
    ]  # fmt: skip
    return {"rows": rows, "extra_mb": extra, "pss_mb": pss}
