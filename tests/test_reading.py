import json
import math
import time
import tracemalloc

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.config import TrialConfig
from tune_mixup.reading import MOST_LEVELS, dump_json, dump_yaml, parse_json, parse_yaml

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{below}'] * 10)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "line 2, column 8: *a is an alias"),
        ("mixing: &m\n  name: mixup\n  alpha: *m", "line 3, column 10: *m is an alias"),
        ("base: &b {name: mixup}\nmixing: {<<: *b}", "line 2, column 10: << merges"),
        ("mixing:\n  <<: {name: mixup}", "line 2, column 3: << merges"),
        ("*a : 1", "is an alias"),
        ("mixing: 1\nmodel: 2\nmixing: 3", "line 3, column 1: the key 'mixing' stands twice"),
        ("{a: {b: 1, 'b': 2}}", "the key 'b' stands twice"),
        ("1: a\n0x1: b", "the key 1 stands twice"),
        ("[" * 2500 + "]" * 2500, "nested more than 100 deep"),
        ("{a: " * 100_000, "nested more than 100 deep"),
        ("- " * 100_000, "nested more than 100 deep"),
        ("a: " + "9" * 20_000, "a number of 20000 characters"),
        ("a: !!python/object:os.system 1", "line 1, column 4: got the tag"),
        ("!!int '3'", "got the tag"),
        ("? [1, 2]\n: 3", "used as a key"),
        ("a: 1\n---\nb: 2", "line 2, column 1: a second document"),
        ("%YAML 1.1\n---\na: yes", "must be 1.2"),
        ("a: [1, 2", "line 1, column 9: a comma or a closing bracket is missing; add it"),
        ("{a: 1", "line 1, column 6: a comma or a closing bracket is missing; add it"),
        ("'abc", "line 1, column 5: a quote is not closed; close it"),
        ("a: b: c", "line 1, column 5: a colon within a value; put the value in quotes"),
        ("a: @x", "line 1, column 4: no value begins with this character; put the value in quotes"),
        ("a:\n  - b\n c: d", "line 3, column 2: the indentation does not fit what is above; mend it"),
        ('a: "\\q"', "line 1, column 6: a backslash in double quotes that means nothing; use single quotes"),
        ("%x", "line 1, column 3: this is not how YAML is written"),
        ("a: \x01", "it holds a character, #x0001, that no YAML may have; remove it"),
        ("a:\n\tb: 1", "line 2, column 1"),
        ("a: b: c", "line 1, column 5"),
        ("a: \x07", "#x0007"),
    ],
)
def test_what_is_not_read_is_refused_in_one_line_and_soon(text, words):
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(ValueError) as caught:
            parse_yaml(text)
        took, (_, most) = time.process_time() - begin, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 200
    assert took < 5 and most < 10_000_000


def test_nesting_is_read_up_to_its_end():
    value = parse_yaml("[" * MOST_LEVELS + "]" * MOST_LEVELS)
    for _ in range(MOST_LEVELS - 1):
        (value,) = value
    assert value == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0o17", 15), ("0x1F", 31), ("0b1", "0b1"), ("+.5", 0.5), ("1e3", 1000.0), ("-.INF", -math.inf),
        ("TRUE", True), ("tRUE", "tRUE"), ("yes", "yes"), ("on: 1", {"on": 1}), ("a: &b 1", {"a": 1}),
        ("'<<': 1", {"<<": 1}), ("a: <<", {"a": "<<"}), ("%YAML 1.2\n---\na: 1", {"a": 1}),
        ("a: |\n  b\n", {"a": "b\n"}),
        ("123456789012345678901234567890", 123456789012345678901234567890), ("a: {}\nb: []", {"a": {}, "b": []}),
        ("# nothing", None), ("? a\n: 1", {"a": 1}), ("- 1\n-\n- ~", [1, None, None]),
    ],
)  # fmt: skip
def test_values_are_those_of_the_core_schema(text, value):
    assert repr(parse_yaml(text)) == repr(value)


def test_a_length_that_no_training_reaches_is_refused_by_the_settings():
    values = parse_yaml("training: {epochs: 99999999999999999999999999999999999999}")
    with pytest.raises(ValueError, match="^training.epochs: got 9+, must be less than or equal to 1000000$"):
        TrialConfig.parse(values)


def test_what_is_no_number_is_nan():
    assert math.isnan(parse_yaml(".NaN"))
    assert math.isnan(parse_yaml(dump_yaml(math.nan)))


