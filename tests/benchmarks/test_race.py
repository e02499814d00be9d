"""What is made of the runs of a race: ratios per seed, paired differences, a figure."""

import pytest

from benchmarks import race
from benchmarks.baselines.search_task import Finish

WALL_S = {
    "ours": (10.0, 20.0, 30.0),
    race.TUNE: (40.0, 60.0, 150.0),
    race.POOL: (20.0, 20.0, 20.0),
    race.DEFAULT: (20.0, 42.0, 75.0),
}
BEST = {
    "ours": (0.70, 0.72, 0.74),
    race.TUNE: (0.71, 0.74, 0.77),
    race.POOL: (0.70, 0.72, 0.74),
    race.DEFAULT: (0.60, 0.60, 0.60),
}
EPOCHS = {"ours": 15, race.TUNE: 30, race.POOL: 15, race.DEFAULT: 5}


@pytest.fixture
def raced(monkeypatch):
    """`measure` of three trials a seed, with runs that only say what `WALL_S` and `BEST` have."""
    asked = []

    def timed(name, task):
        asked.append((task.seed, name, len(task.space.baselines)))
        assert (task.grace_epochs, task.reduction_factor) == ((1, 4) if name == race.DEFAULT else (3, 3))
        return {
            "wall_s": WALL_S[name][task.seed],
            "trials_per_hour": 3600 * 3 / WALL_S[name][task.seed],
            "epochs_per_hour": 3600 * EPOCHS[name] / WALL_S[name][task.seed],
            "epochs": EPOCHS[name],
            "to_the_end": 1,
            "trained_s": 9.0,
            "best_accuracy": BEST[name][task.seed],
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
        assert sorted(entry[1:] for entry in asked if entry[0] == seed) == sorted((name, 3) for name in race.RUN)


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


def test_epochs_per_hour_stand_beside_trials_per_hour(raced):
    rows = {row["measurement"]: row for row in raced[0]["rows"]}
    epochs = rows["24 configurations under ASHA, epochs per hour, against plain Ray Tune"]
    assert epochs["value"] == pytest.approx(2) and epochs["target"] is None  # half of 4, 3 and 5
    assert "epochs trained in all: 45 and 90" in epochs["note"]
    default = rows[f"24 configurations under ASHA, trials per hour, against {race.DEFAULT}"]
    assert default["value"] == pytest.approx(2.1) and default["target"] is None
    assert rows[f"the same, best validation accuracy, against {race.DEFAULT}"]["value"] == pytest.approx(12)


def test_the_figure_shows_the_best_so_far(raced):
    done, best = raced[0]["plots"][0]["panels"]
    assert set(done["series"]) == set(race.RUN)
    assert done["series"]["ours"][0] == [(0.0, 0), (1.0, 1), (2.0, 2)]
    assert best["series"]["ours"][0] == [(1.0, 50.0), (2.0, 50.0)]
