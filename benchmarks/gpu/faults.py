"""Four trials at a quarter of a GPU: one runs out of memory, one is killed, and the structure changes on the way."""

import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from optuna.distributions import CategoricalDistribution, FloatDistribution

from benchmarks import contenders
from benchmarks.gpu import Result, Size
from benchmarks.gpu.checks import rows as rows_of_checks
from benchmarks.gpu.ladder import RUNGS
from benchmarks.gpu.timing import on_random_images
from tune_mixup import sweep
from tune_mixup.record.folder import SweepFolder
from tune_mixup.record.trial_folder import TrialFolder
from tune_mixup.search.standing import Progress
from tune_mixup.search_space import SearchSpace

SHARE = 0.25
KILLED, TOO_LARGE = 1, 2
"""Trials by their numbers."""
NAME = "faults"


def results(size: Size) -> Iterator[Result]:
    """How each trial ended; the last result holds what the sweep said on the way."""
    on_gpu = size.device.type == "cuda"
    fast = RUNGS["graph"] if size.captures else {}
    said: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        killer = Killer(SweepFolder(Path(folder) / NAME).trial(KILLED))

        def listener(progress: Progress) -> None:
            said.append(progress.message)
            killer.look()

        contenders.start_our_ray(8 if on_gpu else 1)
        try:
            done = sweep(
                space(size),
                fast,
                root=folder,
                name=NAME,
                trials=len(points(size)),
                max_epochs=size.sweep_epochs,
                scheduler="none",
                sampler="random",
                gpus_per_trial=SHARE if on_gpu else 0,
                listener=listener,
            )
            table = done.trials()
        finally:
            ray.shutdown()
    states, reasons = dict(enumerate(table["state"])), dict(enumerate(table["reason"].astype(str)))
    yield from verdicts(states, reasons, killed=killer.killed, too_large=bool(size.too_large))
    yield {"states": states, "reasons": reasons, "said": [message for message in said if message][-60:]}


def rows(own: Sequence[Result], found: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """One for each verdict."""
    return rows_of_checks([one for one in own if "what" in one], found)


def verdicts(
    states: Mapping[int, str], reasons: Mapping[int, str], *, killed: bool, too_large: bool
) -> Iterator[Result]:
    """What should have come of the trials, by number; 0 where it did."""
    spared = {number: state for number, state in states.items() if not (too_large and number == TOO_LARGE)}
    lost = {number: state for number, state in spared.items() if state != "COMPLETE"}
    note = "; ".join(f"t{number:04d} {state}: {reasons[number]}" for number, state in lost.items())
    yield {"what": "trials lost beside a fault", "value": len(lost), "at_most": 0, "unit": "", "note": note}
    what = "a trial that is killed goes on from its checkpoint"
    missed = not killed or states.get(KILLED) != "COMPLETE"
    yield {"what": what, "value": int(missed), "at_most": 0, "unit": "", "note": "" if killed else "It was not killed."}
    if too_large:
        reason = reasons.get(TOO_LARGE, "")
        told = states.get(TOO_LARGE) == "FAIL" and "memory" in reason
        what = "a trial too large for the GPU fails for that reason"
        yield {"what": what, "value": int(not told), "at_most": 0, "unit": "", "note": reason}


def space(size: Size) -> SearchSpace:
    """Methods, batch sizes and networks: each change of one is a new structure for a worker that is warm."""
    tried = points(size)
    choices = {key: list(dict.fromkeys(point[key] for point in tried)) for key in tried[0] if key != "optimizer.lr"}
    return SearchSpace(
        fixed={key: value for key, value in {**on_random_images(size), **size.sweep}.items() if key not in choices},
        free={
            "optimizer.lr": FloatDistribution(0.001, 1.0, log=True),
            **{key: CategoricalDistribution(values) for key, values in choices.items()},
        },
        baselines=tried,
    )


def points(size: Size) -> tuple[dict[str, Any], ...]:
    """One for each trial, in the order of their numbers."""
    usual = {key: size.sweep[key] for key in ("model.name", "training.batch_size")}
    plain = {"optimizer.lr": 0.05, "mixing.name": "mixup", **usual}
    large = {**plain, "training.batch_size": 2 * usual["training.batch_size"]}
    return (plain, plain | {"optimizer.lr": 0.1}, {**plain, **size.too_large}, plain | {"mixing.name": "cutmix"},
            large, large | {"mixing.name": "cutmix"})  # fmt: skip


class Killer:
    """Sends SIGKILL, once, to the worker of a trial that has finished an epoch."""

    def __init__(self, folder: TrialFolder) -> None:
        self.killed = False
        self._folder = folder

    def look(self) -> None:
        """Kill it if it is time."""
        if self.killed or not self._folder.read_epochs():
            return
        worker = holder(self._folder.path / "lock")
        if worker is not None:
            os.kill(worker, signal.SIGKILL)
            self.killed = True


def holder(path: Path) -> int | None:
    """Another process that has the file at `path` open; None where there is none."""
    wanted = os.path.realpath(path)
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            opened = {os.readlink(entry) for entry in (process / "fd").iterdir()}
        except OSError:  # it has ended, or is not ours to look at
            continue
        if wanted in opened:
            return int(process.name)
    return None
