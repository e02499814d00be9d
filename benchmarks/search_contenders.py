"""Who is compared in `honest_search.py`: each searches the table that it is shown until its epochs are used up."""

import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

from optuna.pruners import NopPruner, SuccessiveHalvingPruner
from optuna.samplers import RandomSampler, TPESampler

from benchmarks.honest_search import (
    OPTUNA_TUNED,
    OURS,
    OURS_WITHOUT,
    RANDOM,
    RAY_TUNED,
    SYNE_TUNED,
    TPE,
    Contender,
    Handed,
)
from benchmarks.recorded_curves import Table
from benchmarks.session_search import GRACE, RUNGS, swept
from benchmarks.simulation import Search
from benchmarks.table_search import Optunas, Rays

FACTOR = 3
"""Of the trials that reach a rung of ours, one of so many goes on."""


def contenders(syne_tune: str | None) -> dict[str, Contender]:
    """Name -> search; Syne Tune's only where its interpreter is given. Raises ValueError where that is no program."""
    found: dict[str, Contender] = {
        OURS: ours,
        OURS_WITHOUT: partial(ours, finalists_share=0.0),
        **{f"ours, rungs of {kind}": partial(ours, rungs=kind) for kind in RUNGS if kind != "medians"},
        RANDOM: _of(partial(Optunas, sampler=RandomSampler, pruner=NopPruner)),
        TPE: _of(partial(Optunas, sampler=TPESampler, pruner=NopPruner)),
        RAY_TUNED: _of(partial(Rays, grace_period=GRACE, reduction_factor=FACTOR)),
        "Ray's ASHA with its defaults": _of(Rays),
        OPTUNA_TUNED: _of(partial(Optunas, sampler=TPESampler, pruner=_tuned_pruner)),
        "Optuna's successive halving with its defaults": _of(
            partial(Optunas, sampler=TPESampler, pruner=SuccessiveHalvingPruner)
        ),
    }
    if syne_tune is not None:
        if shutil.which(syne_tune) is None:
            raise ValueError(f"--syne-tune: got {syne_tune}, must be an interpreter that has Syne Tune 0.13")
        from benchmarks.syne_tune_search import SyneTunes

        found[SYNE_TUNED] = _of(partial(SyneTunes, python=syne_tune, grace_period=GRACE, reduction_factor=FACTOR))
    return found


def ours(table: Table, seed: int, budget: int, **options: Any) -> Handed:
    """Our sweep as a user gets it; `options` are those of `swept` that differ."""
    with swept(table, seed, budget, **options) as search:
        return _handed(search, budget)


def _of(made: Callable[[Table, int], Search]) -> Contender:
    def searched(table: Table, seed: int, budget: int) -> Handed:
        return _handed(made(table, seed), budget)

    return searched


def _handed(search: Search, budget: int) -> Handed:
    steps = search.run(lambda now: now.spent >= budget)
    whole = {step.trained for step in steps if step.trained is not None}
    return Handed(search.handed_on(), tuple(sorted(whole)), search.spent)


def _tuned_pruner() -> SuccessiveHalvingPruner:
    return SuccessiveHalvingPruner(min_resource=GRACE, reduction_factor=FACTOR)
