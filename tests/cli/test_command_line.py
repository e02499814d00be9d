import json
import os
import subprocess
import sys

import pytest

from tune_mixup import __version__
from tune_mixup.cli import VERBS, errors

HEAVY = ["torch", "ray", "pandas", "optuna", "numpy", "sklearn", "yaml", "ruamel.yaml"]


@pytest.mark.parametrize("arguments", [["--help"], [], ["--version"], *([verb.__name__, "--help"] for verb in VERBS)])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys, json; from tune_mixup.cli import run\n"
        f"code = run({arguments!r})\n"
        f"print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_every_verb_has_help_with_an_example(command, verb):
    assert command(verb.__name__, "--help") == 0
    assert f"Example: tune-mixup {verb.__name__} " in command.out
    assert "--json" in command.out
    example = VERBS[verb].split()
    options = [word for word in example if word.startswith("--")]
    assert example[:2] == ["tune-mixup", verb.__name__] and all(option in command.out for option in options)


def test_the_console_script_is_this_program():
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[1:] = ['sweep']; from tune_mixup.cli import main; main()"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        "tune-mixup: sweep: SPACE is missing: a space that ships (quickstart, mixup, ...) or the path of a .py file "
        "(--help shows the options)\n"
    )


def test_version(command):
    assert command("--version") == 0 and command.out.strip() == __version__


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["swep"], "there is no verb 'swep'"),
        (["sweep"], "SPACE is missing"),
        (["sweep", "quickstart", "--trails", "3"], "there is no option --trails"),
        (["sweep", "quickstart", "--trials", "many"], "--trials: got 'many', must be a whole number"),
        (["sweep", "quickstart", "--trials"], "--trials"),
        (["sweep", "quickstart", "again"], "again"),
        (["export", "gm"], "--to FILE is missing"),
        (["train", "--space", "mixup"], "--out DIR is missing"),
    ],
)
def test_wrong_usage_is_one_line(command, tmp_path, arguments, words):
    assert words in command.refused(*arguments)
    assert list(tmp_path.iterdir()) == []


class RayTaskError(RuntimeError):
    pass


@pytest.mark.parametrize(
    "error, code, line",
    [
        (ValueError("no\n  such thing"), 2, "no such thing"),
        (FileNotFoundError(2, "No such file or directory", "a.yaml"), 2, "a.yaml: No such file or directory"),
        (PermissionError(13, "Permission denied", "runs"), 2, "runs: Permission denied"),
        (OSError(28, "No space left on device"), 2, "[Errno 28] No space left on device"),
        (RuntimeError("all 3 trials failed"), 1, "all 3 trials failed"),
        (ValueError('ray::test() (pid=3)\n  File "a.py", line 3, in test\nValueError: no'), 2, "ValueError: no"),
        (RayTaskError("lost"), 1, "RayTaskError: lost; TUNE_MIXUP_TRACEBACK=1 shows where"),
        (KeyError("alpha"), 1, "KeyError: 'alpha'; TUNE_MIXUP_TRACEBACK=1 shows where"),
        (AssertionError(), 1, "AssertionError: ; TUNE_MIXUP_TRACEBACK=1 shows where"),
        (errors.Interrupted("interrupted; go on"), 130, "interrupted; go on"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_what_goes_wrong_is_one_line_and_a_code(command, monkeypatch, start_sweep, error, code, line):
    start_sweep()

    def fail(path):
        raise error

    monkeypatch.setattr("tune_mixup.analysis.sweep.load_sweep", fail)
    assert command("leaderboard", "gm") == code
    assert (command.out, command.err) == ("", f"tune-mixup: {line}\n")


@pytest.mark.parametrize("value, shown", [("1", True), ("0", False), ("", False)])
def test_the_traceback_is_there_for_who_asks(command, monkeypatch, value, shown):
    monkeypatch.setenv("TUNE_MIXUP_TRACEBACK", value)
    assert command("leaderboard", "nowhere") == 2
    assert ("Traceback (most recent call last)" in command.err) == shown
    assert command.err.splitlines()[-1].startswith("tune-mixup: there is no sweep named 'nowhere'")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_error(unbuffered):
    """`tune-mixup ... | head` closes the pipe early."""
    code = "import sys; from tune_mixup.cli import main; sys.argv[1:] = ['sweep', '--help']; main()"
    read, write = os.pipe()
    os.close(read)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True, env=environment
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")
