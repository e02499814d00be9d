"""How many epochs a search trains before it has found the best settings, on a recorded table of real curves.

    python -m benchmarks run search_efficiency

Our search, Ray Tune's OptunaSearch with ASHAScheduler, Optuna's TPE with SuccessiveHalvingPruner, each with its
defaults, and random search without stopping look their curves up in `data/fashion_curves.parquet`
(`recorded_curves.py`); `table_search.py` has how. Four trials at a time, 100 search seeds. Two measures:

- *Best 1 %*: epochs trained, over all trials and unfinished ones included, until a setting has been trained to the end
  whose final accuracy, averaged over its seeds, is among the best 1 % of the table's settings (rounded down, at least
  one, ties included: of 105 settings it is the best one, or several that are equal). Likewise the best 5 % and 10 %.
- *Within noise*: epochs trained until the setting that the search would hand on (the best last value it has seen of a
  trial trained to the end) is worse than the best by less than the standard error of a setting's averaged accuracy,
  both taken from the averages over seeds. The error is that of the better half of the settings on paired seeds: what
  moves all curves of a seed is out.

A search is given up after as many epochs as all settings take on one seed, and counts as having needed these: a median
of that size is a lower bound. One default of ours, the grace of short trials, was chosen after a look at this table;
`docs/performance.md` says how, and `search_options.py` has what it and other options do.
"""

import logging
import math
import multiprocessing
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from benchmarks.bootstrap import interval
from benchmarks.recorded_curves import EPOCHS, Table, read_table
from benchmarks.rows import panel, plot, row
from benchmarks.simulation import SLOTS, Floats, Search

SEARCHES = 100
PERCENTS = (1, 5, 10)
BEST, NOISE = "best 1 %", "within noise"
TIE = 1e-5
"""Accuracies that are no further apart are equal: the table has five decimals."""
SHOWN = 1000
"""Epochs that the figure shows; every search goes on so far."""
RANDOM = "random, full runs"
COMPARED = ("ours", RANDOM, "ray", "optuna")
SHUFFLED = "all settings in random order, full runs"


