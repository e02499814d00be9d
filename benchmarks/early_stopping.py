"""What stopping trials early costs and saves, on made-up mixup curves: strong mixing rises late but ends higher.

    python benchmarks/early_stopping.py [--repeats 100]

Our rule with its defaults and less one part at a time, Ray's ASHA and no stopping get the same trials, curves, order
and epoch times. Trials run in 4 slots and are decided on as their reports come in. No model is trained.
docs/early_stopping.md says what the numbers mean; its figure is drawn here.

The constants of the curves were fitted so that Ray's ASHA alone comes out as in an earlier study of such curves
(`FITTED_TO`); what ours does with them had no part in it.
"""

import argparse
import heapq
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from evidence import write
from mixup_curves import EPOCHS, SPACE, TRIALS, Curves, Floats, Sweep, make_sweep, seats_of
from optuna.trial import FrozenTrial, TrialState
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from tune_mixup.tuning.control_group import ControlGroup
from tune_mixup.tuning.scheduler import Seat
from tune_mixup.tuning.seats import RULES, Raise

SLOTS = 4
"""Trials at a time."""
SEVERITIES = {"none": 0.0, "mild": 0.028, "strong": 0.2}
"""How much longer the strongest mixing takes to rise than none, as a share."""
CONDITIONS = {
    **{name: (slower, Curves()) for name, slower in SEVERITIES.items()},
    "strong, noisy epochs": (SEVERITIES["strong"], Curves(noise=5 * Curves().noise)),
}
"""Name -> how much slower strong mixing is, and the law of the curves; noise as in training logs is larger still."""


class Judge(Protocol):
    """A method of stopping at work on one sweep."""

    def begin(self, trial: int) -> None:
        """A trial begins."""

    def report(self, trial: int, epoch: int) -> bool:
        """Whether a trial stops after an epoch; not asked after the last one."""

    def end(self, trial: int, epoch: int) -> None:
        """A trial has ended after `epoch` epochs."""


class Ours:
    """Our rule, seats and control group, put together as `tuning/session.py` does."""

    def __init__(self, sweep: Sweep, repeat: int, **options: Any) -> None:
        self.places = seats_of(repeat, **options)
        self.config = self.places.config
        self.settings = sweep.settings
        self.values = sweep.median if self.config.metric.endswith("_median") else sweep.raw
        self.rule = RULES[self.config.scheduler](self.config)
        self.rows = self.values.tolist()
        self.control = ControlGroup(self.config, self.places)
        self.seats: dict[int, Seat] = {}
        self.grace: list[Raise] = []

    def begin(self, trial: int) -> None:
        raised = self.control.longer_grace(trial, self.grace) if self.rule.has_rungs else None
        if raised is not None:
            self.grace.append(raised)
        self.seats[trial] = self.places.of(trial, self.settings[trial], self.grace)

    def report(self, trial: int, epoch: int) -> bool:
        decision = self.rule.report(trial, epoch, self.rows[trial][epoch - 1], self.seats[trial])
        return decision is not None and decision.stop

    def end(self, trial: int, epoch: int) -> None:
        if epoch == EPOCHS:
            self.rule.note(trial, epoch, self.rows[trial][-1], self.seats[trial])
        self.control.note(self._frozen(trial, epoch), self.settings[trial])

    def _frozen(self, trial: int, epoch: int) -> FrozenTrial:
        values = dict(enumerate(self.rows[trial][:epoch], start=1))
        return FrozenTrial(
            number=trial, trial_id=trial, value=None, datetime_start=None, datetime_complete=None,
            state=TrialState.COMPLETE if epoch == EPOCHS else TrialState.PRUNED,
            params={}, distributions={}, user_attrs={}, system_attrs={}, intermediate_values=values,
        )  # fmt: skip


class RayTrial(NamedTuple):
    """All that Ray's scheduler wants of a trial."""

    trial_id: str


