"""What verbs that print tables share: their options, and the width that there is."""

import shutil
import sys
from typing import Annotated

import typer

Columns = Annotated[
    str | None, typer.Option(metavar="A,B,...", help="Which columns, in this order. Default: all that fit.")
]
Wide = Annotated[
    bool, typer.Option("--wide", help="Every column in full, as in a pipe or a file, however narrow the terminal is.")
]


def screen_width(*, wide: bool = False) -> int | None:
    """The columns of the terminal that stdout is, None where it is none, or where that is not to matter."""
    on_screen = sys.stdout is not None and sys.stdout.isatty()
    return shutil.get_terminal_size().columns if on_screen and not wide else None
