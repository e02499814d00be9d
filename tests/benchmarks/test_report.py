import json
from dataclasses import replace

import pytest

from benchmarks import evidence, pages, registry, report, tables
from benchmarks.__main__ import ROOT, main
from benchmarks.figures import draw
from benchmarks.rows import marks, panel, plot, row

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
    assert tables.markdown_table({"pipeline": [RATIO], "cli": [SLOW, PLAIN]}) == [
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
    assert tables.number(value, unit) == text


def test_only_what_is_between_the_markers_changes():
    page = f"# Title\n\nwords\n{pages.BEGIN}\nold\n{pages.END}\nmore\n"
    assert pages.between_markers(page, "new") == f"# Title\n\nwords\n{pages.BEGIN}\nnew\n{pages.END}\nmore\n"


@pytest.mark.parametrize("page", ["nothing", pages.BEGIN, f"{pages.END}{pages.BEGIN}", 2 * f"{pages.BEGIN}{pages.END}"])
def test_a_page_without_its_markers_is_refused(page):
    with pytest.raises(ValueError, match="once each"):
        pages.between_markers(page, "new")


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of results that `write` writes to and `render` reads from; the README shows one row of one cell."""
    monkeypatch.setattr(evidence, "RESULTS", tmp_path / "results")
    for name, cell in registry.CELLS.items():
        shown = (SLOW["measurement"],) if name == "cli_import" else ()
        monkeypatch.setitem(registry.CELLS, name, replace(cell, headlines=shown))
    return tmp_path / "results"


def test_results_become_a_page_with_its_figure_and_what_is_missing(results, tmp_path):
    curves = panel("finished", x="s", y="trials", series={"ours": [[(0, 0), (1, 2)], [(0, 0), (2, 2)]]}, steps=True)
    evidence.write("cli_import", {"rows": [SLOW]})
    evidence.write("race", {"rows": [RATIO], "plots": [plot("race.png", [curves, curves])]})
    written = report.render(tmp_path)
    page = (tmp_path / "docs" / "performance.md").read_text()
    assert written.splitlines() == ["docs/performance.md", "README.md", "docs/race.png"]
    assert page.startswith(f"# Performance\n\n{pages.BEGIN}\n| measurement |") and page.endswith(f"\n{pages.END}\n")
    assert page.index("`race` |") < page.index("`cli_import` |")  # the order of the registry
    assert "Not measured: `input_pipeline`, " in page and "`mixers`" in page.partition("Not measured")[2]
    assert (tmp_path / "docs" / "race.png").read_bytes().startswith(b"\x89PNG")
    assert report.render(tmp_path) == written and (tmp_path / "docs" / "performance.md").read_text() == page


def test_evidence_says_with_what_it_was_made(results):
    path = evidence.write("pairing", {"rows": [RATIO]})
    written = json.loads(path.read_text())
    assert written["command"] == "python -m benchmarks run pairing"
    assert written["machine"]["cores"] >= 1 and "torch" in written["versions"]
    assert evidence.read("pairing")["results"] == {"rows": [RATIO]}


def test_the_terminal_shows_the_same_numbers():
    text = "\n".join(tables.text_table("cli", [SLOW, PLAIN]))
    assert "0.52 s" in text and "<= 0.4 s" in text and "no" in text


def test_the_readme_shows_the_headlines_alone(results, tmp_path):
    evidence.write("cli_import", {"rows": [PLAIN, SLOW]})
    evidence.write("pairing", {"rows": [RATIO]})
    report.render(tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert "| start-up | 0.52 s |  | 0.52 s | <= 0.4 s | no | `cli_import` |" in readme
    assert "memory" not in readme and "pairing" not in readme


def test_a_headline_that_is_no_row_is_refused(results, tmp_path):
    evidence.write("cli_import", {"rows": [PLAIN]})
    with pytest.raises(ValueError, match="cli_import has no row 'start-up'"):
        report.render(tmp_path)


def test_a_changed_result_or_page_is_out_of_date(results, tmp_path):
    evidence.write("cli_import", {"rows": [SLOW]})
    assert report.outdated(tmp_path) == ["docs/performance.md", "README.md"]
    report.render(tmp_path)
    assert report.outdated(tmp_path) == []
    readme = tmp_path / "README.md"
    readme.write_text(readme.read_text().replace("0.52 s", "0.41 s"))
    assert report.outdated(tmp_path) == ["README.md"]
    evidence.write("cli_import", {"rows": [SLOW, PLAIN]})
    assert report.outdated(tmp_path) == ["docs/performance.md", "README.md"]


def test_the_pages_of_this_repository_are_up_to_date(capsys):
    assert main(["report", "--check"]) == 0, capsys.readouterr().err


def test_every_result_has_rows_and_every_headline_its_row():
    for name, found in pages.results().items():
        rows = {row["measurement"] for row in found["results"]["rows"]}
        assert set(registry.CELLS[name].headlines) <= rows, name
        assert not found["results"].get("rehearsal"), name
    assert (ROOT / "benchmarks" / "results" / "heap.json").exists()  # docs/performance.md quotes it


def test_marks_are_drawn_with_their_bars(tmp_path):
    one = marks("cost", x="%", y="points", points={"ours": [20, 0.1, 0.05, 0.2]}, aim=(26, 0.05), x_ticks=(10, 20))
    draw(plot("marks.png", [one, one]), tmp_path)
    assert (tmp_path / "marks.png").read_bytes().startswith(b"\x89PNG")
