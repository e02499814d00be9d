"""What an ablation says: from records whose values are known, by hand and by scipy."""

import json
from statistics import fmean, stdev

import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState
from scipy import stats

from tune_mixup.ablation import Ablation, Gate
from tune_mixup.analysis.ablation import compare
from tune_mixup.analysis.foreseen import Foreseen
from tune_mixup.analysis.leaderboard import leaderboard
from tune_mixup.record.facts import ArmLook, SweepFacts
from tune_mixup.record.study import Outcome
from tune_mixup.record.summary import summary
from tune_mixup.search.asking import Asking
from tune_mixup.search.explanation import explain_sweep
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import plan
from tune_mixup.testing.kills import create

VALUES = {
    "full": [0.91, 0.93, 0.90, 0.95],
    "erm": [0.90, 0.90, 0.92, 0.91],
    "even": [0.88, None, 0.89, 0.90],
    "lost": [None, None, None, None],
}
ARMS = {arm: {"mixing.name": "mixup", "mixing.alpha": place + 1.0} for place, arm in enumerate(VALUES)}
SPACE = SearchSpace(
    fixed={"data.name": "synthetic", "training.epochs": 1},
    free={"seed": CategoricalDistribution((0, 1, 2, 3)), "arm": CategoricalDistribution(tuple(VALUES))},
    bundles={"arm": ARMS},
)


def config(metric="val_accuracy", **changes):
    made = plan(SPACE, name="a", sampler="grid", scheduler="none", repeats="train", metric=metric)
    return made.replace(ablation=Ablation(reference="full", looks=(2, 4), **changes))


def recorded(tmp_path, config, values=VALUES, looks=()):
    """The record of an ablation whose trainings came out so; None is a failed one."""
    record = create(tmp_path, config)
    asking = Asking(record, config)
    asking.enqueue_first_points()
    for number in range(config.trials):
        asking.ask(number)
        point = record.study.trial(number).params
        value = values[point["arm"]][point["seed"]]
        if value is not None:
            record.study.report(number, 1, value)
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        record.study.finish(number, Outcome(state, "told"))
    record.study.note_sweep(SweepFacts(looks=looks))
    return record


def look(arm, verdict, seeds=4):
    return ArmLook(arm=arm, seeds=seeds, verdict=verdict, why="as told")


def test_each_arm_stands_beside_the_reference(tmp_path):
    found = compare(recorded(tmp_path, config()))
    rows = {row.arm: row for row in found.rows}
    assert [*rows] == ["full", "erm", "even", "lost"]
    assert rows["full"].difference is None and rows["full"].mean == pytest.approx(fmean(VALUES["full"]))
    erm = rows["erm"]
    differences = [a - b for a, b in zip(VALUES["erm"], VALUES["full"], strict=True)]
    assert erm.difference.mean == pytest.approx(fmean(differences))
    assert erm.sd == pytest.approx(stdev(VALUES["erm"])) and (erm.beats, erm.difference.pairs) == (0.25, 4)
    assert erm.difference.by_t == pytest.approx(stats.t.interval(0.95, 3, fmean(differences), stats.sem(differences)))
    even = rows["even"].difference  # of three pairs, all below
    assert even.p == 0.25 < erm.difference.p
    assert (rows["even"].holm_p, erm.holm_p) == (0.5, max(0.5, erm.difference.p))
    # the normal formula with Guenther's correction, at a third of the error
    z = stats.norm.ppf(1 - 0.05 / 6)
    needed = ((z + stats.norm.ppf(0.8)) * stdev(differences) / 0.005) ** 2 + z**2 / 2
    assert needed <= erm.seeds_to_resolve < needed + 1


def test_failed_trainings_are_shown_and_in_no_average(tmp_path):
    found = compare(recorded(tmp_path, config(), looks=(look("even", "open"), look("lost", "failed"))))
    even, lost = found.rows[2:]
    assert (even.failed, even.difference.lost, even.difference.pairs) == ((1,), (1,), 3)
    assert even.mean == pytest.approx((0.88 + 0.89 + 0.90) / 3)
    assert even.difference.mean == pytest.approx((0.88 + 0.89 + 0.90 - 0.91 - 0.90 - 0.95) / 3)
    assert (lost.values, lost.failed, lost.mean, lost.holm_p) == ({}, (0, 1, 2, 3), None, None)
    text = "\n".join(found.lines())
    assert "0, 1, 2, 3" in text and "no pairs on seeds 1, where a training failed" in even.known
    assert lost.known == "as told"