class Rays:
    """Ray's own ASHA, called as its controller does; `max_t` is what a user must set, the rest its defaults."""

    def __init__(self, sweep: Sweep, repeat: int, **options: Any) -> None:
        self.rows = sweep.raw.tolist()
        self.scheduler = AsyncHyperBandScheduler(metric="accuracy", mode="max", max_t=EPOCHS, **options)

    def begin(self, trial: int) -> None:
        self.scheduler.on_trial_add(cast(Any, None), cast(Any, RayTrial(str(trial))))

    def report(self, trial: int, epoch: int) -> bool:
        result = {"training_iteration": epoch, "accuracy": self.rows[trial][epoch - 1]}
        answer = self.scheduler.on_trial_result(cast(Any, None), cast(Any, RayTrial(str(trial))), result)
        return answer == TrialScheduler.STOP

    def end(self, trial: int, epoch: int) -> None:
        result = {"training_iteration": epoch, "accuracy": self.rows[trial][epoch - 1]}
        self.scheduler.on_trial_complete(cast(Any, None), cast(Any, RayTrial(str(trial))), result)


def run(sweep: Sweep, judge: Judge) -> list[int]:
    """How many epochs each trial was trained for: reports are judged in the order of their times."""
    reached = [0] * TRIALS
    ends = sweep.ends.tolist()
    waiting = iter(range(TRIALS))
    running: list[tuple[float, int, float]] = []

    def begin(now: float) -> None:
        trial = next(waiting, None)
        if trial is not None:
            judge.begin(trial)
            heapq.heappush(running, (now + ends[trial][0], trial, now))

    for _ in range(SLOTS):
        begin(0.0)
    while running:
        now, trial, began = heapq.heappop(running)
        reached[trial] += 1
        epoch = reached[trial]
        if epoch == EPOCHS or judge.report(trial, epoch):
            judge.end(trial, epoch)
            begin(now)
        else:
            heapq.heappush(running, (began + ends[trial][epoch], trial, began))
    return reached


class Outcome(NamedTuple):
    """What came of one sweep."""

    regret: float
    """Points of accuracy, without noise: the best trial's less those of the one selected by our leaderboard."""
    regret_by_last: float
    """Likewise when the highest last report of any trial is selected, as Ray's `get_best_result` does."""
    kept: float
    """1 when the best trial was trained to the end, else 0."""
    cost: float
    """Epochs trained, as a share of all trials' full budgets."""


def outcome(sweep: Sweep, reached: Sequence[int]) -> Outcome:
    last = np.array(reached)
    row = np.arange(TRIALS)
    complete = last == EPOCHS
    selected = np.where(complete, sweep.median[:, -1], sweep.median[row, last - 1] - 1000).argmax()
    by_last = sweep.raw[row, last - 1].argmax()
    best = sweep.true.argmax()
    return Outcome(
        regret=float(sweep.true[best] - sweep.true[selected]),
        regret_by_last=float(sweep.true[best] - sweep.true[by_last]),
        kept=float(complete[best]),
        cost=float(last.mean() / EPOCHS),
    )


METHODS: dict[str, Callable[[Sweep, int], Judge]] = {
    "ours": Ours,
    "ours, strata none": partial(Ours, strata="none"),
    "ours, not smoothed": partial(Ours, metric="val_accuracy", smoothing=1),
    "ours, no control group": partial(Ours, control_fraction=0.0),
    "ours, grace 10": partial(Ours, grace_epochs=10),
    "ours, hyperband": partial(Ours, scheduler="hyperband"),
    "ray, default": Rays,
    "ray, grace 20, eta 3": partial(Rays, grace_period=20, reduction_factor=3),
    "ray, grace 10, eta 3": partial(Rays, grace_period=10, reduction_factor=3),
    "ray, grace 40, eta 3": partial(Rays, grace_period=40, reduction_factor=3),
    "no stopping": partial(Ours, scheduler="none"),
}
"""Method -> what judges one sweep; those of Ours are a sweep's options that differ from the defaults."""
UNSHOWN = ("ray, grace 40, eta 3",)
"""Methods that the figure leaves out."""
TARGET = {"regret": 0.05, "cost": 0.26}
FITTED_TO = {
    "none": {"ray, default": (0.70, 0.05), "ray, grace 10, eta 3": (0.83, 0.05), "ray, grace 20, eta 3": (0.90, 0.05),
             "ray, grace 40, eta 3": (0.93, 0.04)},
    "mild": {"ray, default": (0.33, 0.21), "ray, grace 10, eta 3": (0.80, 0.05), "ray, grace 20, eta 3": (0.93, 0.05),
             "ray, grace 40, eta 3": (0.97, 0.03)},
    "strong": {"ray, default": (0.07, 0.69), "ray, grace 10, eta 3": (0.07, 0.42), "ray, grace 20, eta 3": (0.50, 0.12),
               "ray, grace 40, eta 3": (0.80, 0.05)},
}  # fmt: skip
"""Share of repeats that kept the best trial, and regret by last, in the earlier study (30 repeats)."""