class Truth(NamedTuple):
    """What the table says of its settings."""

    order: list[int]
    """The settings, best first."""
    regret: Floats
    """By how much each setting's mean final accuracy is below the best one's, 0 to 1."""
    error: float
    """Standard error of a good setting's mean final accuracy, from paired seeds."""

    def best(self, percent: int) -> frozenset[int]:
        """The best settings, rounded down, at least one, and those that are as good as the last of them."""
        count = max(1, len(self.order) * percent // 100)
        return frozenset(np.flatnonzero(self.regret <= self.regret[self.order[count - 1]] + TIE).tolist())


class Found(NamedTuple):
    """What one search took."""

    epochs: dict[str, int]
    """Measure -> epochs that it took, or those at which it was given up."""
    spent: int
    trials: int
    lost: int
    """Trials of the best 5 % that it stopped early."""
    course: list[tuple[int, float]]
    """(epochs, regret of what it would hand on), wherever that changes."""


def truth(table: Table) -> Truth:
    final = table.accuracy[:, :, -1]
    means = final.mean(axis=1)
    order = np.argsort(-means, kind="stable").tolist()
    rivals = final[order[: max(2, len(order) // 2)]]  # poor settings vary far more, and nobody takes one for the best
    residual = rivals - rivals.mean(axis=1, keepdims=True) - rivals.mean(axis=0) + rivals.mean()
    settings, seeds = rivals.shape
    variance = (residual**2).sum() / ((settings - 1) * (seeds - 1))
    return Truth(order, means.max() - means, math.sqrt(variance / seeds))


def search(name: str, seed: int) -> Found:
    """One search, until it has found all or is given up."""
    from benchmarks.table_search import METHODS

    table = _table()
    real, limit = truth(table), len(table.settings) * EPOCHS
    wanted = {f"best {percent} %": real.best(percent) for percent in PERCENTS}
    epochs: dict[str, int] = {}
    course: list[tuple[int, float]] = []
    seen = 0

    def over(now: Search) -> bool:
        nonlocal seen
        for step in now.steps[seen:]:
            for measure, settings in wanted.items():
                if step.trained in settings:
                    epochs.setdefault(measure, step.spent)
            regret = float(real.regret[step.incumbent])
            if regret < real.error and step.complete:
                epochs.setdefault(NOISE, step.spent)
            if not course or regret != course[-1][1]:
                course.append((step.spent, regret))
        seen = len(now.steps)
        return now.spent >= limit or (now.spent >= SHOWN and len(epochs) == len(wanted) + 1)

    done = METHODS[name](table, seed)
    done.run(over)
    took = {measure: epochs.get(measure, limit) for measure in (*wanted, NOISE)}
    lost = sum(setting in real.best(5) for setting in done.stopped)
    return Found(took, done.spent, len(done.settings), lost, course)


@lru_cache(maxsize=1)
def _table() -> Table:
    return read_table()


def quiet() -> None:
    """What a worker does first."""
    import optuna
    import torch

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray").setLevel(logging.ERROR)


def _ratio(upper: Floats, lower: Floats, axis: int) -> Floats:
    found: Floats = np.median(upper, axis=axis) / np.median(lower, axis=axis)
    return found


def measure(searches: int = SEARCHES) -> dict[str, Any]:
    """The methods that are compared, each with its defaults, and the best that can be done without learning."""
    table = read_table()
    found = searched((*COMPARED, SHUFFLED), searches)
    return {
        **about(found, table),
        "rows": rows(found, table),
        "plots": [figure(found, truth(table))],
    }


def searched(names: Sequence[str], searches: int) -> dict[str, list[Found]]:
    """Every method with every seed, in as many processes as there are cores."""
    began = time.perf_counter()
    found: dict[str, list[Found]] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=quiet) as pool:
        for name in names:
            found[name] = list(pool.map(search, [name] * searches, range(searches), chunksize=5))
            medians = {key: int(np.median([one.epochs[key] for one in found[name]])) for key in found[name][0].epochs}
            print(f"{name}: {medians}, {time.perf_counter() - began:.0f} s", flush=True)
    return found


def about(found: Mapping[str, Sequence[Found]], table: Table) -> dict[str, Any]:
    """What was measured on which table, with the medians of each method."""
    limit = len(table.settings) * EPOCHS
    return {
        "searches": len(next(iter(found.values()))),
        "slots": SLOTS,
        "given_up_after_epochs": limit,
        "table": {**table.about, **describe(table)},
        "methods": {name: summary(ones, limit) for name, ones in found.items()},
    }


def summary(found: Sequence[Found], limit: int) -> dict[str, Any]:
    """Medians with intervals, and what they come from."""
    about: dict[str, Any] = {}
    for measure in found[0].epochs:
        values = np.array([one.epochs[measure] for one in found], dtype=np.float64)
        about[measure] = {
            "median": float(np.median(values)),
            "interval": [round(end, 3) for end in interval([values], np.median)],
            "quartiles": np.quantile(values, [0.25, 0.75]).tolist(),
            "given_up": float((values >= limit).mean()),
        }
    return {
        **about,
        "epochs_per_trial": round(float(np.mean([one.spent / one.trials for one in found])), 2),
        "best_5_percent_stopped_per_search": round(float(np.mean([one.lost for one in found])), 2),
    }


def describe(table: Table) -> dict[str, Any]:
    """What decides how hard the table is: how far settings lie apart, and how early that can be seen."""
    from scipy.stats import spearmanr

    real = truth(table)
    final = table.accuracy[:, :, -1].mean(axis=1)
    order = np.argsort(-final, kind="stable")
    epochs = (1, 2, 3, 5, 9, 15)
    early = {
        epoch: [spearmanr(table.accuracy[:, seed, epoch - 1], final)[0] for seed in range(table.accuracy.shape[1])]
        for epoch in epochs
    }
    return {
        "settings": len(final),
        "accuracy": {"best": final.max(), "median": float(np.median(final)), "worst": final.min()},
        "standard_error": round(real.error, 5),
        "settings_within_standard_error": int((real.regret < real.error).sum()),
        "settings_among_best": {f"{percent} %": len(real.best(percent)) for percent in PERCENTS},
        "best_settings": [{**table.settings[place], "accuracy": final[place]} for place in order[:5].tolist()],
        "rank_correlation_with_end": {str(epoch): round(float(np.mean(values)), 3) for epoch, values in early.items()},
        "rank_of_best_by_seed": {
            str(epoch): [
                int((table.accuracy[:, seed, epoch - 1] > table.accuracy[order[0], seed, epoch - 1]).sum()) + 1
                for seed in range(table.accuracy.shape[1])
            ]
            for epoch in epochs
        },
    }


def rows(found: Mapping[str, Sequence[Found]], table: Table) -> list[dict[str, Any]]:
    """The targets first, then what is easier to find, then what is as good but for noise."""
    lines = []
    for measure in found["ours"][0].epochs:
        targets = (RANDOM, "ray") if measure == BEST else ()
        lines += [
            line(found, table, measure, RANDOM, "ours", **({"at_least": 5} if RANDOM in targets else {})),
            line(found, table, measure, "ours", "ray", **({"at_most": 0.8} if "ray" in targets else {})),
            line(found, table, measure, "ours", "optuna"),
        ]
    return lines


def line(
    found: Mapping[str, Sequence[Found]], table: Table, measure: str, first: str, second: str, **target: float
) -> dict[str, Any]:
    """Epochs of `first` over those of `second`, one of which is `ours`."""
    samples = [np.array([one.epochs[measure] for one in found[name]], dtype=np.float64) for name in (first, second)]
    medians = dict(zip((first, second), (float(np.median(sample)) for sample in samples), strict=True))
    low, high = interval(samples, _ratio)
    stuck = [name for name in medians if medians[name] >= len(table.settings) * EPOCHS]
    bound = f"; of {' and '.join(stuck)} half or more of the searches were given up" if stuck else ""
    other = second if first == "ours" else first
    return row(
        f"epochs to the {measure if measure != NOISE else 'best but for noise'}: {first} / {second}",
        ours=medians["ours"],
        other=medians[other],
        unit="epochs",
        value=medians[first] / medians[second],
        value_unit="x",
        note=f"medians of searches; the ratio's 95 % interval is {low:.2f} to {high:.2f}{bound}",
        **target,
    )


def figure(found: Mapping[str, Sequence[Found]], real: Truth) -> dict[str, Any]:
    """Regret of what each method would hand on against epochs spent."""
    at = np.arange(EPOCHS, SHOWN + 1, 9)
    panels = []
    for quantile, title in ((0.5, "median of 100 searches"), (0.75, "upper quartile of 100 searches")):
        series: dict[str, list[list[tuple[float, float]]]] = {}
        for name in COMPARED:
            held = np.array([_held(one.course, at) for one in found[name]])
            worst = np.quantile(held, quantile, axis=0)
            series[name] = [[(float(x), round(100 * float(y), 4)) for x, y in zip(at, worst, strict=True)]]
        series["standard error"] = [[(float(at[0]), 100 * real.error), (float(at[-1]), 100 * real.error)]]
        panels.append(panel(title, x="epochs spent", y="regret, points of accuracy", series=series, steps=True))
    return plot("search_efficiency.png", panels)


def _held(course: Sequence[tuple[int, float]], at: Any) -> Floats:
    """The regret that holds after so many epochs; that of the first trial before it has ended."""
    spent, regret = (np.array(column) for column in zip(*course, strict=True))
    return regret[np.maximum(0, np.searchsorted(spent, at, side="right") - 1)]  # type: ignore[no-any-return]
