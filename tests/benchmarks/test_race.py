"""What is made of the runs of a race: ratios per seed, paired differences, a figure."""

import pytest

from benchmarks import race
from benchmarks.baselines.search_task import Finish
from benchmarks.contenders import CONTENDERS

WALL_S = {"ours": (10.0, 20.0, 30.0), "plain Ray Tune": (40.0, 60.0, 150.0), "Optuna pool": (20.0, 20.0, 20.0)}
BEST = {"ours": (0.70, 0.72, 0.74), "plain Ray Tune": (0.71, 0.74, 0.77), "Optuna pool": (0.70, 0.72, 0.74)}
MANY_S, MANY_BEST = 35.0, 0.80


@pytest.fixture
def raced(monkeypatch):
    """`measure` of three trials a seed, with runs that only say what `WALL_S` and `BEST` have."""
    asked = []

    def timed(name, task):
        many = len(task.space.baselines) > 3
        asked.append((task.seed, name, many))
        return {
            "wall_s": MANY_S if many else WALL_S[name][task.seed],
            "trials_per_hour": 3600 * 3 / WALL_S[name][task.seed],
            "epochs": 15,
            "to_the_end": 1,
            "trained_s": 9.0,
            "best_accuracy": MANY_BEST if many else BEST[name][task.seed],
            "finished": [Finish(1.0, 3, 0.5, 1.0)._asdict(), Finish(2.0, 9, 0.4, 1.0)._asdict()],
        }

    monkeypatch.setattr(race, "timed", timed)
    monkeypatch.setattr(race, "data_root", lambda: "/data")
    return race.measure(trials=3), asked


def test_each_seed_begins_with_another_and_leaves_nobody_out(raced):
    _, asked = raced
    starts = [next(entry for entry in asked if entry[0] == seed) for seed in race.SEEDS]
    assert len({name for _, name, _ in starts}) == 3
    for seed in race.SEEDS:
        entries = [(name, many) for at, name, many in asked if at == seed]
        assert sorted(entries) == sorted([*((name, False) for name in CONTENDERS), ("ours", True)])


def test_ratios_are_per_seed_and_accuracies_are_paired(raced):
    rows = {row["measurement"]: row for row in raced[0]["rows"]}
    speed = rows["24 configurations under ASHA, trials per hour, against plain Ray Tune"]
    assert speed["value"] == pytest.approx(4) and speed["met"]  # the median of 4, 3 and 5
    assert speed["ours"] == pytest.approx(540) and speed["other"] == pytest.approx(180)
    assert not rows["24 configurations under ASHA, trials per hour, against Optuna pool"]["met"]
    worse = rows["the same, best validation accuracy, against plain Ray Tune"]
    assert worse["value"] == pytest.approx(-2)  # of -1, -2 and -3, whose standard error is 1 / sqrt(3)
    assert worse["target"] == ">= -1.1547 points" and not worse["met"]
    assert rows["the same, best validation accuracy, against Optuna pool"]["met"]


def test_more_configurations_are_compared_in_time_and_accuracy_and_have_no_target(raced):
    rows = {row["measurement"]: row for row in raced[0]["rows"]}
    wall = rows["3 times as many configurations in ours, against plain Ray Tune: wall time"]
    assert wall["value"] == pytest.approx(35 / 60) and wall["target"] is None
    best = rows["3 times as many configurations in ours, against plain Ray Tune: best validation accuracy"]
    assert best["value"] == pytest.approx(6) and best["target"] is None


def test_the_figure_shows_the_best_so_far(raced):
    done, best = raced[0]["plots"][0]["panels"]
    assert set(done["series"]) == {*CONTENDERS, "ours, 9 configurations"}
    assert done["series"]["ours"][0] == [(0.0, 0), (1.0, 1), (2.0, 2)]
    assert best["series"]["ours"][0] == [(1.0, 50.0), (2.0, 50.0)]
