"""Simulated sweeps of made-up curves: what a rule is told and when, and what is counted, against slow loops."""

import statistics

import numpy as np
import pytest

from benchmarks.early_stopping import FITTED_TO, METHODS, Given, figure, outcome, rows, run_sweep
from benchmarks.mixup_curves import EPOCHS, MEDIAN, TRIALS, Curves, make_sweep
from benchmarks.simulation import Step


@pytest.fixture(scope="module")
def sweep():
    return make_sweep(0, 0.2, Curves())


class Scripted:
    """Stops trial i after `stops[i]` epochs and remembers what it hears."""

    def __init__(self, stops):
        self.stops, self.begun, self.heard, self.ended = stops, [], {}, {}

    def begin(self, trial, setting):
        self.begun.append((trial, setting))

    def report(self, trial, epoch, value):
        self.heard.setdefault(trial, []).append(value)
        return epoch >= self.stops.get(trial, EPOCHS)

    def end(self, trial, epoch, value):
        self.ended[trial] = (epoch, value)


@pytest.mark.parametrize("smoothed", [False, True])
def test_a_rule_is_told_the_curves_of_the_sweep_in_its_order(sweep, smoothed):
    rule = Scripted({0: 3, 5: 40})
    assert run_sweep(Given(sweep, rule, smoothed=smoothed)) == [3, *[EPOCHS] * 4, 40, *[EPOCHS] * (TRIALS - 6)]
    assert rule.begun == [(trial, trial) for trial in range(TRIALS)]
    for trial, epochs in ((0, 3), (1, EPOCHS), (5, 40)):
        raw = sweep.raw[trial].tolist()
        slow = [statistics.median(raw[max(0, epoch - MEDIAN) : epoch]) for epoch in range(1, epochs + 1)]
        expected = slow if smoothed else raw[:epochs]
        assert [*rule.heard[trial][: EPOCHS - 1], rule.ended[trial][1]][:epochs] == expected
        assert rule.ended[trial][0] == epochs


def test_trials_are_at_work_four_at_a_time_and_take_the_times_of_the_sweep(sweep):
    class Clock(Scripted):
        def begin(self, trial, setting):
            super().begin(trial, setting)
            self.heard[f"ended before {trial}"] = len(self.ended)

    rule = Clock(dict.fromkeys(range(TRIALS), 1))
    run_sweep(Given(sweep, rule, smoothed=False))
    assert [rule.heard[f"ended before {trial}"] for trial in range(TRIALS)] == [0, 0, 0, *range(TRIALS - 3)]
    # a slot at a time, each taking the next trial when its last one has ended after one epoch
    free, order = sorted((sweep.ends[trial][0], trial) for trial in range(4)), []
    for trial in range(4, TRIALS):
        now, ended = free.pop(0)
        order.append(ended)
        free = sorted([*free, (now + sweep.ends[trial][0], trial)])
    assert list(rule.ended) == order + [trial for _, trial in free]


def test_the_outcome_is_what_a_loop_over_the_trials_says(sweep):
    rng = np.random.default_rng(4)
    reached = [EPOCHS if rng.random() < 0.3 else int(rng.integers(1, EPOCHS)) for _ in range(TRIALS)]
    ended = [trial for trial in range(TRIALS) if reached[trial] == EPOCHS]
    board = max(ended, key=lambda trial: statistics.median(sweep.raw[trial][-MEDIAN:]))
    last = max(range(TRIALS), key=lambda trial: sweep.raw[trial][reached[trial] - 1])
    best = max(range(TRIALS), key=lambda trial: sweep.true[trial])
    steps = [Step(spent, None, incumbent, True) for spent, incumbent in ((3000, 7), (3200, 12), (3201, 50))]
    found = outcome(sweep, reached, steps)
    assert found.regret_at_equal_cost == pytest.approx(max(sweep.true) - sweep.true[12]), "16 times 200 epochs"
    assert found.regret == pytest.approx(sweep.true[best] - sweep.true[board])
    assert found.regret_by_last == pytest.approx(sweep.true[best] - sweep.true[last])
    assert found.kept == (best in ended)
    assert found.cost == pytest.approx(sum(reached) / (TRIALS * EPOCHS))


def test_without_stopping_every_trial_is_trained_to_the_end(sweep):
    assert run_sweep(METHODS["no stopping"](sweep, 0)) == [EPOCHS] * TRIALS


def test_rays_rungs_are_where_its_arguments_say(sweep):
    reached = set(run_sweep(METHODS["ray, grace 20, eta 3"](sweep, 0)))
    assert reached <= {20, 60, 180, EPOCHS} and 20 in reached and EPOCHS in reached
    assert set(FITTED_TO["none"]) <= set(METHODS)


def test_rows_and_figure_say_what_the_cells_do():
    def cell(regret, cost):
        return {
            name: {"mean": mean, "interval": [mean / 2, 2 * mean]}
            for name, mean in (("regret", regret), ("cost", cost))
        }

    methods = {name: cell(0.04, 0.5) for name in METHODS} | {"ray, default": cell(0.7, 0.1)}
    found = rows({"none": methods, "noisy": methods}, repeats=7)
    assert [(row["ours"], row["other"], row["met"]) for row in found] == [
        (0.04, 0.7, True),
        (50, 10, False),
        (0.04, 0.7, None),
        (50, 10, None),
    ]
    assert found[1]["note"] == "Means of 7 sweeps; 95 % intervals: ours 25 to 100, Ray's 5 to 20 %."
    drawn = figure(dict.fromkeys(("none", "mild", "strong"), methods))
    assert len(drawn["panels"]) == 3 and drawn["panels"][0]["points"]["ray, default"] == [10, 0.7, 0.35, 1.4]
    assert "ray, grace 40, eta 3" not in drawn["panels"][0]["points"]
