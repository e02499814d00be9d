"""Whole searches on a made-up table: their epochs, what they never see, who takes part, and what bounds them."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

from benchmarks import honest_results, honest_search
from benchmarks.bootstrap import crossed_mean
from benchmarks.honest_results import best_on_held_back, fold, judge, results, worth
from benchmarks.honest_search import (
    BUDGETS,
    LIMIT,
    MAIN,
    ORACLE,
    OURS,
    RANDOM,
    RAY_TUNED,
    SYNE_TUNED,
    first_shown,
    handed,
    shown,
    split,
)
from benchmarks.recorded_curves import AXES, EPOCHS, MEASURED, Table, write_rows
from benchmarks.search_contenders import contenders
from benchmarks.session_search import GRACE, RUNGS, promised, swept
from tune_mixup.record.merit import Merits
from tune_mixup.record.study import facts_of

PLACES = list(itertools.product(range(7), range(5), range(3)))
SETTINGS = [{key: values[at] for (key, values), at in zip(AXES.items(), place, strict=True)} for place in PLACES]
SEEDS = 8
BUDGET = 20 * EPOCHS
TWO = (5, 10)
EVERYONE = contenders(None)


@pytest.fixture(scope="module")
def table():
    """Accuracy rises to a value that depends on the setting and, as much as among good settings, on the seed."""
    rng = np.random.default_rng(0)
    final = 0.8 - 0.01 * np.array([(i - 4) ** 2 + (j - 1) ** 2 + 0.2 * k for i, j, k in PLACES])
    rise = 1 - np.exp(-np.arange(1, EPOCHS + 1) / 3)
    noise = rng.normal(0, 0.01, (len(PLACES), SEEDS, 1)) + rng.normal(0, 0.002, (len(PLACES), SEEDS, EPOCHS))
    return Table(SETTINGS, final[:, None, None] * rise + noise, {"made": "up"})


def test_seeds_are_shown_or_held_back_and_each_as_often():
    counts = np.zeros(SEEDS)
    for seed in range(400):
        one = split(seed, SEEDS)
        assert sorted((*one.shown, *one.held_back)) == list(range(SEEDS)) and len(one.held_back) == 3
        assert first_shown(seed, SEEDS) in one.shown and one == split(seed, SEEDS)
        counts[list(one.held_back)] += 1
    assert counts.min() > 110 and counts.max() < 190  # 150 on average, with a standard deviation of 10


def test_too_few_seeds_are_refused():
    with pytest.raises(ValueError, match="has 4 whole seeds, must have 5"):
        split(0, 4)


@pytest.mark.parametrize("name", EVERYONE)
def test_a_search_uses_its_epochs_and_never_sees_what_is_held_back(name, table):
    found = EVERYONE[name](shown(table, 3), 3, BUDGET)
    assert found.spent == BUDGET
    assert found.setting in range(len(SETTINGS)) and set(found.whole) <= set(range(len(SETTINGS)))
    blind = table._replace(accuracy=table.accuracy.copy())
    blind.accuracy[:, list(split(3, SEEDS).held_back)] = np.nan
    assert EVERYONE[name](shown(blind, 3), 3, BUDGET) == found
    tested = table._replace(tested=np.random.default_rng(1).uniform(0, 1, (len(SETTINGS), SEEDS)))
    assert EVERYONE[name](shown(tested, 3), 3, BUDGET) == found


@pytest.mark.parametrize("name", EVERYONE)
def test_a_search_hears_of_the_seeds_that_it_is_shown(name, table):
    """What is far better than all else on the seeds shown is taken, though on those held back nothing is better."""
    accuracy = np.full((len(SETTINGS), SEEDS, EPOCHS), 0.1)
    good = [place for place, (i, _, _) in enumerate(PLACES) if i == 4]
    accuracy[np.ix_(good, split(0, SEEDS).shown)] = 0.9
    made = Table(SETTINGS, accuracy, {})
    found = EVERYONE[name](shown(made, 0), 0, BUDGET)
    assert found.setting in good and np.nanmean(worth(made, [found.setting])) == pytest.approx(0.1)


def test_ours_has_finals_on_other_seeds_of_the_table_and_hands_on_their_winner(table):
    with swept(shown(table, 5), 5, 2 * BUDGET) as search:
        search.run(lambda now: now.spent >= 2 * BUDGET)
        asked = search.session.record.study.asked()
        assert len(asked) == len(search.settings)
        finals = {trial.number: facts_of(trial).finalist for trial in asked if facts_of(trial).finalist is not None}
        assert 8 <= len(finals) <= 12 and len(set(finals.values())) == 3  # a fifth of 40 full runs
        for first in set(finals.values()):
            again = [number for number, of in finals.items() if of == first]
            assert {search.settings[number] for number in again} == {search.settings[first]}
            curves = [tuple(search.curves[number]) for number in (first, *again)]
            assert len(set(curves)) == len(curves), "a finalist was judged by a curve that it had had before"
        best = Merits.of(search.session.record).best()
        assert best.is_finalist and search.handed_on() == search.settings[best.trial]
        epochs = sum(trial.last_step or 0 for trial in asked)
        assert epochs == search.spent == 2 * BUDGET


@pytest.mark.parametrize("rungs", RUNGS)
def test_rungs_compare_what_is_said_and_the_ranking_stays(rungs, table):
    with swept(shown(table, 5), 5, BUDGET, rungs=rungs) as search:
        watched = search.watch(np.array([5.0, 1, 3, 2, 4, 9, 8]))
    expected = {
        "medians": [5, 3, 3, 2.5, 3, 3, 4],
        "single epochs": [5, 1, 3, 2, 4, 9, 4],
        "best so far": [5, 5, 5, 5, 5, 9, 4],
    }
    assert watched == expected[rungs]


def test_without_finalists_no_setting_is_trained_again(table):
    with swept(shown(table, 5), 5, BUDGET, finalists_share=0.0) as search:
        search.run(lambda now: now.spent >= BUDGET)
        assert all(facts_of(trial).finalist is None for trial in search.session.record.study.asked())


@pytest.mark.parametrize("budget", BUDGETS)
def test_the_promise_of_ours_is_in_hours_and_its_grace_is_that_of_the_tuned_rules(budget):
    config = promised(0, budget * EPOCHS)
    assert config.gpu_hours == budget * EPOCHS and config.trials * GRACE >= budget * EPOCHS
    assert config.stopping.grace_epochs == GRACE and config.stopping.reduction_factor == 3


@pytest.fixture
def two_budgets(monkeypatch):
    for module in (honest_search, honest_results):
        monkeypatch.setattr(module, "BUDGETS", TWO)
        monkeypatch.setattr(module, "ROWS_AT", 10)


@pytest.fixture(scope="module")
def found(table):
    """What ours and random find in four searches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(honest_search, "BUDGETS", TWO)
        return {name: [handed(table, name, seed, EVERYONE) for seed in range(4)] for name in (OURS, RANDOM)}


