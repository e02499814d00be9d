"""The command line: one file per family of verbs, each of which parses, makes one call and prints.

Verbs import what is heavy (torch, Ray, pandas, Optuna) when they run, so that `--help` and typing errors are instant.
"""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from tune_mixup import __version__
from tune_mixup.cli import overview
from tune_mixup.cli.ablate import ablate
from tune_mixup.cli.bench import bench
from tune_mixup.cli.check import check
from tune_mixup.cli.completion import answer_shells, completion
from tune_mixup.cli.dashboard import dashboard
from tune_mixup.cli.defaults import given_defaults, in_force, told_of
from tune_mixup.cli.errors import code_and_line, words_of
from tune_mixup.cli.explain import explain
from tune_mixup.cli.gallery import gallery
from tune_mixup.cli.housekeeping import copy, delete, rename
from tune_mixup.cli.logs import logs
from tune_mixup.cli.once import OnceCommand, VerbGroup
from tune_mixup.cli.results import evaluate, export, leaderboard
from tune_mixup.cli.sweep import resume, sweep
from tune_mixup.cli.train import train
from tune_mixup.streams import fill_closed, forgiving_output, give_up, tell

VERBS: dict[Callable[..., None], str] = {
    check: "tune-mixup check generalized_mixup --set data.name=cifar10",
    train: "tune-mixup train --space mixup --set data.name=cifar10 --out runs/one",
    sweep: "tune-mixup sweep generalized_mixup --name gm --trials 64 --gpus-per-trial 0.25",
    resume: "tune-mixup resume gm --trials 128",
    ablate: "tune-mixup ablate generalized_mixup --plan",
    overview.list: "tune-mixup list",
    overview.status: "tune-mixup status gm --watch",
    logs: "tune-mixup logs gm --trial t0012",
    leaderboard: "tune-mixup leaderboard gm --top 10 --format markdown",
    export: "tune-mixup export gm --top 3 --to best.yaml",
    explain: "tune-mixup explain gm 12",
    evaluate: "tune-mixup evaluate gm --top 3 --seeds 3",
    dashboard: "tune-mixup dashboard gm",
    gallery: "tune-mixup gallery --data cifar10 --to gallery.png",
    bench: "tune-mixup bench --space mixup --set data.name=cifar10",
    rename: "tune-mixup rename gm gm-first",
    copy: "tune-mixup copy gm gm-second",
    delete: "tune-mixup delete gm-first",
    completion: "tune-mixup completion bash",
}
"""Every verb with an example of its use, in the order of the help."""


EXIT_CODES = "Exit codes: 0 done, 1 a run failed or the answer was no, 2 bad input, 130 interrupted."


def main() -> None:
    """Run the command that the shell gave and exit with its code.

    Parts that lie in the current folder are found, as with `python -m`, but behind all that is installed.
    """
    sys.path.append(os.getcwd())
    fill_closed()
    code = run(sys.argv[1:])
    give_up(sys.stdout)
    give_up(sys.stderr)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code: 0 done, 1 a run failed, 2 bad input, 130 interrupted.

    What went wrong is one line on stderr; the environment variable TUNE_MIXUP_TRACEBACK=1 adds where. Output that
    nobody can take (a closed pipe, a full disk) stops no command; one that is done all the same ends with 1.
    """
    with forgiving_output() as shown:
        code = _run(arguments)
        arrived = shown is None or shown.finish()
        return code or int(not arrived)


def _run(arguments: Sequence[str]) -> int:
    try:
        answer_shells()
        code = _with_defaults(list(arguments) or ["--help"])
        if code == 130:  # typer turns an interrupt that no verb has explained into this code
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("TUNE_MIXUP_TRACEBACK", "0") not in ("", "0"):
            traceback.print_exc()
        code, line = code_and_line(error)
        tell(line)
        return code


def _with_defaults(arguments: list[str]) -> object:
    """Run the application with what is said once for all commands; what that makes go wrong is told with its source."""
    verb = next((word for word in arguments if not word.startswith("-")), "")
    wanted = verb in {one.__name__ for one in VERBS} and "--help" not in arguments
    defaults = in_force(given_defaults(), verb, arguments) if wanted and verb != "completion" else {}
    default_map = {verb: {one.parameter: one.text for one in defaults.values()}}
    try:
        return app()(
            args=arguments, prog_name="tune-mixup", standalone_mode=False, default_map=default_map, obj=defaults
        )
    except (typer.TyperException, ValueError, OSError) as error:
        words = words_of(error)
        if not (sources := told_of(words, defaults)):
            raise
        raise ValueError(f"{words}; got {sources}") from None


def app() -> typer.Typer:
    """The application with all its verbs."""
    made = typer.Typer(
        cls=VerbGroup,
        help="Hyperparameter search for mixup-family training.",
        epilog=f"Start with: tune-mixup sweep quickstart\n\n{EXIT_CODES}",
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    made.callback()(_root)
    for verb, example in VERBS.items():
        made.command(cls=OnceCommand, epilog=f"Example: {example}")(verb)
    return made


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
