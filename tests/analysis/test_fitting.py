from unicodedata import east_asian_width

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_mixup.analysis.fitting import Column, draw, filled, hung, same_in_all, wrap


def cells_of(text):
    """Screen cells by the Unicode table: two for wide and full-width characters."""
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in text)


def column(head, *cells):
    return Column(head, cells)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("epoch 9: last of three", 10, ["epoch 9:", "last of", "three"]),
        ("training.batch_size", 12, ["training.", "batch_size"]),
        ("at training.batch_size", 12, ["at training.", "batch_size"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("猫猫猫", 4, ["猫猫", "猫"]),
        ("", 5, [""]),
    ],
)
def test_texts_are_broken_between_words_first(text, width, lines):
    assert wrap(text, width) == lines


def test_headers_are_never_torn():
    assert wrap("mixing.growth_factor", 1, tear=False) == ["mixing.", "growth_", "factor"]
    assert wrap("rank correlation with the end", 13, tear=False) == ["rank", "correlation", "with the end"]


@given(st.text(st.sampled_from("ab._ 猫"), max_size=60), st.integers(2, 20))
def test_nothing_is_lost_nor_too_long(text, width):
    lines = wrap(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(cells_of(line) <= width for line in lines)


TABLE = [
    column("trial", "1", "12"),
    column("state", "COMPLETE", "COMPLETE"),
    column("val_accuracy", "0.75", "0.5"),
    column("mixing.alpha", "0.125", "2"),
    column("reason", "", "a long reason that is to be read in the end"),
]
SPARE = ("state", "reason", "mixing.alpha")


def test_where_there_is_room_nothing_is_broken():
    drawn = draw(TABLE, None, SPARE)
    assert drawn.left_out == [] and len(drawn.lines) == 4
    assert drawn.lines[-1] == "   12  COMPLETE           0.5             2  a long reason that is to be read in the end"


def test_the_least_wanted_goes_first_and_texts_wrap_at_words():
    drawn = draw(TABLE, 50, SPARE)
    assert [one.head for one in drawn.left_out] == ["state"]
    assert drawn.lines == [
        "trial      val_  mixing.  reason",
        "       accuracy    alpha",
        "-----  --------  -------  ------------------------",
        "    1      0.75    0.125",
        "   12       0.5        2  a long reason that is to",
        "                          be read in the end",
    ]
    assert "mixing.alpha" not in [one.head for one in drawn.left_out]


@pytest.mark.parametrize("width", range(16, 140))
def test_no_line_is_wider_than_the_screen(width):
    drawn = draw(TABLE, width, SPARE)
    assert max(map(len, drawn.lines)) <= width
    assert not {"trial", "val_accuracy"} & {one.head for one in drawn.left_out}


def test_what_was_given_up_in_vain_comes_back():
    columns = [column("a", "1"), column("narrow", "1"), column("wide", "1" * 30)]
    assert [one.head for one in draw(columns, 12, ("narrow", "wide")).left_out] == ["wide"]


def test_prose_keeps_its_indent():
    assert filled("  t0001  stopped at the first rung", 20) == "  t0001  stopped at\n    the first rung"
    assert filled("one\n\ntwo", 20) == "one\n\ntwo" and filled("never broken " * 9, None) == "never broken " * 9


def test_a_text_hangs_behind_what_leads_to_it():
    text = "one two three four five six seven eight nine"
    assert list(hung("  key  ", text, None)) == list(hung("  key  ", text, 51)) == [f"  key  {text}"]
    assert list(hung("  key  ", text, 36)) == [
        "  key  one two three four five six",
        "       seven eight nine",
    ]
    assert list(hung("  key  ", text, 24)) == ["  key  one two three", "    four five six seven", "    eight nine"]
    assert list(hung("1: ", "    " + text, 44)) == ["1:     one two three four five six seven", "       eight nine"]
    assert list(hung("  key  ", "", 20)) == ["  key"]


def test_what_is_the_same_in_every_row():
    assert same_in_all(TABLE) == {"state": "COMPLETE"}
    assert same_in_all([column("state", "COMPLETE")]) == {}, "one row says nothing of the others"
