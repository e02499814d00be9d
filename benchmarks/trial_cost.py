"""What a trial costs beside its training: ours against plain Ray Tune (`baselines/plain_tune.py`), two slots each.

Plain Ray Tune starts a process for each trial; asked to reuse its actors, it does not.

Trials of one epoch on 200 made-up images, each contender in a process of its own with a Ray that is up already; they
take turns. From the end of the second trial of a search to the end of its last, all slots are busy and nothing starts
up: that time, less what the trials' own epochs took on each slot, is divided by the trials in it.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from optuna.distributions import FloatDistribution

from benchmarks.baselines.search_task import Finish, SearchTask
from benchmarks.contenders import CONTENDERS, RAYS, REUSED
from benchmarks.rivals import Rival
from benchmarks.rows import row
from tune_mixup.search_space import SearchSpace

FIXED = {
    "data.name": "synthetic",
    "data.num_train": 200,
    "data.num_test": 20,
    "data.size": 8,
    "data.batches": "shuffled",
    "mixing.name": "mixup",
    "model.name": "tiny_resnet",
    "model.width": 2,
    "training.batch_size": 90,
}
SLOTS, ROUNDS = 2, 5
TRIALS = {"ours": 48, "plain Ray Tune": 8, REUSED: 24}
"""Of a search: more where they are fast."""


def search_task(trials: int) -> SearchTask:
    points = [{"mixing.alpha": 0.1 + 0.01 * number} for number in range(trials)]
    space = SearchSpace(fixed=FIXED, free={"mixing.alpha": FloatDistribution(0.1, 4.0, log=True)}, baselines=points)
    return SearchTask(space=space, max_epochs=1, slots=SLOTS)


def cost(finished: list[Finish]) -> float:
    """Seconds per trial between the second end and the last, less training."""
    counted = finished[SLOTS:]
    busy_s = sum(one.trained_s for one in counted) / SLOTS
    return (finished[-1].at_s - finished[SLOTS - 1].at_s - busy_s) / len(counted)


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    costs: dict[str, list[float]] = {name: [] for name in TRIALS}
    with ExitStack() as stack:
        rivals = {name: stack.enter_context(Rival()) for name in TRIALS}
        for name, rival in rivals.items():
            rival(RAYS[name], SLOTS)
        for _ in range(rounds):
            for name, rival in rivals.items():
                with tempfile.TemporaryDirectory() as folder:
                    costs[name].append(cost(rival(CONTENDERS[name], search_task(TRIALS[name]), Path(folder))))
                print(f"{name}: {costs[name][-1]:.3f} s per trial", flush=True)
    mine = median(costs["ours"])
    note = f"Two slots, {rounds} turns; ours from {min(costs['ours']):.3f} to {max(costs['ours']):.3f} s."
    return {
        "rows": [
            *(against(name, costs, note) for name in list(TRIALS)[1:]),
            row("the same, seconds", ours=mine, unit="s", value=mine, value_unit="s", at_most=0.25, note=note),
        ],
        "seconds_per_trial": costs,
        "trials": TRIALS,
        "slots": SLOTS,
    }


def against(name: str, costs: Mapping[str, Sequence[float]], note: str) -> dict[str, Any]:
    """Medians of the turns, and of the ratios in each."""
    ratios = [other / mine for mine, other in zip(costs["ours"], costs[name], strict=True)]
    return row(
        f"a short trial beside its training, against {name}",
        ours=median(costs["ours"]),
        other=median(costs[name]),
        unit="s",
        value=median(ratios),
        value_unit="x",
        at_least=7 if name == "plain Ray Tune" else None,
        note=note,
    )
