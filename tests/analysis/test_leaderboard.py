import csv
import io
import json
import math

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from scipy.stats import ttest_rel

from tune_mixup.analysis.leaderboard import leaderboard, rule
from tune_mixup.analysis.rendering import render, rows
from tune_mixup.record.facts import TrialFacts
from tune_mixup.record.study import Outcome
from tune_mixup.record.sweep_record import SweepRecord

FREE = {
    "mixing.name": CategoricalDistribution(("erm", "mixup")),
    "mixing.alpha": FloatDistribution(0, 2),
    "training.batch_size": IntDistribution(10, 100),
}


def make(folder, metric="val_accuracy", direction="maximize"):
    return SweepRecord.create(
        folder, "gm", {"metric": metric, "space": {"free": dict.fromkeys(FREE)}}, direction=direction
    )


def add(record, state, params, accuracies, *, reason="", metric="val_accuracy"):
    """A trial as the driver and a worker would leave it: asked, one report per epoch, an end unless it runs."""
    record.study.optuna.enqueue_trial(params)
    number = record.study.optuna.ask({key: FREE[key] for key in params}).number
    folder = record.folder.trial(number)
    folder.path.mkdir()
    folder.write_config({})
    for epoch, accuracy in enumerate(accuracies, start=1):
        folder.append_epoch({"epoch": epoch, "val_nll": 2.5 - accuracy, "val_accuracy": accuracy, "lr": 0.1})
        record.study.report(number, epoch, accuracy if metric == "val_accuracy" else 2.5 - accuracy)
    if state != TrialState.RUNNING:
        record.study.finish(number, Outcome(state, reason))
    return number


ERM = {"mixing.name": "erm", "training.batch_size": 20}
MIXUP = {"mixing.name": "mixup", "mixing.alpha": 0.5, "training.batch_size": 30}


@pytest.fixture
def record(tmp_path):
    record = make(tmp_path)
    add(record, TrialState.COMPLETE, ERM, [0.5, 0.625], reason="full budget")
    add(record, TrialState.COMPLETE, MIXUP, [0.75, 0.625], reason="full budget")  # once better, now as good as 0
    add(record, TrialState.PRUNED, MIXUP, [0.875], reason="epoch 1: last of 3")
    add(record, TrialState.RUNNING, ERM, [])
    add(record, TrialState.FAIL, MIXUP, [0.9375], reason="ValueError: no\nsuch thing")
    add(record, TrialState.COMPLETE, ERM, [0.25, 0.75], reason="full budget")
    add(record, TrialState.PRUNED, ERM, [0.9375], reason="epoch 1: last of 6")
    add(record, TrialState.RUNNING, MIXUP, [0.125, 0.25])
    return record


def test_only_full_budgets_are_ranked_and_the_others_ordered_by_how_far_they_came(record):
    frame = leaderboard(record, by="trial")
    expected = [
        # rank, trial, state, epoch, accuracy, nll, name, alpha, batch size, reason
        (1, 5, "COMPLETE", 2, 0.75, 1.75, "erm", None, 20, ""),
        (2, 0, "COMPLETE", 2, 0.625, 1.875, "erm", None, 20, ""),
        (3, 1, "COMPLETE", 2, 0.625, 1.875, "mixup", 0.5, 30, ""),
        (None, 7, "RUNNING", 2, 0.25, 2.25, "mixup", 0.5, 30, ""),
        (None, 6, "PRUNED", 1, 0.9375, 1.5625, "erm", None, 20, ""),
        (None, 2, "PRUNED", 1, 0.875, 1.625, "mixup", 0.5, 30, ""),
        (None, 3, "RUNNING", 0, None, None, "erm", None, 20, ""),
        (None, 4, "FAIL", 1, 0.9375, 1.5625, "mixup", 0.5, 30, "ValueError: no\nsuch thing"),
    ]
    assert list(frame.columns) == [
        "rank", "trial", "state", "epoch", "val_accuracy", "val_nll",
        "mixing.name", "mixing.alpha", "training.batch_size", "reason",
    ]  # fmt: skip
    assert [tuple(row.values()) for row in rows(frame)] == expected
    assert all(isinstance(row["training.batch_size"], int) for row in rows(frame))
    assert leaderboard(record, top=2, by="trial")["trial"].tolist() == [5, 0]


def test_less_is_better_for_a_loss(tmp_path):
    record = make(tmp_path, "val_nll", "minimize")
    for accuracy in (0.5, 0.75, 0.25):
        add(record, TrialState.COMPLETE, ERM, [accuracy], metric="val_nll")
    for accuracy in (0.25, 0.5):
        add(record, TrialState.PRUNED, ERM, [accuracy], metric="val_nll")
    frame = leaderboard(record, by="trial")
    assert frame["trial"].tolist() == [1, 0, 2, 4, 3]
    assert list(frame.columns)[4:6] == ["val_nll", "val_accuracy"]  # the sweep's own first
    assert "val_nll at their last epoch (less is better)" in rule(record, by="trial")


