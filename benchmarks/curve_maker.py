"""Makes a table of real learning curves: every setting of the grid on every seed, trained by our own Trainer.

    python -m benchmarks.curve_maker NAME [--minutes M]     # fashion_mnist, digits, cifar10, speech or tiny_imagenet

The same command goes on: the file `data/NAME_curves.parquet` is written anew after each trial and is all that a later
call needs: what it holds is not trained again, on whichever machine that call runs. A seed is trained whole before the
next one begins, so that the table is of use whenever making it ends; `read_table` leaves a seed that is not whole out.
Two processes train, one thread each. After `--minutes` no trial begins.

How large the tables are follows from three quarters of an hour on two cores for eight seeds: 105 settings of 27 epochs
on eight seeds are 11,340 epochs for each core, which may take 0.23 s. Measured on one thread of an AMD EPYC, medians of
6 or 27 epochs, an epoch with its validation: Fashion-MNIST 0.61 s with 1,000 images and as many for validation, 0.23 s
with 500, 0.18 s with 400, which it has; CIFAR-10 0.43 s with 500 of its 32 x 32 pixels, 0.17 s with 800 of 16 x 16,
which it has; digits 0.09 s with 719 and 719. These are learnt to 98 %, where settings are hard to tell apart, so that
the table trains on 287 and validates on 1,151, which takes 0.07 s. Spoken digits (600 log-mel pictures, pooled to 16 x
25) and Tiny-ImageNet (20 classes of 50 images, 16 x 16) take 0.11 s and 0.15 s of CPU time that way, not compiled; the
machine was too busy to time them by the clock.

What a search hands on is judged by other images than it saw: 4,000 test images, which makes a tenth of an epoch's
time of each epoch. By the 400 to 800 that searches see a trial would be judged to within two points only, several times
what lies between good settings. Digits, written or spoken, have no so many, and are judged by 1,151 and 300 on seeds
that a search has not seen; Tiny-ImageNet's 1,000 are all that there are.
"""

import argparse
import math
import time
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.evidence import machine, versions
from benchmarks.recorded_curves import AXES, COMMON, FOLDER, MEASURED, read_rows, write_rows
from benchmarks.rivals import Rival
from benchmarks.table_data import SETTINGS, data_of, images_of

SEEDS = tuple(range(8))
TABLES: dict[str, dict[str, Any]] = {
    "fashion_mnist": {"data.name": "fashion_mnist", "data.train_limit": 800},
    "digits": {"data.name": "digits", "data.validation_fraction": 0.8},
    **SETTINGS,
}
"""Table -> the settings that it has beside `COMMON`, where its data lie apart."""
TESTED_ON = {"fashion_mnist": 4000, "cifar10": 4000, "tiny_imagenet": 1000}
"""Table -> the test images that its trials are tested on after their last epoch."""


class Trial(NamedTuple):
    """What a process is sent: all of a trial's settings, and what tells it from the others in the table."""

    settings: dict[str, Any]
    key: dict[str, float]
    """Seed and parameters."""
    tested_on: int | None = None
    """Test images."""


def path_of(name: str) -> Path:
    """Where a table lies, whether or not it has been made."""
    return FOLDER / f"{name}_curves.parquet"


def train(trial: Trial) -> list[dict[str, float]]:
    """The rows of a trial, one for each epoch; those that it did not come to because it diverged are empty."""
    import torch

    from tune_mixup import Trainer, TrialConfig
    from tune_mixup.data.base import Split
    from tune_mixup.data.loading import load_test

    torch.set_num_threads(1)
    trainer = Trainer(TrialConfig.from_dotted(trial.settings), device="cpu")
    reports: dict[int, Mapping[str, Any]] = {int(report["epoch"]): report for report in trainer.run()}
    last = int(trial.settings["training.epochs"])
    rows = [
        {**trial.key, "epoch": epoch, **{name: reports.get(epoch, {}).get(name, float("nan")) for name in MEASURED}}
        for epoch in range(1, last + 1)
    ]
    if trial.tested_on is not None and not math.isnan(rows[-1]["val_accuracy"]):
        test = load_test(trainer.config.data, device=trainer.device)
        few = Split(*(part[: trial.tested_on] for part in test))
        rows[-1]["test_accuracy"] = trainer.evaluate(few)["accuracy"]
    return rows


def trials(name: str, where: Mapping[str, str]) -> list[Trial]:
    """All trials of a table, seed by seed; `where` has the settings that say where the data lie."""
    return [
        Trial(
            {**COMMON, **TABLES[name], **where, **setting, "seed": seed}, {"seed": seed, **setting}, TESTED_ON.get(name)
        )
        for seed in SEEDS
        for setting in grid()
    ]


def grid() -> list[dict[str, float]]:
    """The settings in the order of the table."""
    points: list[dict[str, float]] = [{}]
    for key, values in AXES.items():
        points = [{**point, key: value} for point in points for value in values]
    return points


def make(path: Path, wanted: list[Trial], about: Mapping[str, Any], *, minutes: float, processes: int = 2) -> int:
    """Train what the table at `path` lacks of `wanted`, and write it. Returns how many trials are still to be made.

    Raises ValueError when the table there was made otherwise.
    """
    import pandas as pd

    frame, known = (None, about) if not path.exists() else read_rows(path)
    for part in ("fixed", "images", "tested_on"):
        if known.get(part) != about.get(part):
            raise ValueError(f"{path} was made with other {part} ({known.get(part)}); move it away to make it anew")
    there = set() if frame is None else set(frame[["seed", *AXES]].itertuples(index=False, name=None))
    todo = deque(trial for trial in wanted if tuple(trial.key.values()) not in there)
    ends_at, made = time.monotonic() + 60 * minutes, 0
    with ExitStack() as stack:
        idle = [stack.enter_context(Rival()) for _ in range(processes)]
        busy: list[Rival] = []
        while True:
            while idle and todo and time.monotonic() < ends_at:
                busy.append(idle.pop())
                busy[-1].start(train, todo.popleft())
            if not busy:
                return len(todo)
            for rival in [rival for rival in busy if not rival.running(0.02)]:
                rows = pd.DataFrame(rival.result())
                frame = rows if frame is None else pd.concat([frame, rows])
                write_rows(path, frame, about)
                busy.remove(rival)
                idle.append(rival)
                made += 1
                print(f"{path.name}: {made} made, {len(todo) + len(busy)} to come", flush=True)


def main() -> None:
    """Make a table, or go on with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=TABLES)
    parser.add_argument("--minutes", type=float, default=45, help="begin no trial after these")
    given = parser.parse_args()
    about = {
        "command": f"python -m benchmarks.curve_maker {given.name}",
        "fixed": {**COMMON, **TABLES[given.name]},
        "images": images_of(given.name),
        "tested_on": TESTED_ON.get(given.name),
        "axes": AXES,
        "machine": machine(),
        "versions": versions(),
    }
    with data_of(given.name) as where:
        left = make(path_of(given.name), trials(given.name, where), about, minutes=given.minutes)
    print("all made" if not left else f"{left} trials to come; the same command goes on")


if __name__ == "__main__":
    main()
