"""How a command ends that did not do what it was asked: an exit code and one line."""

import re

import typer
from pydantic import ValidationError
from typer.core import TyperArgument, TyperOption

from tune_mixup.cli.usage import HELP
from tune_mixup.faults import SHOWN, describe
from tune_mixup.words import one_line, text_of

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
LINE_LIMIT = 4000
"""Characters of the line; all faults of a configuration may stand in one."""


WORD_LIMIT = 500
"""No word of it is longer: more than the longest path that anyone types."""


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
            return error.exit_code, _one_line(f"{words_of(error)} {HELP}")
        case ValueError() | OSError():
            return BAD_INPUT, _one_line(words_of(error))
        case RuntimeError() if type(error) is RuntimeError:
            return FAILED, _one_line(words_of(error))
    # Neither the user's mistake nor a failure that was foreseen, so its kind is worth naming.
    where = "TUNE_MIXUP_TRACEBACK=1 shows where"
    return FAILED, f"{type(error).__name__}: {_one_line(text_of(error))}; {where}"


def words_of(error: BaseException) -> str:
    """What is wrong, in our words; of an option they begin with its name, of a file with its path."""
    match error:
        case typer.BadParameter(param=TyperOption() | TyperArgument() as param, __cause__=ValidationError() as cause):
            return describe(cause, of=param.opts[0])
        case typer.TyperException():
            return error.format_message()
        case OSError(filename=str(filename), strerror=str(reason)):
            return f"{filename}: {reason}"
    return text_of(error)


def _one_line(text: str) -> str:
    text = re.sub(rf"\S{{{WORD_LIMIT},}}", lambda word: f"{word[0][:SHOWN]}...", text)
    if re.search(r'^\s*File ".*", line \d+', text, re.MULTILINE):  # an error from a worker brings its traceback along
        text = text.strip().splitlines()[-1]
    return one_line(text, LINE_LIMIT)
