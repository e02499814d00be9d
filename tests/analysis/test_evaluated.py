import pandas as pd
import pytest

from tune_mixup.analysis.evaluated import names_of, table

FRAME = pd.DataFrame(
    {
        "trial": [2, 0],
        "search_val_accuracy_median": [0.75, 0.5],
        "n": [2, 1],
        "failed": [0, 1],
        "val_accuracy_mean": [0.5, 0.25],
        "val_accuracy_sd": [0.125, None],
        "test_accuracy_mean": [0.625, 0.375],
        "test_accuracy_sd": [0.0625, None],
        "val_nll_mean": [1.5, 1.25],
        "val_nll_sd": [0.5, None],
        "test_nll_mean": [1.75, 1.0],
        "test_nll_sd": [0.25, None],
        "mixing.alpha": [0.5, 1.0],
        "mixing.growth_factor": [1.25, 2.0],
    }
)
METRIC = "val_accuracy_median"


def test_means_have_their_spread_beside_them_and_parameters_are_shown():
    lines = table(FRAME, METRIC, note="The rule.").splitlines()
    assert lines[-1] == "The rule."
    rows = [line for line in lines if "0.625" in line or "0.375" in line]
    assert rows[0].split() == [
        "2", "0.75", "2", "0", "0.5", "(0.12)", "0.625", "(0.062)", "1.5", "(0.5)", "1.75", "(0.25)", "0.5", "1.25",
    ]  # fmt: skip
    assert rows[1].split() == ["0", "0.5", "1", "1", "0.25", "0.375", "1.25", "1", "1", "2"]


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_it_fits_the_screen(width):
    text = table(FRAME, METRIC, note="The rule.", width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "0.625 (0.062)" in text, "the test number of the metric that ranks stays"
    assert width < 80 or "growth_" in text, "parameters go after the other metrics"


def test_columns_are_chosen_by_the_names_that_are_read():
    text = table(FRAME, METRIC, note="", columns=["mixing.alpha", "test_accuracy"])
    assert text.splitlines()[0].split() == ["mixing.alpha", "test_accuracy"]


def test_the_columns_are_known_before_anything_is_measured():
    board = pd.DataFrame(columns=["rank", "trial", METRIC, "val_accuracy", "val_nll", "mixing.alpha", "reason"])
    assert names_of(board, METRIC) == [
        "trial", f"search_{METRIC}", "n", "failed", "val_accuracy", "test_accuracy", "val_nll", "test_nll",
        "mixing.alpha",
    ]  # fmt: skip
