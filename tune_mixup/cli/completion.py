"""`completion`: the script by which a shell completes verbs, options, and the names of spaces and sweeps."""

import json
import os
from enum import StrEnum
from typing import Annotated

import typer

from tune_mixup.cli.options import Json
from tune_mixup.cli.typer_internals import know_shells, script_for

PROGRAM = "tune-mixup"
VARIABLE = "_TUNE_MIXUP_COMPLETE"


class Shell(StrEnum):
    """What a script can be made for."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(help="Your shell: bash, zsh or fish.")], as_json: Json = False
) -> None:
    """Print the script that teaches a shell to complete commands.

    bash: eval "$(tune-mixup completion bash)" in ~/.bashrc; zsh the same in ~/.zshrc, after compinit;
    fish: tune-mixup completion fish > ~/.config/fish/completions/tune-mixup.fish
    """
    script = script_for(shell.value, program=PROGRAM, variable=VARIABLE)
    print(json.dumps({"shell": shell.value, "script": script}) if as_json else script)


def answer_shells() -> None:
    """Have the program answer a shell's questions, which come in environment variables; does nothing without one."""
    if VARIABLE in os.environ:
        know_shells()