def test_what_a_folder_says_never_changes_a_rank(tmp_path):
    record = make(tmp_path)
    for accuracy in (0.5, 0.75, 0.25, 0.5):
        add(record, TrialState.COMPLETE, ERM, [accuracy])
    for number, value in ((0, math.nan), (1, 0.1), (3, -math.inf)):
        record.folder.trial(number).rewrite_epochs([{"epoch": 1, "val_accuracy": value}])
    record.folder.trial(2).rewrite_epochs([])
    board = leaderboard(record, by="trial")
    assert board["trial"].tolist() == [1, 0, 3, 2] and board["epoch"].tolist() == [1] * 4
    assert [row["val_accuracy"] for row in rows(board)] == [0.75, 0.5, 0.5, 0.25]


def test_a_value_that_is_not_finite_never_ranks_above_a_number(tmp_path):
    record = make(tmp_path)
    for accuracy in (math.inf, 0.25, -math.inf):
        add(record, TrialState.COMPLETE, ERM, [accuracy])
    assert leaderboard(record, by="trial")["trial"].tolist() == [1, 0, 2]
    assert [row["val_accuracy"] for row in rows(leaderboard(record, by="trial"))] == [0.25, None, None]


def test_a_sweep_without_trials_has_an_empty_board(tmp_path):
    frame = leaderboard(make(tmp_path))
    assert len(frame) == 0
    for format in ("table", "markdown", "csv"):
        assert "rank" in render(frame, format, note="rule")
    assert json.loads(render(frame, "json", note="rule")) == {"rule": "rule", "rows": []}


@pytest.mark.parametrize("top", [0, -3])
def test_top_counts_from_one(record, top):
    with pytest.raises(ValueError, match=rf"^top: got {top}, must be at least 1$"):
        leaderboard(record, top)


FRAME = pd.DataFrame(
    {
        "rank": pd.Series([1, None], dtype="Int64"),
        "state": ["COMPLETE", "FAIL"],
        "val_accuracy_median": [0.123456789, math.nan],
        "val_accuracy": [12345678.9, 0.5],
        "val_nll_median": [0.25, 0.5],
        "mixing.alpha": [0.00001, None],
        "mixing.mu": pd.Series([None, None], dtype=object),
        "reason": ["a|b", "a long reason " * 10],
    }
)


def test_a_table_that_goes_into_a_pipe_is_complete():
    whole = "a long reason " * 9 + "a long reason"
    assert render(FRAME, "table", note="The rule.").splitlines() == [
        "rank  state     val_accuracy_  val_accuracy  val_nll_  mixing.alpha  reason",
        "                       median                  median",
        "----  --------  -------------  ------------  --------  ------------  " + "-" * len(whole),
        "   1  COMPLETE         0.1235     1.235e+07      0.25         1e-05  a|b",
        "      FAIL                              0.5       0.5                " + whole,
        "",
        "The rule.",
    ]


@pytest.mark.parametrize(
    "header, lines",
    [
        ("mixing.growth_factor", ["mixing.", "growth_factor"]),
        ("search_val_accuracy_median", ["search_val_", "accuracy_", "median"]),
        ("averyveryverylongword", ["averyveryverylongword"]),
        ("rank", ["rank"]),
    ],
)
def test_long_headers_are_broken(header, lines):
    frame = pd.DataFrame({header: [1]})
    width = max(map(len, lines))
    assert render(frame, "table").splitlines() == [
        *(line.rjust(width) for line in lines),
        "-" * width,
        "1".rjust(width),
    ]


def test_markdown_escapes_what_would_be_a_column():
    frame = FRAME[["rank", "state", "val_accuracy_median", "reason"]].head(1)
    assert render(frame, "markdown", note="The rule.").splitlines() == [
        "| rank | state    | val_accuracy_median | reason |",
        "| ---: | -------- | ------------------: | ------ |",
        "|    1 | COMPLETE |              0.1235 | a\\|b   |",
        "",
        "The rule.",
    ]


