"""How a command ends that did not do what it was asked: an exit code and one line."""

import re

import typer

MOST_CHARACTERS = 2000
"""What is shown of an error's text."""
FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


class Interrupted(Exception):
    """The user stopped the command; the message says what was kept and how to go on."""


def code_and_line(error: BaseException) -> tuple[int, str]:
    """The exit code and the line for an error that ended a command."""
    match error:
        case Interrupted():
            return INTERRUPTED, _one_line(str(error))
        case KeyboardInterrupt() | typer.Abort():
            return INTERRUPTED, "interrupted"
        case typer.TyperException():
            words = error.format_message().replace(": Value error, ", ": ")  # which some versions of typer put there
            return error.exit_code, _one_line(f"{words} (--help shows the options)")
        case OSError(filename=str(filename), strerror=str(reason)):
            return BAD_INPUT, _one_line(f"{filename}: {reason}")
        case ValueError() | OSError():
            return BAD_INPUT, _one_line(str(error))
        case RuntimeError() if type(error) is RuntimeError:
            return FAILED, _one_line(str(error))
    # Neither the user's mistake nor a failure that was foreseen, so its kind is worth naming.
    where = "TUNE_MIXUP_TRACEBACK=1 shows where"
    return FAILED, _one_line(f"{type(error).__name__}: {error}; {where}")


def _one_line(text: str) -> str:
    if re.search(r'^\s*File ".*", line \d+', text, re.MULTILINE):  # an error from a worker brings its traceback along
        text = text.strip().splitlines()[-1]
    line = " ".join(text[:MOST_CHARACTERS].split())
    line = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)
    return line if len(text) <= MOST_CHARACTERS else f"{line}..."
