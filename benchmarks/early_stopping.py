"""What stopping trials early costs and saves, on made-up mixup curves: strong mixing rises late but ends higher.

Our rule with its defaults and one part at a time changed, Ray's ASHA and no stopping get the same trials, curves, order
and epoch times. Trials run in 4 slots and are decided on as their reports come in. No model is trained.
docs/early_stopping.md says what the numbers mean.

The constants of the curves were fitted so that Ray's ASHA alone comes out as in an earlier study of such curves
(`FITTED_TO`); what ours does with them had no part in it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from typing_extensions import override

from benchmarks.bootstrap import interval
from benchmarks.mixup_curves import EPOCHS, SPACE, TRIALS, Curves, Sweep, make_sweep, seats_of
from benchmarks.rows import marks, plot, row
from benchmarks.simulation import SLOTS, Floats, Search, Step, medians
from benchmarks.stoppers import OurStopper, RayStopper, Stopper

SEVERITIES = {"none": 0.0, "mild": 0.028, "strong": 0.2}
"""How much longer the strongest mixing takes to rise than none, as a share."""
CONDITIONS = {
    **{name: (slower, Curves()) for name, slower in SEVERITIES.items()},
    "strong, noisy epochs": (SEVERITIES["strong"], Curves(noise=5 * Curves().noise)),
}
"""Name -> how much slower strong mixing is, and the law of the curves; noise as in training logs is larger still."""


EQUAL = 16
"""Full budgets after which methods are compared at equal cost."""


class Given(Search):
    """The sweep's trials in their order, at their times, stopped by one rule."""

    def __init__(self, sweep: Sweep, stopper: Stopper, *, smoothed: bool) -> None:
        """`smoothed`: whether the rule is told medians of the last epochs."""
        super().__init__(sweep, seed=0)
        self.sweep, self.stopper, self.smoothed = sweep, stopper, smoothed

    @override
    def ask(self, trial: int) -> int:
        self.stopper.begin(trial, trial)
        return trial

    @override
    def watch(self, accuracy: Floats) -> list[float]:
        return medians(accuracy) if self.smoothed else super().watch(accuracy)

    @override
    def judge(self, trial: int, epoch: int, value: float) -> bool:
        return self.stopper.report(trial, epoch, value)

    @override
    def tell(self, trial: int, epoch: int, value: float) -> None:
        self.stopper.end(trial, epoch, value)

    @override
    def ends(self, trial: int) -> list[float]:
        times: list[float] = self.sweep.ends[trial].tolist()
        return times


def ours(sweep: Sweep, repeat: int, **options: Any) -> Given:
    """Our rule, seats and control group; `options` are a sweep's that differ from its defaults."""
    places = seats_of(repeat, **options)
    stopper = OurStopper(places, lambda setting: sweep.settings[setting])
    return Given(sweep, stopper, smoothed=places.config.metric.endswith("_median"))


def rays(sweep: Sweep, repeat: int, **options: Any) -> Given:
    """Ray's own ASHA; `options` are its arguments beside `max_t`."""
    return Given(sweep, RayStopper(max_t=EPOCHS, **options), smoothed=False)


def run_sweep(search: Search) -> list[int]:
    """How many epochs each trial of a sweep was trained for."""
    search.run(trials=TRIALS)
    return search.reached


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
    regret_at_equal_cost: float
    """The regret once the sweep has spent `EQUAL` full budgets, whatever number of trials that was."""


def outcome(sweep: Sweep, reached: Sequence[int], steps: Sequence[Step]) -> Outcome:
    last = np.array(reached)
    row = np.arange(TRIALS)
    complete = last == EPOCHS
    selected = np.where(complete, sweep.median[:, -1], sweep.median[row, last - 1] - 1000).argmax()
    by_last = sweep.raw[row, last - 1].argmax()
    best = sweep.true.argmax()
    within = [step.incumbent for step in steps if step.spent <= EQUAL * EPOCHS]
    return Outcome(
        regret=float(sweep.true[best] - sweep.true[selected]),
        regret_by_last=float(sweep.true[best] - sweep.true[by_last]),
        kept=float(complete[best]),
        cost=float(last.mean() / EPOCHS),
        regret_at_equal_cost=float(sweep.true[best] - sweep.true[within[-1]]),
    )


