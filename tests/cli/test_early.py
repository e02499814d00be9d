"""Typos are refused before what takes seconds to import is imported."""

import json
import subprocess
import sys

import pytest

HEAVY = ["torch", "ray", "optuna", "pandas"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sweep", "quikstart"], "did you mean quickstart?"),
        (["check", "quikstart"], "did you mean quickstart?"),
        (["train", "--space", "quikstart", "--out", "o"], "did you mean quickstart?"),
        (["bench", "--space", "quikstart"], "did you mean quickstart?"),
        (["sweep", "gone.py"], "there is no file gone.py"),
        (["sweep", "quickstart", "--trails", "3"], "did you mean --trials?"),
        (["sweep", "quickstart", "--outside", "drop"], "write --set sweep.outside=VALUE"),
        (["sweep", "quickstart", "--set", "mixing.alhpa=1"], "did you mean mixing.alpha?"),
        (["check", "quickstart", "--set", "mixing.name=mixupp"], "did you mean mixup?"),
        (["sweep", "quickstart", "--set", "sweep.outside=foo"], "must be 'drop', 'clip' or 'refuse'"),
        (["sweep", "quickstart", "--sampler", "tpee"], "sweep.sampler.name: got 'tpee'"),
        (["sweep", "quickstart", "--scheduler", "ashaa"], "sweep.stopping.name: got 'ashaa'"),
        (["sweep", "quickstart", "--name", ""], "name: got ''"),
        (["sweep", "quickstart", "--name", "a/b"], "name: got 'a/b'"),
        (["sweep", "quickstart", "--from", ""], "--from: got ''"),
        (["sweep", "quickstart", "--from", "gone"], "--from: there is no sweep named 'gone'"),
        (["sweep", "quickstart", "--root", ""], "--root: got ''"),
        (["resume", "gone"], "there is no sweep named 'gone'"),
        (["gallery", "--to", "g.png", "--data", "digts"], "did you mean digits?"),
        (["gallery", "--to", "."], ". is a folder, must be a file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_typo_is_refused_without_heavy_imports(tmp_path, arguments, words):
    code = (
        "import json, sys; from tune_mixup.cli import run\n"
        f"code = run({arguments!r})\n"
        f"print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [2, []], done.stderr
    assert words in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