def test_the_limit_bounds_all_and_the_oracle_what_it_chooses_from(two_budgets, table, found):
    judged = judge(table, found)
    for budget in TWO:
        means = {name: np.nanmean(values[budget], axis=1) for name, values in judged.items()}
        assert (means[LIMIT] >= means[ORACLE] - 1e-12).all() and (means[ORACLE] >= means[RANDOM] - 1e-12).all()
        assert (means[LIMIT] >= means[OURS] - 1e-12).all()


def test_what_a_search_is_worth_is_the_mean_over_the_seeds_held_back(table, found):
    settings = [one[10].setting for one in found[OURS]]
    values = worth(table, settings)
    for seed, setting in enumerate(settings):
        for which in range(SEEDS):
            held = which in split(seed, SEEDS).held_back
            assert math.isnan(values[seed, which]) != held
            assert not held or values[seed, which] == table.accuracy[setting, which, -1]
    tested = table._replace(tested=np.random.default_rng(1).uniform(0, 1, (len(SETTINGS), SEEDS)))
    judged = worth(tested, settings)
    assert np.isnan(judged).tolist() == np.isnan(values).tolist()
    assert np.nansum(judged) == pytest.approx(
        sum(tested.tested[place, list(split(seed, SEEDS).held_back)].sum() for seed, place in enumerate(settings))
    )
    assert best_on_held_back(table, 0, [3, 60, 66]) == max(
        (3, 60, 66), key=lambda place: sum(table.accuracy[place, which, -1] for which in split(0, SEEDS).held_back)
    )


def means_of(table, found, name, budget):
    return np.mean(
        [
            table.accuracy[one[budget].setting, list(split(seed, SEEDS).held_back), -1].mean()
            for seed, one in enumerate(found[name])
        ]
    )


