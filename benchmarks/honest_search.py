"""What whole searches hand on, on training seeds that they have never seen, at equal epochs: ours and the others.

    python -m benchmarks.curve_maker fashion_mnist     # and digits, and cifar10: once, at most 45 minutes each
    python -m benchmarks run honest_search [--syne-tune PYTHON]     # a quarter of an hour a table, two idle cores

Each search looks its trials up in a table of real curves of eight training seeds (`curve_maker.py`). A permutation
drawn for its search seed, the same one for all contenders, holds three of these back and shows it the other five. It
goes on until its trials have trained for the epochs of 40 full runs, a main contender also for those of 10, 20 and 80,
unfinished trials, repeats and finalists included; four trials run at a time. What counts is the accuracy after the last
epoch on test images, or on validation images where a table has no others, on the seeds held back, of the setting that
it would hand on then: of ours what the sweep itself calls the best, finalists before others; of the others the best
last value of a trial that was trained to the end.

- *Ours* is a real session with its record (`session_search.py`), with all defaults of a sweep; once more without
  finalists, and with rungs that compare something else than the median of the last five epochs.
- *Tuned* rules have the grace and the factor that ours has; the others what their tools do by themselves.
- *Oracle*: the setting that is best on the seeds held back, of those that the random search has trained to the end.
  *Limit*: of all settings of the table.

`honest_results.py` has what is made of it. Tables that have not been made are left out, and the result says which; so
is Syne Tune (0.13, in an environment of its own, whose interpreter `--syne-tune` names).
"""

import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.curve_maker import TABLES, path_of
from benchmarks.recorded_curves import EPOCHS, Table, read_table

SEARCHES = 50
BUDGETS = (10, 20, 40, 80)
"""Epochs that a search of a main contender has, in full runs."""
ROWS_AT = 40
"""The budget of the others, at which ours is compared with all in the table of results."""
HELD_BACK, LEAST_SHOWN = 3, 2
OURS, RANDOM, ORACLE, LIMIT = "ours", "random, full runs", "oracle", "limit"
OURS_WITHOUT, TPE = "ours, without finalists", "TPE, full runs"
RAY_TUNED, OPTUNA_TUNED = "Ray's ASHA, tuned", "Optuna's successive halving, tuned"
SYNE_TUNED = "Syne Tune's ASHA, tuned"
MAIN = (OURS, RANDOM, TPE, RAY_TUNED, OPTUNA_TUNED, SYNE_TUNED)


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
Found = dict[str, list[dict[int, Handed]]]
"""Contender -> search -> budget -> what it came to."""


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
    seen = list(split(seed, table.accuracy.shape[1]).shown)
    return table._replace(accuracy=table.accuracy[:, seen], tested=None)


def first_shown(seed: int, seeds: int) -> int:
    """The training seed that a search's settings take when they come for the first time."""
    seen = split(seed, seeds).shown
    return seen[seed % len(seen)]


def handed(table: Table, name: str, seed: int, contenders: Mapping[str, Contender]) -> dict[int, Handed]:
    """What a contender hands on, by budget."""
    budgets = BUDGETS if name in MAIN else (ROWS_AT,)
    return {budget: contenders[name](shown(table, seed), seed, budget * EPOCHS) for budget in budgets}


def measure(searches: int = SEARCHES, syne_tune: str | None = None) -> Iterator[dict[str, Any]]:
    """Every contender on every table that has been made; anew whenever a table is done.

    Raises ValueError where there is no table.
    """
    from benchmarks.honest_results import results
    from benchmarks.search_contenders import contenders

    there = {name: read_table(path_of(name)) for name in TABLES if path_of(name).exists()}
    if not there:
        raise ValueError("no table has been made; make one first, with python -m benchmarks.curve_maker fashion_mnist")
    for table in there.values():
        split(0, table.accuracy.shape[1])
    names = list(contenders(syne_tune))
    found: dict[str, Found] = {}
    began = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=quiet) as pool:
        for name in there:
            found[name] = {}
            for contender in names:
                tasks = ([name] * searches, [contender] * searches, range(searches), [syne_tune] * searches)
                found[name][contender] = list(pool.map(_search, *tasks, chunksize=1))
                print(f"{name}, {contender}: {time.perf_counter() - began:.0f} s", flush=True)
            yield results(found, there, without=[] if syne_tune else [SYNE_TUNED])


def quiet() -> None:
    """What a worker does first."""
    import optuna
    import torch

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray").setLevel(logging.ERROR)


@lru_cache(maxsize=1)
def _table(path: Path) -> Table:
    return read_table(path)


def _search(name: str, contender: str, seed: int, syne_tune: str | None) -> dict[int, Handed]:
    from benchmarks.search_contenders import contenders

    return handed(_table(path_of(name)), contender, seed, contenders(syne_tune))