GRACES = (10, 23, 30, 40, 67)
"""Epochs beside our own 18: some more, among them a ninth of all, a fifth and a third."""
METHODS: dict[str, Callable[[Sweep, int], Given]] = {
    "ours": ours,
    "ours, strata none": partial(ours, strata="none"),
    "ours, not smoothed": partial(ours, metric="val_accuracy", smoothing=1),
    "ours, control group": partial(ours, control_fraction=0.05),
    **{f"ours, grace {epochs}": partial(ours, grace_epochs=epochs) for epochs in GRACES},
    "ours, hyperband": partial(ours, scheduler="hyperband"),
    "ray, default": rays,
    "ray, grace 20, eta 3": partial(rays, grace_period=20, reduction_factor=3),
    "ray, grace 10, eta 3": partial(rays, grace_period=10, reduction_factor=3),
    "ray, grace 40, eta 3": partial(rays, grace_period=40, reduction_factor=3),
    "no stopping": partial(ours, scheduler="none"),
}
"""Method -> what judges one sweep; those of `ours` are a sweep's options that differ from the defaults."""
UNSHOWN = ("ray, grace 40, eta 3", *(f"ours, grace {epochs}" for epochs in GRACES[1:]))
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


def summarise(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Mean and 95 % bootstrap interval of each measure."""
    table = np.array(outcomes)
    return {
        name: {
            "mean": round(float(values.mean()), 4),
            "interval": [round(end, 4) for end in interval([values], np.mean)],
        }
        for name, values in zip(Outcome._fields, table.T, strict=True)
    }


def figure(cells: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Regret against cost, a panel per severity; bars are 95 % intervals."""
    panels = []
    for severity in SEVERITIES:
        points = {}
        for name in METHODS:
            if name not in UNSHOWN:
                regret, cost = cells[severity][name]["regret"], cells[severity][name]["cost"]["mean"]
                points[name] = [100 * cost, regret["mean"], *regret["interval"]]
        panels.append(
            marks(
                f"slow start: {severity}",
                x="epochs trained, % of full budgets",
                y="regret, points of accuracy",
                points=points,
                aim=(100 * TARGET["cost"], TARGET["regret"]),
                x_ticks=(5, 10, 20, 26, 50, 100),
            )
        )
    return plot("early_stopping.png", panels)


def measure(repeats: int = 100) -> dict[str, Any]:
    outcomes: dict[str, dict[str, list[Outcome]]] = {name: {method: [] for method in METHODS} for name in CONDITIONS}
    began = time.monotonic()
    for repeat in range(repeats):
        for condition, (slower, law) in CONDITIONS.items():
            sweep = make_sweep(repeat, slower, law)
            for name, method in METHODS.items():
                search = method(sweep, repeat)
                outcomes[condition][name].append(outcome(sweep, run_sweep(search), search.steps))
        if (repeat + 1) % 10 == 0:
            print(f"{repeat + 1} of {repeats} repeats, {time.monotonic() - began:.0f} s", flush=True)
    cells = {
        condition: {name: summarise(found) for name, found in methods.items()}
        for condition, methods in outcomes.items()
    }
    setting = {
        "repeats": repeats, "trials": TRIALS, "epochs": EPOCHS, "slots": SLOTS, "space": SPACE, "equal": EQUAL,
        "conditions": {name: {"slower": slower, **law._asdict()} for name, (slower, law) in CONDITIONS.items()},
        "target": TARGET, "fitted_to": FITTED_TO,
    }  # fmt: skip
    for condition, methods in cells.items():
        print(f"\n{condition:28s} regret (interval)         kept  cost    by last  at equal cost")
        for name, cell in methods.items():
            low, high = cell["regret"]["interval"]
            print(
                f"{name:28s} {cell['regret']['mean']:.3f} ({low:.3f} to {high:.3f})   {cell['kept']['mean']:.2f}  "
                f"{cell['cost']['mean']:6.1%}  {cell['regret_by_last']['mean']:.3f}  "
                f"{cell['regret_at_equal_cost']['mean']:.3f}"
            )
    return {"rows": rows(cells, repeats), "plots": [figure(cells)], **setting, "cells": cells}


def rows(cells: Mapping[str, Mapping[str, Any]], repeats: int) -> list[dict[str, Any]]:
    """Per condition, the best trial's accuracy that stopping lost and the epochs it took, beside Ray's ASHA."""
    found = []
    for condition, methods in cells.items():
        ours, rays = methods["ours"], methods["ray, default"]
        for measure_, name, unit, scale in (
            ("regret", "best trial lost to early stopping", "points", 1),
            ("cost", "epochs trained of full budgets", "%", 100),
        ):
            value = scale * ours[measure_]["mean"]
            (low, high), (least, most) = ([scale * end for end in one[measure_]["interval"]] for one in (ours, rays))
            found.append(
                row(
                    f"{name}, simulated, slow start {condition}, against Ray's ASHA with its defaults",
                    ours=value, other=scale * rays[measure_]["mean"], unit=unit, value=value, value_unit=unit,
                    at_most=scale * TARGET[measure_] if condition in SEVERITIES else None,
                    note=f"Means of {repeats} sweeps; 95 % intervals: ours {low:.3g} to {high:.3g}, Ray's {least:.3g} "
                    f"to {most:.3g} {unit}.",
                )
            )  # fmt: skip
    return found
