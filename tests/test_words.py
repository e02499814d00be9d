import pickle
import time

import pytest

from tune_mixup.words import first_line, one_line, said, short, trace


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Quits(Exception):
    def __str__(self):
        raise SystemExit(3)


class NoText(Exception):
    def __str__(self):
        return 3


class Unpicklable(Exception):
    def __init__(self, first, second):
        super().__init__(lambda: first)


@pytest.mark.parametrize(
    "error, line",
    [
        (ValueError("a plain one"), "ValueError: a plain one"),
        (ValueError(), "ValueError"),
        (KeyError("k"), "KeyError: 'k'"),
        (ValueError("two\nlines\t and\r\n  gaps "), "ValueError: two lines and gaps"),
        (ValueError("\n"), "ValueError"),
        (ValueError("half \udc80 of \ud83d one"), r"ValueError: half \udc80 of \ud83d one"),
        (ValueError("bell \x07 and \x1b[31mred"), r"ValueError: bell \x07 and \x1b[31mred"),
        (ValueError("Größe 0,5 µm 数"), "ValueError: Größe 0,5 µm 数"),
        (Mute(), "Mute: (its text can't be had: RuntimeError)"),
        (Quits(), "Quits: (its text can't be had: SystemExit)"),
        (NoText(), "NoText: (its text can't be had: TypeError)"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_line(error, line):
    assert short(error) == line
    line.encode()


@pytest.mark.parametrize("text, times", [("x", 5_000_000), ("\udc80", 5_000_000), ("x\n", 400)])
def test_long_texts_are_cut(text, times):
    text = text * times
    began = time.perf_counter()
    for limit in (40, 300):
        line = short(ValueError(text), limit)
        assert len(line) <= limit and line.endswith("...") and line.startswith("ValueError")
        line.encode()
    assert time.perf_counter() - began < 1


def test_the_first_line_alone():
    assert first_line(ValueError("\n first \x07\r\nsecond")) == r"ValueError: first \x07"
    assert first_line(ValueError("\n")) == first_line(ValueError()) == "ValueError"
    assert first_line(Mute()) == "Mute: (its text can't be had: RuntimeError)"
    assert len(first_line(ValueError("x" * 5_000_000))) == 300


def test_a_long_text_of_nothing():
    assert short(ValueError("\n" * 5_000_000)) == "ValueError"


def test_a_text_of_just_the_limit_is_whole():
    assert one_line("x" * 300) == "x" * 300
    assert one_line("x" * 301) == "x" * 297 + "..."
    assert said(ValueError("a\nb")) == "a b"


def test_an_exception_that_cannot_be_pickled():
    error = Unpicklable(1, 2)
    with pytest.raises(Exception, match="pickle|lambda|local"):
        pickle.dumps(error)
    assert short(error).startswith("Unpicklable: <function")


def raised(error):
    try:
        raise error
    except Exception as caught:
        return caught


def test_the_traceback_says_where_and_what():
    text = trace(raised(ValueError("what it says")))
    assert text.startswith("Traceback") and "in raised" in text and text.endswith("ValueError: what it says\n")


@pytest.mark.parametrize(
    "error",
    [Mute(), Quits(), NoText(), ValueError("\udc80"), ValueError("y" * 5_000_000)],
    ids=["mute", "quits", "no text", "surrogate", "long"],
)
def test_any_traceback_can_be_kept(error):
    text = trace(raised(error))
    assert len(text.encode()) < 110_000 and type(error).__name__ in text
