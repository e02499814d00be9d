import os
import subprocess
import sys

import pytest

from tune_mixup.cli.typer_internals import script_for

ASKED = """
import typer
from tune_mixup.cli.typer_internals import know_shells

know_shells()
app = typer.Typer(add_completion=False)
app.command("first")(lambda: None)
app.command("second")(lambda: None)
app(prog_name="prog")
"""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_asks_the_program_in_the_variable(shell):
    script = script_for(shell, program="prog", variable="_ASKED")
    assert f"_ASKED=complete_{shell}" in script and "prog" in script


def test_an_application_answers_a_shell_once_it_knows_shells():
    asked = {**os.environ, "_PROG_COMPLETE": "complete_bash", "COMP_WORDS": "prog fi", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", ASKED], env=asked, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["first"], "")
