"""What whole searches hand on, on training seeds that they have never seen, at equal epochs: ours and the others.

    python -m benchmarks.curve_maker fashion_mnist     # and digits, and cifar10: once, at most 45 minutes each
    python -m benchmarks run honest_search [--syne-tune PYTHON]     # a quarter of an hour a table, two idle cores

Each search looks its trials up in a table of real curves of eight training seeds (`curve_maker.py`). A permutation
drawn for its search seed, the same one for all contenders, holds three of these back and shows it the other five. It
goes on until its trials have trained for the epochs of 10, 20, 40 or 80 full runs, unfinished trials, repeats and
finalists included; four trials run at a time. What counts is the accuracy after the last epoch, on the seeds held back,
of the setting that it would hand on then: of ours what the sweep itself calls the best, finalists before others; of the
others the best last value of a trial that was trained to the end.

- *Ours* is a real session with its record (`session_search.py`), with all defaults of a sweep, and once more without
  finalists.
- *Tuned* rules have the grace and the factor that ours has; the others what their tools do by themselves.
- *Oracle*: the setting that is best on the seeds held back, of those that the random search has trained to the end.
  *Limit*: of all settings of the table.

Intervals come from resampling searches and training seeds (`bootstrap.crossed_interval`); eight seeds are few, so that
they are rather too narrow. Differences are of pairs: one search seed, and so the same seeds shown and held back.
Tables that have not been made are left out, and the result says which; so is Syne Tune (0.13, in an environment of
its own, whose interpreter `--syne-tune` names).
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.bootstrap import crossed_interval, crossed_mean
from benchmarks.curve_maker import TABLES, path_of
from benchmarks.recorded_curves import EPOCHS, Table, read_table
from benchmarks.rows import panel, plot, row
from benchmarks.search_efficiency import quiet
from benchmarks.simulation import Floats

SEARCHES = 100
BUDGETS = (10, 20, 40, 80)
"""Epochs that a search has, in full runs."""
ROWS_AT = 40
"""The budget at which ours is compared with every contender in the table of results; all are in the JSON."""
HELD_BACK, LEAST_SHOWN = 3, 2
OURS, RANDOM, ORACLE, LIMIT = "ours", "random, full runs", "oracle", "limit"
OURS_WITHOUT, TPE = "ours, without finalists", "TPE, full runs"
RAY_TUNED, OPTUNA_TUNED = "Ray's ASHA, tuned", "Optuna's successive halving, tuned"
DRAWN = (OURS, OURS_WITHOUT, RANDOM, TPE, RAY_TUNED, OPTUNA_TUNED, ORACLE)
"""What the figure shows; more curves would hide each other."""


class Handed(NamedTuple):
    """What a search came to."""

    setting: int
    """The one that it would hand on, as its place in the table."""
    whole: tuple[int, ...]
    """The settings that it has trained to the end."""
    spent: int
    """Epochs, all trials together."""


Contender = Callable[[Table, int, int], Handed]
"""A search of a table with a seed, for so many epochs."""


class Split(NamedTuple):
    """Which training seeds of a table a search sees."""

    shown: tuple[int, ...]
    held_back: tuple[int, ...]


def split(seed: int, seeds: int) -> Split:
    """A search's own. Raises ValueError for a table that has too few seeds."""
    if seeds < HELD_BACK + LEAST_SHOWN:
        raise ValueError(
            f"the table has {seeds} whole seeds, must have {HELD_BACK + LEAST_SHOWN} or more; go on making it with "
            "python -m benchmarks.curve_maker"
        )
    order = np.random.default_rng([seed, seeds]).permutation(seeds).tolist()
    return Split(tuple(order[HELD_BACK:]), tuple(order[:HELD_BACK]))


def shown(table: Table, seed: int) -> Table:
    """The part of the table that a search sees, in the order in which its trials take the seeds."""
    return table._replace(accuracy=table.accuracy[:, list(split(seed, table.accuracy.shape[1]).shown)])


def first_shown(seed: int, seeds: int) -> int:
    """The training seed that a search's settings take when they come for the first time."""
    seen = split(seed, seeds).shown
    return seen[seed % len(seen)]


def handed(table: Table, name: str, seed: int, contenders: Mapping[str, Contender]) -> list[Handed]:
    """What a contender hands on, for each of the budgets."""
    return [contenders[name](shown(table, seed), seed, budget * EPOCHS) for budget in BUDGETS]


def worth(table: Table, settings: Sequence[int]) -> Floats:
    """Accuracy of what each search hands on, [searches, seeds], NaN on the seeds that it was shown."""
    final = table.accuracy[:, :, -1]
    values = np.full((len(settings), final.shape[1]), np.nan)
    for seed, setting in enumerate(settings):
        held = list(split(seed, final.shape[1]).held_back)
        values[seed, held] = final[setting, held]
    return values


def best_on_held_back(table: Table, seed: int, settings: Sequence[int]) -> int:
    """The setting of these whose mean on the seeds held back from a search is the highest."""
    held = list(split(seed, table.accuracy.shape[1]).held_back)
    return max(settings, key=lambda setting: float(table.accuracy[setting, held, -1].mean()))