def test_csv_and_json_have_everything_in_full():
    read = list(csv.DictReader(io.StringIO(render(FRAME, "csv", note="The rule."))))
    assert [row["val_accuracy_median"] for row in read] == ["0.123456789", ""]
    assert [row["val_nll_median"] for row in read] == ["0.25", "0.5"]
    assert [row["rank"] for row in read] == ["1", ""]
    assert read[1]["reason"] == "a long reason " * 10
    parsed = json.loads(render(FRAME, "json", note="The rule."))
    assert parsed["rule"] == "The rule."
    assert parsed["rows"][0]["val_accuracy_median"] == 0.123456789 and parsed["rows"][0]["rank"] == 1
    assert parsed["rows"][1]["val_accuracy_median"] is None and parsed["rows"][1]["mixing.alpha"] is None


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="^--format: got 'xml', must be one of table, csv, json, markdown$"):
        render(FRAME, "xml")


def test_a_setting_has_one_row_its_mean_and_what_the_search_saw(tmp_path):
    record = make(tmp_path)
    small, large = {**MIXUP, "mixing.alpha": 0.25}, {**MIXUP, "mixing.alpha": 1.5}
    for params, accuracy in ((ERM, 0.75), (small, 0.875), (MIXUP, 0.5), (large, 0.625)):
        add(record, TrialState.COMPLETE, params, [0.0, accuracy])
    add(record, TrialState.PRUNED, ERM, [0.25])
    add(record, TrialState.FAIL, {**MIXUP, "mixing.alpha": 2.0}, [], reason="ValueError: no")
    for first, params, seed, accuracy in (
        (0, ERM, 1, 0.5),
        (0, ERM, 2, 0.625),
        (1, small, 1, 0.625),
        (3, large, 1, 0.375),
    ):
        number = add(record, TrialState.RUNNING, params, [0.0, accuracy])
        record.study.note(number, TrialFacts(finalist=first, setting=first, replicate_seed=seed))
        record.study.finish(number, Outcome(TrialState.COMPLETE, "full budget"))
    frame = leaderboard(record)
    names = ("rank", "trial", "val_accuracy", "seeds", "search", "failed")
    expected = [
        (1, 1, 0.75, 2, 0.875, 0),
        (2, 0, 0.625, 3, 0.75, 0),
        (3, 3, 0.5, 2, 0.625, 0),
        (4, 2, 0.5, 1, 0.5, 0),
        (None, 5, None, None, None, None),
    ]
    for row, values in zip(rows(frame), expected, strict=True):
        assert [row[name] for name in names] == [
            pytest.approx(value) if isinstance(value, float) else value for value in values
        ]
    assert rows(frame)[0]["val_nll"] == pytest.approx(1.75) and rows(frame)[1]["val_nll"] == pytest.approx(1.875)
    assert rows(frame)[0]["mixing.alpha"] == 0.25
    assert list(frame.columns) == [
        "rank", "trial", "state", "epoch", "val_accuracy", "seeds", "error", "search", "tie", "failed", "val_nll",
        "mixing.name", "mixing.alpha", "training.batch_size", "reason",
    ]  # fmt: skip
    # on seed 1 each is worth 0.25 less than on seed 0, and there is no noise beside
    assert [row["tie"] for row in rows(frame)] == [None, False, False, None, None]
    assert rows(frame)[1]["error"] == pytest.approx(0.125 / math.sqrt(3)) and rows(frame)[3]["error"] is None
    by_trial = leaderboard(record, by="trial")
    assert len(by_trial) == 10 and "seeds" not in by_trial


def test_without_a_second_seed_of_anything_no_tie_is_known(record):
    assert leaderboard(record)["tie"].isna().all()


def test_a_tie_is_what_a_paired_t_test_can_not_tell_apart(tmp_path):
    """Two settings on four common seeds: the fit is then the paired t test, whose decisions scipy gives."""
    for gap, tie in ((0.02, True), (0.3, False)):
        record = make(tmp_path / str(gap))
        found = {"erm": [0.5, 0.625, 0.375, 0.75], "mixup": [value - gap for value in (0.51, 0.59, 0.40, 0.74)]}
        for params in (ERM, MIXUP):
            add(record, TrialState.COMPLETE, params, [found[params["mixing.name"]][0]])
        for first, params in enumerate((ERM, MIXUP)):
            for seed in (1, 2, 3):
                number = add(record, TrialState.RUNNING, params, [found[params["mixing.name"]][seed]])
                record.study.note(number, TrialFacts(finalist=first, setting=first, replicate_seed=seed))
                record.study.finish(number, Outcome(TrialState.COMPLETE, "full budget"))
        assert (ttest_rel(found["erm"], found["mixup"]).pvalue > 0.05) == tie
        assert rows(leaderboard(record))[1]["tie"] is tie


def test_an_unknown_row_is_refused(record):
    with pytest.raises(ValueError, match="by: got 'seed', must be one of setting, trial"):
        leaderboard(record, by="seed")
