"""What `honest_search.py` has measured, made into numbers with intervals, rows of the table and a figure.

Intervals come from resampling searches and training seeds (`bootstrap.crossed_means`); eight seeds are few, so that
they are rather too narrow. Differences are of pairs: one search seed, and so the same seeds shown and held back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.bootstrap import crossed_interval, crossed_mean, crossed_means, quantiles
from benchmarks.curve_maker import TABLES
from benchmarks.honest_search import (
    BUDGETS,
    HELD_BACK,
    LIMIT,
    MAIN,
    ORACLE,
    OURS,
    RANDOM,
    RAY_TUNED,
    ROWS_AT,
    Found,
    first_shown,
    split,
)
from benchmarks.recorded_curves import Table, describe
from benchmarks.rows import panel, plot, row
from benchmarks.simulation import Floats

Judged = Mapping[str, Mapping[int, Floats]]
"""Contender -> budget -> what its searches are worth, as `worth` has it."""


def results(found: Mapping[str, Found], tables: Mapping[str, Table], *, without: Sequence[str]) -> dict[str, Any]:
    """What was found on each table, made into numbers, rows and a figure; `without` are not among the contenders."""
    judged = {name: judge(tables[name], found[name]) for name in found}
    return {
        "budgets_in_full_runs": BUDGETS,
        "searches": len(found[next(iter(found))][OURS]),
        "held_back": HELD_BACK,
        "without": [*(name for name in TABLES if name not in found), *without],
        "tables": {
            name: {
                **describe(tables[name]),
                "about": tables[name].about,
                "methods": {method: summary(method, judged[name]) for method in judged[name]},
                "without_a_whole_trial": {
                    method: {budget: fruitless(ones, budget) for budget in ones[0]}
                    for method, ones in found[name].items()
                },
            }
            for name in found
        },
        "rows": [line for name in found for line in rows(name, judged[name], found[name])],
        "plots": [figure(judged)],
    }


def judge(table: Table, found: Found) -> dict[str, dict[int, Floats]]:
    """What all contenders are worth, the oracle and the limit among them."""
    settings = {
        name: {budget: [one[budget].setting for one in ones] for budget in ones[0]} for name, ones in found.items()
    }
    every = range(len(table.settings))
    limit = [best_on_held_back(table, seed, every) for seed in range(len(found[RANDOM]))]
    settings[LIMIT] = dict.fromkeys(BUDGETS, limit)
    settings[ORACLE] = {
        budget: [best_on_held_back(table, seed, one[budget].whole) for seed, one in enumerate(found[RANDOM])]
        for budget in BUDGETS
    }
    return {
        name: {budget: worth(table, handed_on) for budget, handed_on in each.items()} for name, each in settings.items()
    }


def worth(table: Table, settings: Sequence[int]) -> Floats:
    """Accuracy of what each search hands on, [searches, seeds], NaN on the seeds that it was shown."""
    final = table.final
    values = np.full((len(settings), final.shape[1]), np.nan)
    for seed, setting in enumerate(settings):
        held = list(split(seed, final.shape[1]).held_back)
        values[seed, held] = final[setting, held]
    return values


def best_on_held_back(table: Table, seed: int, settings: Sequence[int]) -> int:
    """The setting of these whose mean on the seeds held back from a search is the highest."""
    held = list(split(seed, table.accuracy.shape[1]).held_back)
    return max(settings, key=lambda setting: float(table.final[setting, held].mean()))


def summary(method: str, judged: Judged) -> list[dict[str, Any]]:
    """For each of its budgets a method's accuracy, regret to the limit and gain over random full runs, in points."""
    return [
        {
            "full_runs": budget,
            "accuracy": _points(values),
            "regret": _points(judged[LIMIT][budget] - values),
            "gain_over_random": _points(values - judged[RANDOM][budget]),
        }
        for budget, values in judged[method].items()
    ]


def fruitless(ones: Sequence[Mapping[int, Any]], budget: int) -> int:
    """How many searches of a contender have ended without a trial that was trained to the end."""
    return sum(not one[budget].whole for one in ones)


def firsts(values: Floats) -> Any:
    """The seed that each search began with."""
    searches, seeds = values.shape
    return np.array([first_shown(seed, seeds) for seed in range(searches)])