def measure(searches: int = SEARCHES, syne_tune: str | None = None) -> Iterator[dict[str, Any]]:
    """Every contender on every table that has been made; anew whenever a table is done.

    Raises ValueError where there is no table.
    """
    from benchmarks.search_contenders import contenders

    there = {name: read_table(path_of(name)) for name in TABLES if path_of(name).exists()}
    if not there:
        raise ValueError("no table has been made; make one first, with python -m benchmarks.curve_maker fashion_mnist")
    for table in there.values():
        split(0, table.accuracy.shape[1])
    names = list(contenders(syne_tune))
    found: dict[str, dict[str, list[list[Handed]]]] = {}
    began = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=quiet) as pool:
        for name in there:
            found[name] = {}
            for contender in names:
                tasks = ([name] * searches, [contender] * searches, range(searches), [syne_tune] * searches)
                found[name][contender] = list(pool.map(_search, *tasks, chunksize=1))
                print(f"{name}, {contender}: {time.perf_counter() - began:.0f} s", flush=True)
            yield results(found, there, without=[] if syne_tune else ["Syne Tune's ASHA"])


def results(
    found: Mapping[str, Mapping[str, list[list[Handed]]]], tables: Mapping[str, Table], *, without: Sequence[str]
) -> dict[str, Any]:
    """Table -> contender -> search -> budget, made into numbers, rows and a figure; `without` are not among them."""
    judged = {name: judge(tables[name], found[name]) for name in found}
    return {
        "budgets_in_full_runs": BUDGETS,
        "searches": len(found[next(iter(found))][OURS]),
        "held_back": HELD_BACK,
        "without": [*(name for name in TABLES if name not in found), *without],
        "tables": {
            name: {
                "seeds": tables[name].accuracy.shape[1],
                "settings": len(tables[name].settings),
                "about": tables[name].about,
                "methods": {method: summary(values, judged[name]) for method, values in judged[name].items()},
            }
            for name in found
        },
        "rows": [line for name in found for line in rows(name, judged[name])],
        "plots": [figure(judged)],
    }


Judged = Mapping[str, list[Floats]]
"""Contender -> for each budget what its searches are worth, as `worth` has it."""


def judge(table: Table, found: Mapping[str, list[list[Handed]]]) -> dict[str, list[Floats]]:
    """What all contenders are worth, the oracle and the limit among them."""
    places = range(len(BUDGETS))
    settings = {name: [[one[at].setting for one in ones] for at in places] for name, ones in found.items()}
    settings[ORACLE] = [
        [best_on_held_back(table, seed, one[at].whole) for seed, one in enumerate(found[RANDOM])] for at in places
    ]
    every = range(len(table.settings))
    settings[LIMIT] = [[best_on_held_back(table, seed, every) for seed in range(len(found[RANDOM]))]] * len(BUDGETS)
    return {name: [worth(table, handed_on) for handed_on in each] for name, each in settings.items()}


def summary(values: Sequence[Floats], judged: Judged) -> list[dict[str, Any]]:
    """For each budget the accuracy, the regret to the limit and the gain over random full runs, in points."""
    first = firsts(values[0])
    found = []
    for at, budget in enumerate(BUDGETS):
        found.append(
            {
                "full_runs": budget,
                "accuracy": _points(values[at], first),
                "regret": _points(judged[LIMIT][at] - values[at], first),
                "gain_over_random": _points(values[at] - judged[RANDOM][at], first),
            }
        )
    return found


def firsts(values: Floats) -> Any:
    """The seed that each search began with."""
    searches, seeds = values.shape
    return np.array([first_shown(seed, seeds) for seed in range(searches)])


def _points(values: Floats, first: Any) -> dict[str, Any]:
    low, high = crossed_interval(100 * values, first)
    return {"mean": round(100 * crossed_mean(values), 3), "interval": [round(low, 3), round(high, 3)]}


def rows(name: str, judged: Judged) -> list[dict[str, Any]]:
    """Ours against random at every budget, and against every contender at one of them."""
    others = [other for other in judged if other not in (OURS, RANDOM)]
    pairs = [(budget, RANDOM) for budget in BUDGETS] + [(ROWS_AT, other) for other in others]
    return [line(name, judged, budget, other) for budget, other in pairs]


def line(name: str, judged: Judged, budget: int, other: str) -> dict[str, Any]:
    """Accuracy of what ours and another hand on at one budget, and by how much ours is better."""
    at = BUDGETS.index(budget)
    mine, theirs = judged[OURS][at], judged[other][at]
    gain = _points(mine - theirs, firsts(mine))
    return row(
        f"{name}, {budget} full runs' epochs: accuracy on unseen seeds of what is handed on, against {other}",
        ours=100 * crossed_mean(mine),
        other=100 * crossed_mean(theirs),
        unit="%",
        value=gain["mean"],
        value_unit="points",
        note=f"means of {len(mine)} searches; the difference's 95 % interval is {gain['interval'][0]:.2f} to "
        f"{gain['interval'][1]:.2f} points",
    )


def figure(judged: Mapping[str, Judged]) -> dict[str, Any]:
    """Accuracy of what is handed on against the budget, a panel for each table."""
    return plot(
        "honest_search.png",
        [
            panel(
                name,
                x="epochs, in full runs",
                y="accuracy on unseen seeds, %",
                series={
                    method: [[(budget, round(100 * crossed_mean(values[at]), 3)) for at, budget in enumerate(BUDGETS)]]
                    for method in DRAWN
                    if (values := methods.get(method)) is not None
                },
            )
            for name, methods in judged.items()
        ],
    )


@lru_cache(maxsize=1)
def _table(path: Path) -> Table:
    return read_table(path)


def _search(name: str, contender: str, seed: int, syne_tune: str | None) -> list[Handed]:
    from benchmarks.search_contenders import contenders

    return handed(_table(path_of(name)), contender, seed, contenders(syne_tune))