def interval(values: Floats, *, level: float = 0.95, resamples: int = 10_000) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (resamples, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def summarise(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Mean and 95 % bootstrap interval of each measure."""
    table = np.array(outcomes)
    return {
        name: {"mean": round(float(values.mean()), 4), "interval": [round(end, 4) for end in interval(values)]}
        for name, values in zip(Outcome._fields, table.T, strict=True)
    }


def draw_figure(cells: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Regret against cost, a panel per severity; bars are 95 % intervals."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(SEVERITIES), figsize=(12, 4.4), sharey=True, layout="constrained")
    shown = [name for name in METHODS if name not in UNSHOWN]
    for panel, severity in zip(panels, SEVERITIES, strict=True):
        for index, name in enumerate(shown):
            cell = cells[severity][name]
            regret, cost = cell["regret"], cell["cost"]["mean"]
            bars = [[regret["mean"] - regret["interval"][0]], [regret["interval"][1] - regret["mean"]]]
            panel.errorbar(
                100 * cost, regret["mean"], yerr=bars, fmt="osD^vPX*hp"[index], color=f"C{index}", markersize=7,
                capsize=3, label=name,
            )  # fmt: skip
        panel.axhline(TARGET["regret"], color="grey", linestyle=":", linewidth=1)
        panel.axvline(100 * TARGET["cost"], color="grey", linestyle=":", linewidth=1)
        panel.set_title(f"slow start: {severity}")
        panel.set_xlabel("epochs trained, % of full budgets")
        panel.set_xscale("log")
        panel.set_xticks([5, 10, 20, 26, 50, 100], ["5", "10", "20", "26", "50", "100"])
        panel.minorticks_off()
        panel.set_yscale("log")
    panels[0].set_ylabel("regret, points of accuracy")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=100)
    repeats = parser.parse_args().repeats
    outcomes: dict[str, dict[str, list[Outcome]]] = {name: {method: [] for method in METHODS} for name in CONDITIONS}
    began = time.monotonic()
    for repeat in range(repeats):
        for condition, (slower, law) in CONDITIONS.items():
            sweep = make_sweep(repeat, slower, law)
            for name, method in METHODS.items():
                outcomes[condition][name].append(outcome(sweep, run(sweep, method(sweep, repeat))))
        if (repeat + 1) % 10 == 0:
            print(f"{repeat + 1} of {repeats} repeats, {time.monotonic() - began:.0f} s", flush=True)
    cells = {
        condition: {name: summarise(found) for name, found in methods.items()}
        for condition, methods in outcomes.items()
    }
    draw_figure(cells, Path(__file__).resolve().parents[1] / "docs" / "early_stopping.png")
    setting = {
        "repeats": repeats, "trials": TRIALS, "epochs": EPOCHS, "slots": SLOTS, "space": SPACE,
        "conditions": {name: {"slower": slower, **law._asdict()} for name, (slower, law) in CONDITIONS.items()},
        "target": TARGET, "fitted_to": FITTED_TO,
    }  # fmt: skip
    write("early_stopping", {**setting, "cells": cells})
    for condition, methods in cells.items():
        print(f"\n{condition:28s} regret (interval)         kept  cost    regret by last")
        for name, cell in methods.items():
            low, high = cell["regret"]["interval"]
            print(
                f"{name:28s} {cell['regret']['mean']:.3f} ({low:.3f} to {high:.3f})   {cell['kept']['mean']:.2f}  "
                f"{cell['cost']['mean']:6.1%}  {cell['regret_by_last']['mean']:.3f}"
            )


if __name__ == "__main__":
    main()
