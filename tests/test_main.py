"""`python -m tune_mixup`, and what the wheel tells type checkers."""

import subprocess
import sys
from importlib.resources import files

import tune_mixup


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "tune_mixup", *arguments], capture_output=True, text=True, timeout=60)


def test_it_is_the_command():
    done = run("--version")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, tune_mixup.__version__, "")


def test_it_speaks_as_the_command():
    assert run("sweep", "--help").stdout.lstrip().startswith("Usage: tune-mixup sweep")


def test_its_exit_code_is_the_commands():
    done = run("leaderboard", "no-such-sweep")
    assert done.returncode == 2 and done.stderr.startswith("tune-mixup: there is no sweep named")
    assert done.stderr.count("\n") == 1


def test_importing_it_runs_nothing():
    code = "import tune_mixup.__main__; print('imported')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "imported\n"


def test_type_checkers_are_told_that_the_package_has_types():
    """PEP 561: an empty file of this name in the package."""
    assert files("tune_mixup").joinpath("py.typed").is_file()
