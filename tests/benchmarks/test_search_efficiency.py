"""Searches on a made-up table: what they look up, what is counted, and what the true order is."""

import json
import math

import numpy as np
import pytest

from benchmarks import search_efficiency
from benchmarks.recorded_curves import AXES, EPOCHS, SEEDS, SPACE, Table
from benchmarks.search_efficiency import NOISE, PERCENTS, describe, measure, search, truth
from benchmarks.simulation import Search, medians
from benchmarks.table_search import FREE, METHODS, nearest
from tune_mixup.sweep_config import plan

PLACES = [(i, j, k) for i in range(7) for j in range(5) for k in range(3)]
SETTINGS = [{key: values[at] for (key, values), at in zip(AXES.items(), place, strict=True)} for place in PLACES]


@pytest.fixture(scope="module")
def table():
    """Accuracy rises to a value that depends on the setting and, a little, on the seed."""
    rng = np.random.default_rng(0)
    final = 0.8 - 0.01 * np.array([(i - 4) ** 2 + (j - 1) ** 2 + 0.2 * k for i, j, k in PLACES])
    rise = 1 - np.exp(-np.arange(1, EPOCHS + 1) / 3)
    accuracy = final[:, None, None] * rise + rng.normal(0, 0.001, (len(PLACES), len(SEEDS), EPOCHS))
    return Table(SETTINGS, accuracy, {"made": "up"})


@pytest.fixture(autouse=True)
def made_up(table, monkeypatch):
    monkeypatch.setattr(search_efficiency, "_table", lambda: table)


def test_the_grid_that_is_recorded_is_the_table():
    config = plan(SPACE, {"data.root": "/data"}, name="curves")
    points = list(config.space.grid())
    assert config.trials == len(points) == len(SEEDS) * len(PLACES) >= 60 * 3
    assert (config.sampler.name, config.stopping.name) == ("grid", "none")
    assert points[: len(PLACES)] == [{"seed": 0, **setting} for setting in SETTINGS]
    assert len({config.trial(point).identity() for point in points}) == len(PLACES)


def test_a_setting_is_nearest_to_itself_and_to_what_is_around_it():
    assert [nearest(setting) for setting in SETTINGS] == list(range(len(SETTINGS)))
    for setting in SETTINGS:
        for key, values in AXES.items():
            half = math.sqrt(values[1] / values[0])
            for factor in (0.99 * half, 1 / (0.99 * half)):
                moved = {**setting, key: min(FREE[key].high, max(FREE[key].low, setting[key] * factor))}
                assert SETTINGS[nearest(moved)] == setting


def test_every_setting_has_an_equal_share_of_the_space():
    rng = np.random.default_rng(1)
    drawn = [
        nearest({key: math.exp(rng.uniform(math.log(free.low), math.log(free.high))) for key, free in FREE.items()})
        for _ in range(21_000)
    ]
    counts = np.bincount(drawn, minlength=len(SETTINGS))
    assert counts.min() > 130 and counts.max() < 270  # 200 on average, with a standard deviation of 14


def test_medians_are_of_the_last_five_epochs():
    assert medians(np.array([5.0, 1, 3, 2, 4, 9, 9])) == [5, 3, 3, 2.5, 3, 3, 4]


class InOrder(Search):
    """Asks for one setting after the other, stops those that are said, and remembers what it hears."""

    def __init__(self, table, seed, order=(3, 7, 3, 3, 3), stopped=()):
        super().__init__(table, seed)
        self.order, self.stopped_after, self.told, self.judged = order, dict(stopped), {}, 0

    def ask(self, trial):
        return self.order[trial % len(self.order)]

    def judge(self, trial, epoch, value):
        self.judged += 1
        return epoch >= self.stopped_after.get(trial, EPOCHS)

    def tell(self, trial, epoch, value):
        self.told[trial] = (epoch, value)


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_a_setting_that_comes_again_takes_the_next_seed(table, seed):
    done = InOrder(table, seed)
    done.run(lambda now: len(now.told) == 4)
    again = [trial for trial in sorted(done.told) if done.settings[trial] == 3]
    for turn, trial in enumerate(again):
        count = [t for t, setting in enumerate(done.settings) if setting == 3].index(trial)
        assert done.told[trial] == (EPOCHS, table.accuracy[3, (seed + count) % 3, -1]), turn