def _points(values: Floats) -> dict[str, Any]:
    low, high = crossed_interval(100 * values, firsts(values))
    return {"mean": round(100 * crossed_mean(values), 3), "interval": [round(low, 3), round(high, 3)]}


def rows(name: str, judged: Judged, found: Found) -> list[dict[str, Any]]:
    """The targets first, then ours against random at every budget, and against every contender at one of them."""
    others = [other for other in judged if other not in (OURS, RANDOM)]
    least = min(BUDGETS)
    return [
        fewer(name, judged),
        line(name, judged, ROWS_AT // 2, RANDOM, theirs_at=ROWS_AT, at_least=0),
        *(line(name, judged, ROWS_AT, other, **({"at_least": 0} if other == RAY_TUNED else {})) for other in others),
        *(line(name, judged, budget, RANDOM) for budget in BUDGETS),
        row(
            f"{name}, {least} full runs' epochs: searches that end without a trial trained to the end",
            ours=fruitless(found[OURS], least), unit="searches", value=fruitless(found[OURS], least),
            value_unit="searches", at_most=0,
        ),
    ]  # fmt: skip


def line(
    name: str, judged: Judged, budget: int, other: str, *, theirs_at: int | None = None, **target: float
) -> dict[str, Any]:
    """Accuracy of what ours and another hand on at one budget, or the other at `theirs_at`, and the difference."""
    mine, theirs = judged[OURS][budget], judged[other][theirs_at or budget]
    gain = _points(mine - theirs)
    at = "" if theirs_at is None else f" with {theirs_at}"
    return row(
        f"{name}, {budget} full runs' epochs: accuracy on unseen seeds of what is handed on, against {other}{at}",
        ours=100 * crossed_mean(mine),
        other=100 * crossed_mean(theirs),
        unit="%",
        value=gain["mean"],
        value_unit="points",
        note=f"means of {len(mine)} searches; the difference's 95 % interval is {gain['interval'][0]:.2f} to "
        f"{gain['interval'][1]:.2f} points",
        **target,
    )


def fewer(name: str, judged: Judged) -> dict[str, Any]:
    """By how many times fewer epochs than random full runs ours comes to what these come to with `ROWS_AT`."""
    wanted, mine = judged[RANDOM][ROWS_AT], judged[OURS]
    times = fold({budget: crossed_mean(values) for budget, values in mine.items()}, crossed_mean(wanted))
    goals = crossed_means(wanted, firsts(wanted))
    drawn = {budget: crossed_means(values, firsts(values)) for budget, values in mine.items()}
    draws = [
        fold({budget: float(values[at]) for budget, values in drawn.items()}, float(goal))
        for at, goal in enumerate(goals)
    ]
    low, high = quantiles(np.array(draws))
    return row(
        f"{name}: epochs to what random's {ROWS_AT} full runs come to on unseen seeds, random / ours",
        ours=ROWS_AT / times,
        other=ROWS_AT,
        unit="full runs",
        value=round(times, 3),
        value_unit="x",
        at_least=2,
        note=f"between budgets by a line over the logarithm of epochs; no more can be told than {min(BUDGETS)} to "
        f"{max(BUDGETS)} full runs; the 95 % interval is {low:.2f} to {high:.2f}",
    )


def fold(mine: Mapping[int, float], wanted: float) -> float:
    """`ROWS_AT` by the budget at which a line through `mine`, over the budget's logarithm, first has `wanted`.

    One that has it from the least budget on counts as that one's, one that never has it as the largest one's.
    """
    budgets = sorted(mine)
    for before, after in zip(budgets, budgets[1:], strict=False):
        low, high = mine[before], mine[after]
        if low >= wanted:
            return ROWS_AT / before
        if high >= wanted:
            share = (wanted - low) / (high - low)
            return float(ROWS_AT / (before * (after / before) ** share))
    return ROWS_AT / budgets[-1]


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
                    method: [[(budget, round(100 * crossed_mean(values), 3)) for budget, values in found.items()]]
                    for method in (*MAIN, ORACLE)
                    if (found := methods.get(method)) is not None
                },
            )
            for name, methods in judged.items()
        ],
    )
