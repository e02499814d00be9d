"""What an exception says as a short line that can be written anywhere, whatever its author has made of it.

An exception's text may be megabytes long, hold newlines, control characters or half of a character (a lone surrogate,
as in names of files that are no UTF-8), and making it may raise. It goes into the record, to Ray and onto screens.
"""

import traceback

LIMIT = 300
"""Characters of a line about an exception."""
TRACE_LIMIT = 100_000
"""Characters of a traceback that is kept."""


def short(error: BaseException, limit: int = LIMIT) -> str:
    """The type and the text of an exception in one printable line of at most `limit` characters; never raises."""
    kind, text = type(error).__name__, said(error, limit)
    return one_line(f"{kind}: {text}" if text else kind, limit)


def first_line(error: BaseException, limit: int = LIMIT) -> str:
    """`short` of the first line that says something: errors of torch go on with advice to developers."""
    text = first_said(error, limit)
    return one_line(f"{type(error).__name__}: {text}" if text else type(error).__name__, limit)


def first_said(error: BaseException, limit: int = LIMIT) -> str:
    """`said` of the first line that says something."""
    lines = text_of(error)[: 8 * limit].strip().splitlines()
    return one_line(lines[0], limit) if lines else ""


def said(error: BaseException, limit: int = LIMIT) -> str:
    """The text of an exception in one printable line of at most `limit` characters, empty if it has none."""
    return one_line(text_of(error)[: 8 * limit], limit)


def one_line(text: str, limit: int = LIMIT) -> str:
    """A text in one line of at most `limit` characters; what can't be printed is escaped as in Python's source."""
    start = " ".join(text[: 8 * limit].split())
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in start[: limit + 1])
    return plain if len(plain) <= limit and len(text) <= 8 * limit else f"{plain[: limit - 3].rstrip()}..."


def text_of(error: BaseException) -> str:
    """`str(error)`; where that raises, words that say so. For searching in it: it may have any length and content."""
    try:
        return str(error)
    except (Exception, SystemExit, GeneratorExit) as fault:
        return f"(its text can't be had: {type(fault).__name__})"


def trace(error: BaseException, limit: int = TRACE_LIMIT) -> str:
    """The traceback of an exception, with those that it came of, as text that UTF-8 can hold; never raises.

    Beyond `limit` characters the middle is left out: the beginning says where it was called, the end what happened.
    """
    try:
        text = "".join(traceback.format_exception(error))
    except (Exception, SystemExit, GeneratorExit):
        text = f"{short(error)}\n"
    if len(text) > limit:
        half = limit // 2
        text = f"{text[:half]}\n[{len(text) - 2 * half} characters are left out]\n{text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