LIKE_SOMETHING = (
    "", "null", "~", "true", "no", "on", "y", "Y", "1", "+1", "1e3", "1e-3", ".5", "NaN", ".nan", ".inf", "0x1f", "017",
    "0o17", "0b11", "1_0", "1:30", "2026-01-02", "=", "<<", "#", "- a", "a: b", "a #b", "a:", " a", "a ", "&a", "*a",
    "!a", "%a", "@a", "`a", "[a]", "{a}", "'a'", '"a"', "a\nb", "\na\n", "\r", "\t", "\0", "\x85", "\u2028", "\ufeff",
    "é", "\U0001f600", "---", "...", "? a", "|", ">", ",", "a" * 300, "a " * 300,
)  # fmt: skip
TEXTS = st.sampled_from(LIKE_SOMETHING) | st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXTS, below, max_size=4),
    max_leaves=12,
)


@given(value=VALUES)
@settings(deadline=None, max_examples=300)
def test_what_is_written_is_read_back_equal_by_either_version_of_yaml(value):
    text = dump_yaml(value)
    assert text.isascii()
    assert repr(parse_yaml(text)) == repr(value)
    assert repr(yaml.safe_load(text)) == repr(value)  # PyYAML reads version 1.1


@pytest.mark.parametrize("text", LIKE_SOMETHING)
def test_texts_that_look_like_something_else_stay_texts(text):
    written = dump_yaml({text: [text]})
    assert parse_yaml(written) == {text: [text]} and yaml.safe_load(written) == {text: [text]}


def test_ordinary_settings_are_written_as_a_person_would():
    values = {"mixing": {"name": "mixup", "alpha": 0.4}, "data": {"root": "/my data", "mean": [0.5, 1], "std": ()}}
    expected = "mixing:\n  name: mixup\n  alpha: 0.4\ndata:\n  root: /my data\n  mean:\n  - 0.5\n  - 1\n  std: []\n"
    assert dump_yaml(values) == expected


WORDS = st.from_regex(r"[a-zA-Z_/][a-zA-Z0-9_/. -]{0,90}", fullmatch=True).filter(lambda text: text == text.strip())


@given(value=st.dictionaries(WORDS, st.lists(st.none() | st.booleans() | st.integers() | st.floats() | WORDS)))
@settings(deadline=None, max_examples=100)
def test_records_that_pyyaml_has_written_are_read_as_they_were(value):
    """Old records hold names, paths and numbers. Texts that only 1.2 takes for a number (1e3) are not among them."""
    assert repr(parse_yaml(yaml.safe_dump(value, sort_keys=False))) == repr(value)


@pytest.mark.parametrize("value", [object(), {"a": {1, 2}}, b"a", 1j])
def test_only_plain_values_are_written(value):
    with pytest.raises(ValueError, match="must be a plain value"):
        dump_yaml(value)


def test_a_value_that_holds_itself_is_not_written():
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        dump_yaml(endless)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": {"alpha": 0.4, "alpha": 0.9}}', "the key 'alpha' stands twice"),
        ("[NaN]", "NaN"), ("[-Infinity]", "-Infinity"), ("1e999", "1e999"),
        ("[" * 101 + "]" * 101, "nested more than 100 deep"), ("[" * 200_000, "nested more than 100 deep"),
        ('{"a":' * 101 + "1" + "}" * 101, "nested more than 100 deep"),
        ("9" * 5000, "4300"), ("[1,", "line 1, column"),
        ("{'a': 1}", "what stands here"), (b"\xff\xff", "utf-8"),
    ],
)  # fmt: skip
def test_json_that_is_not_read_is_refused_in_one_line(text, words):
    with pytest.raises(ValueError) as caught:
        parse_json(text)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@given(value=VALUES.filter(lambda value: "Infinity" not in json.dumps(value)))
@settings(deadline=None)
def test_json_is_read_back_equal(value):
    assert repr(parse_json(dump_json(value))) == repr(value)
    assert repr(json.loads(dump_json(value))) == repr(value)


def test_json_is_written_without_nan():
    with pytest.raises(ValueError):
        dump_json([math.nan])


@pytest.mark.parametrize("value", [10**1000, -(10**999), 10**1500], ids=["long", "negative", "longer"])
def test_a_number_that_is_too_long_to_be_read_again_is_not_written(value):
    with pytest.raises(ValueError, match="a number of more than 1000 characters"):
        dump_yaml({"seed": value})
    for whole in (10**1000 - 1, -(10**999) + 1):
        assert parse_yaml(dump_yaml(whole)) == whole