def test_epochs_of_unfinished_trials_count(table):
    done = InOrder(table, 0, stopped=dict.fromkeys(range(20), 2).items())
    done.run(lambda now: len(now.told) == 6)
    assert done.spent == done.steps[-1].spent == done.judged > 6 * 2
    assert [step.trained for step in done.steps] == [None] * 6
    assert done.stopped == [done.settings[trial] for trial in done.told]


def test_what_is_handed_on_was_trained_to_the_end_if_anything_was(table):
    best, poor = 4 * 15 + 3, 0  # the place of (4, 1, 0), and the worst
    done = InOrder(table, 0, order=[best, poor, best, best], stopped={0: 26, 2: 3, 3: 3}.items())
    done.run(lambda now: 1 in now.told and 0 in now.told)
    last = done.steps[-1]
    assert last.complete and last.incumbent == poor


def test_the_truth_is_the_order_of_the_means(table):
    real = truth(table)
    means = [np.mean([table.accuracy[place, seed, -1] for seed in range(3)]) for place in range(len(SETTINGS))]
    assert real.order == sorted(range(len(SETTINGS)), key=lambda place: -means[place])
    assert real.order[0] == 4 * 15 + 3
    assert [len(real.best(percent)) for percent in PERCENTS] == [1, 5, 10]
    assert real.regret[real.order[0]] == 0 and real.regret.min() == 0
    assert real.error == pytest.approx(0.001 / math.sqrt(3), rel=0.15)


def test_settings_that_are_equal_are_equally_good(table):
    means = np.full((len(SETTINGS), 3, EPOCHS), 0.5)
    means[[3, 7, 9]] = 0.7
    means[7] -= 1e-7  # as float32 has it
    assert truth(table._replace(accuracy=means)).best(1) == {3, 7, 9}


def test_what_moves_all_curves_of_a_seed_is_no_error(table):
    shifted = table._replace(accuracy=table.accuracy + np.array([0.0, 0.1, -0.05])[None, :, None])
    assert truth(shifted).error == pytest.approx(truth(table).error)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_searches(name, table, monkeypatch):
    monkeypatch.setattr(search_efficiency, "SHOWN", 100)
    found = search(name, 1)
    assert found == search(name, 1)
    assert list(found.epochs) == ["best 1 %", "best 5 %", "best 10 %", NOISE]
    assert found.epochs["best 10 %"] <= found.epochs["best 5 %"] <= found.epochs["best 1 %"] <= len(SETTINGS) * EPOCHS
    assert found.epochs["best 10 %"] < len(SETTINGS) * EPOCHS  # easy, for curves that tell early who is best
    assert found.trials * EPOCHS >= found.spent >= 100
    assert [spent for spent, _ in found.course] == sorted(spent for spent, _ in found.course)


def test_the_best_is_found_when_it_has_been_trained_to_the_end(table, monkeypatch):
    best = truth(table).order[0]
    order = [0, 1, best, 2, best, 5]
    monkeypatch.setitem(METHODS, "it", lambda table, seed: InOrder(table, seed, order=order, stopped={2: 26}.items()))
    found = search("it", 0)
    assert found.lost == 1 and found.epochs["best 1 %"] > 4 * EPOCHS  # the first time it was stopped
    assert found.epochs[NOISE] == found.epochs["best 1 %"] == found.epochs["best 5 %"]


def test_what_the_table_is_like(table):
    about = describe(table)
    assert about["settings"] == 105 and about["best_settings"][0]["optimizer.lr"] == AXES["optimizer.lr"][4]
    assert about["rank_correlation_with_end"]["15"] > 0.95
    assert about["rank_of_best_by_seed"]["15"] == [1, 1, 1]


@pytest.mark.slow
def test_the_whole_measurement(monkeypatch, table):
    monkeypatch.setattr(search_efficiency, "ProcessPoolExecutor", InThisProcess)
    monkeypatch.setattr(search_efficiency, "read_table", lambda: table)
    found = measure(searches=3)
    targets = {row["measurement"]: row["target"] for row in found["rows"] if row["target"]}
    assert targets == {
        "epochs to the best 1 %: random, full runs / ours": ">= 5x",
        "epochs to the best 1 %: ours / ray": "<= 0.8x",
    }
    assert set(found["methods"]) > set(search_efficiency.COMPARED)
    (figure,) = found["plots"]
    assert figure["file"] == "search_efficiency.png" and len(figure["panels"]) == 2
    json.dumps(found)


class InThisProcess:
    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def map(self, call, *arguments, chunksize):
        return map(call, *arguments)