@pytest.mark.parametrize("metric, better", [("val_accuracy", "worse"), ("val_nll", "better")])
def test_better_is_said_in_the_direction_of_the_metric(tmp_path, metric, better):
    found = compare(recorded(tmp_path, config(metric), looks=(look("erm", "different"),)))
    erm = found.rows[1]
    assert erm.known == f"{better} than full, after 4 seeds"
    assert erm.beats == (0.25 if metric == "val_accuracy" else 0.75)
    low, high = erm.beats_within
    assert low < erm.beats < high and erm.difference.mean < 0


@pytest.mark.parametrize(
    "verdict, seeds, words",
    [
        ("futile", 2, "given up after 2 seeds"),
        ("open", 2, "not decided after 2 seeds, it goes on"),
        ("open", 4, "no difference is shown by 4 pairs, which is not to say that there is none"),
    ],
)
def test_what_is_known_in_words(tmp_path, verdict, seeds, words):
    found = compare(recorded(tmp_path, config(), looks=(look("erm", verdict, seeds),)))
    assert words in found.rows[1].known and any(words in line for line in found.lines())
    assert found.rows[2].known.startswith("3 pairs, and no look yet")


def test_nothing_is_reported_against_a_baseline_outside_its_range(tmp_path):
    mean = fmean(VALUES["erm"])
    for place, (low, high) in enumerate(((0.0, mean - 1e-6), (mean + 1e-6, 1.0))):
        record = recorded(tmp_path / f"{place}", config(gate=Gate(arm="erm", low=low, high=high)))
        with pytest.raises(RuntimeError, match="the baseline erm has a mean of 0.9075 on 4 seeds, must be from"):
            compare(record)
    assert compare(recorded(tmp_path / "in", config(gate=Gate(arm="erm", low=0.9, high=0.95)))).rows
    with pytest.raises(RuntimeError, match="the baseline lost has no value yet"):
        compare(recorded(tmp_path / "lost", config(gate=Gate(arm="lost", low=0.1, high=0.95))))


def test_no_other_sweep_can_be_compared(tmp_path):
    made = plan(SPACE.fix({"arm": "full"}), name="s", sampler="grid", scheduler="none", metric="val_accuracy")
    with pytest.raises(ValueError, match="s is no ablation"):
        compare(create(tmp_path, made))


def test_tables_fit_the_screen_and_json_can_hold_it_all(tmp_path):
    found = compare(recorded(tmp_path, config(), looks=(look("erm", "different"),)))
    for width in (80, 100, 140):
        assert all(len(line) <= width for line in "\n".join(found.lines(width)).splitlines())
    plain = json.loads(json.dumps(found.plain(), allow_nan=False))
    assert [row["arm"] for row in plain["arms"]] == [*VALUES]
    assert plain["arms"][1]["least_p"] == 0.125 and plain["arms"][1]["look"]["verdict"] == "different"


def test_other_views_know_an_ablation(tmp_path):
    record = recorded(tmp_path, config(), looks=(look("erm", "different"),))
    assert summary(record).state == "done" and summary(record).best_seeds == 4
    board = leaderboard(record)
    assert board["arm"].tolist()[:3] == ["full", "erm", "even"] and board["seeds"].tolist()[:2] == [4, 4]
    assert [one["verdict"] for one in explain_sweep(record)["looks"]] == ["different"]


def test_what_is_foreseen():
    found = Foreseen.of(config(error=0.06))
    assert (found.runs, found.fewest_runs, found.seeds, found.epochs) == (16, 8, 4, 16)
    assert (found.least_p, found.least_p_after_holm, found.error_per_arm) == (0.125, 0.375, 0.02)
    assert [*found.looks] == [2, 4] and found.looks[4] > stats.t.ppf(1 - 0.01, 3)
    lines = "\n".join(found.lines(100)).splitlines()
    assert all(len(line) <= 100 for line in lines)
    text = " ".join(lines)
    assert "full" in text and "the reference" in text and "mixing.alpha=2.0" in text
    assert "no sign-flip test can come below 0.06" in text
    json.dumps(found.plain(), allow_nan=False)