def test_the_rows_and_the_figure(two_budgets, table, found):
    made = results({"digits": found}, {"digits": table}, without=["somebody"])
    assert made["searches"] == 4 and made["without"] == [
        "fashion_mnist",
        "cifar10",
        "speech",
        "tiny_imagenet",
        "somebody",
    ]
    lines = {line["measurement"]: line for line in made["rows"]}
    assert len(lines) == 3 + 2 + len(TWO)  # what ours had to reach; the oracle and the limit; and random
    accuracy = "accuracy on unseen seeds of what is handed on, against random, full runs"
    for mine, theirs, end in [(5, 5, ""), (10, 10, ""), (5, 10, " with 10")]:
        line = lines[f"digits, {mine} full runs' epochs: {accuracy}{end}"]
        expected = means_of(table, found, OURS, mine), means_of(table, found, RANDOM, theirs)
        assert line["ours"] == pytest.approx(100 * expected[0]) and line["other"] == pytest.approx(100 * expected[1])
        assert line["value"] == pytest.approx(100 * (expected[0] - expected[1]), abs=1e-3)
        assert line["value_unit"] == "points" and line["target"] == (">= 0 points" if end else None)
    times = lines["digits: epochs to what random's 10 full runs come to on unseen seeds, random / ours"]
    curve = {budget: means_of(table, found, OURS, budget) for budget in TWO}
    assert times["value"] == pytest.approx(fold(curve, means_of(table, found, RANDOM, 10)), abs=1e-3)
    whole = lines["digits, 5 full runs' epochs: searches that end without a trial trained to the end"]
    assert whole["value"] == 0 and whole["met"]
    about = made["tables"]["digits"]
    methods = about["methods"]
    assert methods[LIMIT][0]["regret"]["mean"] == 0 and methods[RANDOM][0]["gain_over_random"]["interval"] == [0, 0]
    assert about["without_a_whole_trial"] == {OURS: {5: 0, 10: 0}, RANDOM: {5: 0, 10: 0}}
    assert list(made["plots"][0]["panels"][0]["series"]) == [OURS, RANDOM, ORACLE]


def test_how_many_times_fewer_epochs_follows_from_where_the_curve_passes():
    curve = {10: 0.5, 20: 0.6, 40: 0.6, 80: 0.7}
    for wanted, budget in [(0.4, 10), (0.5, 10), (0.55, math.sqrt(200)), (0.6, 20), (0.65, math.sqrt(3200)), (0.8, 80)]:
        assert fold(curve, wanted) == pytest.approx(40 / budget)
    assert fold({10: 0.5, 20: 0.4, 40: 0.6, 80: 0.6}, 0.45) == 4
    assert fold({10: 0.4, 20: 0.3, 40: 0.5, 80: 0.6}, 0.4) == 4


def test_a_search_without_a_whole_trial_is_counted(two_budgets, table, found):
    less = {
        **found,
        OURS: [{budget: one._replace(whole=()) for budget, one in found[OURS][0].items()}, *found[OURS][1:]],
    }
    made = results({"digits": less}, {"digits": table}, without=[])
    assert made["tables"]["digits"]["without_a_whole_trial"][OURS] == {5: 1, 10: 1}
    line = next(line for line in made["rows"] if "without a trial" in line["measurement"])
    assert (line["value"], line["met"]) == (1, False)


def test_the_better_of_two_is_told_by_its_interval(table):
    """The limit is better than the worst setting by what the table says, in the middle of an interval above 0."""
    values = {name: worth(table, [place] * 40) for name, place in [("good", 63), ("poor", 0)]}
    mean, (low, high) = (lambda found: (found["mean"], found["interval"]))(
        honest_results._points(values["good"] - values["poor"])
    )
    assert 0 < low < mean < high and mean == pytest.approx(
        100 * (crossed_mean(values["good"]) - crossed_mean(values["poor"])), abs=1e-3
    )


@pytest.mark.slow
def test_the_whole_measurement(two_budgets, monkeypatch, tmp_path, table):
    rows = [
        {"seed": seed, **setting, "epoch": epoch, **dict.fromkeys(MEASURED, table.accuracy[place, seed, epoch - 1])}
        for place, setting in enumerate(SETTINGS)
        for seed in range(SEEDS)
        for epoch in range(1, EPOCHS + 1)
    ]
    write_rows(tmp_path / "digits", pd.DataFrame(rows), {"made": "up"})
    monkeypatch.setattr(honest_search, "path_of", lambda name: tmp_path / name)
    monkeypatch.setattr(honest_search, "ProcessPoolExecutor", InThisProcess)
    (made,) = honest_search.measure(searches=2)
    assert made["without"] == ["fashion_mnist", "cifar10", "speech", "tiny_imagenet", SYNE_TUNED]
    methods = made["tables"]["digits"]["methods"]
    assert set(methods) == {*EVERYONE, ORACLE, LIMIT}
    for name, cells in methods.items():
        assert [cell["full_runs"] for cell in cells] == list(TWO if name in (*MAIN, ORACLE, LIMIT) else TWO[1:]), name
    assert set(made["plots"][0]["panels"][0]["series"]) == {*MAIN, ORACLE} - {SYNE_TUNED}
    assert {
        line["measurement"].split(", against ")[-1] for line in made["rows"] if line["target"] == ">= 0 points"
    } == {
        f"{RANDOM} with 10",
        RAY_TUNED,
    }
    json.dumps(made)


class InThisProcess:
    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def map(self, call, *arguments, chunksize):
        return map(call, *arguments)


def test_an_interpreter_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--syne-tune: got"):
        contenders(str(tmp_path / "python"))


def test_without_a_table_it_says_how_to_make_one(monkeypatch, tmp_path):
    monkeypatch.setattr(honest_search, "path_of", lambda name: tmp_path / name)
    with pytest.raises(ValueError, match="curve_maker"):
        next(honest_search.measure())
