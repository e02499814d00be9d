import re

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from tune_mixup.analysis.board import board
from tune_mixup.analysis.leaderboard import leaderboard
from tune_mixup.analysis.rendering import rows
from tune_mixup.record.facts import TrialFacts
from tune_mixup.record.study import Outcome
from tune_mixup.record.sweep_record import SweepRecord

KEYS = ("mixing.alpha", "mixing.growth_factor", "optimizer.weight_decay")
FREE = {key: FloatDistribution(0, 10) for key in KEYS}
REFERENCE = dict.fromkeys(KEYS, 1.0)


@pytest.fixture
def record(tmp_path):
    """Six trials: the baseline, which was stopped, and five that were trained to the end, each better than the last."""
    config = {"metric": "val_accuracy_median", "space": {"free": dict.fromkeys(FREE), "baselines": [REFERENCE]}}
    record = SweepRecord.create(tmp_path, "gm", config, direction="maximize")
    for number in range(6):
        record.study.optuna.enqueue_trial({key: 1.0 + number for key in KEYS})
        assert record.study.optuna.ask(FREE).number == number
        folder = record.folder.trial(number)
        folder.path.mkdir()
        folder.write_config({})
        for epoch in (1, 2)[: 1 if number == 0 else 2]:
            accuracy = 0.25 + number / 16
            named = {"val_accuracy": accuracy, "val_nll": 0.5 - number / 64, "val_ece": 0.125 + number / 64}
            folder.append_epoch({"epoch": epoch, **named, **{f"{key}_median": one for key, one in named.items()}})
            record.study.report(number, epoch, accuracy)
        record.study.finish(number, Outcome(TrialState.COMPLETE if number else TrialState.PRUNED, "why"))
    return record


def table_of(text):
    """The lines of a table's rows."""
    lines = text.split("\n\n")[0].splitlines()
    ruler = next(place for place, line in enumerate(lines) if set(line) <= {"-", " "})
    return lines[ruler + 1 :]


def test_a_stopped_baseline_is_shown_with_its_number_and_marked(record):
    text = board(record, top=2)
    first, second, third = table_of(text)
    assert first.split()[:4] == ["1", "5", "COMPLETE", "2"] and second.split()[:2] == ["2", "4"]
    assert third.split()[:4] == ["*0", "PRUNED", "1", "0.25"]
    assert "* is a reference: a baseline that the space names" in text
    assert "3 of 6 settings; `tune-mixup leaderboard gm --root" in text
    assert [row["reference"] for row in rows(leaderboard(record))] == [False] * 5 + [True]


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_it_fits_the_screen(record, width):
    text = board(record, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert [re.search(r"\*?\b[0-5]\b", line[6:] if width >= 30 else line)[0] for line in table_of(text)]
    assert len(table_of(text)) == 6, "a row in two lines"
    header = " ".join(text.split("\n\n")[0].splitlines()[:5]).split()
    for torn in ("accurac", "growt", "deca"):  # headers are broken behind dots and underscores only
        assert torn not in header


def test_what_there_is_no_room_for_is_said(record):
    narrow = " ".join(board(record, width=60).split())
    assert "No room for " in narrow and "val_ece_median" in narrow and "--wide shows all columns" in narrow
    assert "No room for" not in board(record, width=200) and "No room for" not in board(record)


def test_a_pipe_gets_everything(record):
    heads = board(record).splitlines()[:4]
    text = " ".join(" ".join(heads).split())
    for part in ("nll_", "ece_", "growth_factor", "weight_decay", "epoch"):
        assert part in text
    assert all(len(line.split()) >= 12 for line in table_of(board(record)))


def test_what_is_the_same_in_every_row_is_said_below(tmp_path):
    config = {"metric": "val_accuracy", "space": {"free": dict.fromkeys(FREE)}}
    record = SweepRecord.create(tmp_path, "same", config, direction="maximize")
    for number in range(3):
        record.study.optuna.enqueue_trial({key: 1.0 + number for key in KEYS})
        record.study.optuna.ask(FREE)
        record.study.report(number, 7, number / 4)
        record.study.finish(number, Outcome(TrialState.COMPLETE, "why"))
    narrow = board(record, width=40)
    assert "The same in every row: state COMPLETE" in narrow and "COMPLETE" not in "".join(table_of(narrow))
    assert "The same in every row" not in board(record, width=120)


def test_columns_are_chosen_in_the_order_given(record):
    assert board(record, columns="state,val_accuracy").splitlines()[0].split() == ["state", "val_accuracy"]
    assert table_of(board(record, columns="trial,reference"))[0].split() == ["5", "False"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("trial,mixing.alhpa", "did you mean mixing.alpha?"),
        ("trial,trial", "trial is given twice"),
        ("", "got ''"),
        ("zzzz", "got 'zzzz', must be of rank, trial, state"),
    ],
)
def test_columns_that_are_not_there_are_refused(record, columns, words):
    with pytest.raises(ValueError, match="^--columns: ") as caught:
        board(record, columns=columns)
    assert words in str(caught.value)


def test_what_the_seeds_say_of_the_order_is_said(record):
    assert "Each setting was trained on one seed, so the first may be the luckiest" in board(record)
    assert "seeds" not in "".join(board(record).splitlines()[:3])
    for first, value in ((5, 0.5), (4, 0.53125)):
        source = record.study.trial(first)
        number = record.study.begin_again(first, TrialFacts(finalist=first, setting=first, replicate_seed=1))
        folder = record.folder.trial(number)
        folder.path.mkdir()
        for epoch in (1, 2):
            folder.append_epoch({"epoch": epoch, "val_accuracy_median": value})
            record.study.report(number, epoch, value)
        record.study.finish(number, Outcome(TrialState.COMPLETE, "why"))
        assert record.study.trial(number).params == source.params
    text = " ".join(board(record, width=100).split())
    # of both the two seeds differ by 1/16 and -1/32: one degree of freedom, whose t is 12.7, tells nothing apart
    assert "By its seeds the first can't be told apart (at 95 %, one by one) from rank 2: a tie." in text
    assert [line.split()[:2] for line in table_of(board(record, columns="rank,trial,seeds"))][:3] == [
        ["1", "5"], ["2", "4"], ["3", "3"],
    ]  # fmt: skip
