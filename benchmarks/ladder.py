"""From the published loop to the fast path on a CPU, a rung at a time.

    python -m benchmarks run ladder

An epoch of the race's network and data (`race.py`) on one thread, validation included, after one to warm up. Every rung
keeps what those before it brought. Each epoch that counts is in a process of its own; the rungs take turns.

All rungs train plain mixup, whose published loop they are compared with. The published loop of generalized mixup, which
goes through the samples of a batch one by one, is a row of its own: against it every ratio would be larger.
"""

import json
import sys
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks.children import in_child
from benchmarks.rows import row

LADDER: dict[str, Mapping[str, Any] | None] = {
    "published loop": None,
    "images in one tensor, partners and counts in batches": {},
    "channels-last": {"training.channels_last": True},
    "bf16": {"training.channels_last": True, "training.precision": "bf16"},
}
"""What a rung adds -> all settings that it has beside the race's; None for the published loop."""
GENERALIZED = "published loop of generalized mixup"


def measure(rounds: int = 5) -> dict[str, Any]:
    """Seconds of an epoch on each rung, per round."""
    epochs: dict[str, list[float]] = {name: [] for name in (*LADDER, GENERALIZED)}
    for turn in range(rounds):
        for name in list(epochs)[:: -1 if turn % 2 else 1]:
            found = in_child("benchmarks.ladder", {"rung": name})
            epochs[name].append(found["epoch_s"])
    return {"rows": rows(epochs), "epoch_s": epochs}


def rows(epochs: Mapping[str, list[float]]) -> list[dict[str, Any]]:
    """Each rung against the one below it."""
    names, found = list(LADDER), []
    for below, name in zip(names[:-1], names[1:], strict=True):
        ratios = [old / new for old, new in zip(epochs[below], epochs[name], strict=True)]
        total = median(old / new for old, new in zip(epochs[names[0]], epochs[name], strict=True))
        found.append(
            row(
                f"an epoch of the race's net, one thread: {name}",
                ours=median(epochs[name]),
                other=median(epochs[below]),
                unit="s",
                value=median(ratios),
                value_unit="x",
                note=f"Against {below}; {min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} turns. "
                f"In all {total:.2f} times the {names[0]}.",
            )
        )
    alone = epochs[GENERALIZED]
    found.append(
        row(
            f"an epoch of the race's net, one thread: {GENERALIZED}",
            ours=None,
            other=median(alone),
            unit="s",
            value=None,
            value_unit="x",
            note=f"No ratio is taken against it; {min(alone):.2f} to {max(alone):.2f} s in {len(alone)} turns.",
        )
    )
    return found


def epoch_s(rung: str, settings: Mapping[str, Any]) -> float:
    """Seconds of the second epoch, in this process."""
    from benchmarks.baselines.published_loop import PublishedLoop
    from benchmarks.race import FIXED, search_task
    from tune_mixup.config import TrialConfig
    from tune_mixup.mixing.mixup import Mixup
    from tune_mixup.training.process import set_threads
    from tune_mixup.training.trainer import Trainer

    set_threads(1)
    task = search_task(0, trials=1, fixed={**FIXED, **settings})
    config = task.config(task.space.baselines[0])
    if rung != GENERALIZED:
        config = config.replace(mixing=Mixup(alpha=config.plain()["mixing"]["alpha"]))
    added = LADDER.get(rung)
    if added is None:
        train = PublishedLoop(config, task.data(), workers=0).train_epoch
    else:
        config = TrialConfig.from_dotted(config.plain(), added)
        train = Trainer(config, device="cpu").train_epoch
    train()
    began = time.perf_counter()
    train()
    return time.perf_counter() - began


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps({"epoch_s": epoch_s(asked["rung"], asked.get("settings", {}))}))
