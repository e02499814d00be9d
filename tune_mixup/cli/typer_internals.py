"""What we use of typer and typer does not document: the scripts by which shells complete commands.

`tests/cli/test_typer_internals.py` holds a test for each.
"""

from typer._completion_classes import completion_init
from typer._completion_shared import get_completion_script


def script_for(shell: str, *, program: str, variable: str) -> str:
    """The script that teaches a shell (bash, zsh, fish) to ask `program`, in the environment variable `variable`."""
    return get_completion_script(prog_name=program, complete_var=variable, shell=shell)


def know_shells() -> None:
    """Have the application answer what shells ask by such a script."""
    completion_init()
