import json

import pytest

from benchmarks import evidence, report
from benchmarks.rows import panel, plot, row

RATIO = row("images, ours against theirs", ours=200_700, other=6_000, unit="images/s", value=33.45, value_unit="x",
            at_least=13, note="one thread")  # fmt: skip
SLOW = row("start-up", ours=0.52, unit="s", value=0.52, value_unit="s", at_most=0.4)
PLAIN = row("memory", value=101, value_unit="MB")


def test_a_row_knows_whether_its_target_is_met():
    assert (RATIO["target"], RATIO["met"]) == (">= 13x", True)
    assert (SLOW["target"], SLOW["met"]) == ("<= 0.4 s", False)
    assert (PLAIN["target"], PLAIN["met"]) == (None, None)
    assert row("exactly there", value=0.4, value_unit="s", at_most=0.4)["met"]


def test_a_row_has_one_target():
    with pytest.raises(ValueError, match="two targets"):
        row("both", value=1, value_unit="s", at_most=1, at_least=1)


def test_the_markdown_table():
    assert report.markdown_table({"pipeline": [RATIO], "cli": [SLOW, PLAIN]}) == [
        "| measurement | ours | other | ratio or value | target | met | file |",
        "|---|---|---|---|---|---|---|",
        "| images, ours against theirs (1) | 200,700 images/s | 6,000 images/s | 33.5x | >= 13x | yes | `pipeline` |",
        "| start-up | 0.52 s |  | 0.52 s | <= 0.4 s | no | `cli` |",
        "| memory |  |  | 101 MB |  |  | `cli` |",
        "",
        "1. one thread",
    ]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", ""),
        (1234567, "", "1,234,567"),
        (0.00234, "ms", "0.00234 ms"),
        (7.128, "x", "7.13x"),
        (9, "%", "9 %"),
    ],
)
def test_numbers_have_three_digits_and_a_unit(value, unit, text):
    assert report.number(value, unit) == text


def test_only_what_is_between_the_markers_changes():
    page = f"# Title\n\nwords\n{report.BEGIN}\nold\n{report.END}\nmore\n"
    assert report.between_markers(page, "new") == f"# Title\n\nwords\n{report.BEGIN}\nnew\n{report.END}\nmore\n"


@pytest.mark.parametrize(
    "page", ["nothing", report.BEGIN, f"{report.END}{report.BEGIN}", 2 * f"{report.BEGIN}{report.END}"]
)
def test_a_page_without_its_markers_is_refused(page):
    with pytest.raises(ValueError, match="once each"):
        report.between_markers(page, "new")


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of results that `write` writes to and `render` reads from."""
    monkeypatch.setattr(evidence, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_results_become_a_page_with_its_figure_and_what_is_missing(results, tmp_path):
    curves = panel("finished", x="s", y="trials", series={"ours": [[(0, 0), (1, 2)], [(0, 0), (2, 2)]]}, steps=True)
    evidence.write("cli_import", {"rows": [SLOW]})
    evidence.write("race", {"rows": [RATIO], "plots": [plot("race.png", [curves, curves])]})
    evidence.write("mixers", {"methods": {}})  # written before there were rows
    table = report.render(tmp_path)
    page = (tmp_path / "performance.md").read_text()
    assert page == f"# Performance\n\n{report.BEGIN}\n{table}\n{report.END}\n"
    assert table.index("`race` |") < table.index("`cli_import` |")  # the order of the registry
    assert "Not measured: `input_pipeline`, " in table and "`mixers`" in table.partition("Not measured")[2]
    assert (tmp_path / "race.png").read_bytes().startswith(b"\x89PNG")
    assert report.render(tmp_path) == table and (tmp_path / "performance.md").read_text() == page


def test_evidence_says_with_what_it_was_made(results):
    path = evidence.write("pairing", {"rows": [RATIO]})
    written = json.loads(path.read_text())
    assert written["command"] == "python -m benchmarks run --only pairing"
    assert written["machine"]["cores"] >= 1 and "torch" in written["versions"]
    assert evidence.read("pairing")["results"] == {"rows": [RATIO]}


def test_the_terminal_shows_the_same_numbers():
    text = "\n".join(report.text_table("cli", [SLOW, PLAIN]))
    assert "0.52 s" in text and "<= 0.4 s" in text and "no" in text
