"""Typos are refused before what takes seconds to import is imported."""

import json
import subprocess
import sys

import pytest

from tune_mixup.cli.early import check_sweep, sweep_name

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
        (["sweep", "quickstart", "--set", "sweep.name=a/b"], "name: got 'a/b'"),
        (["sweep", "quickstart", "--sampler", "bayes"], "known: cmaes, gp, grid, qmc, random, tpe"),
        (["sweep", "quickstart", "--scheduler", "zzz"], "known: asha, hyperband, median, none"),
        (["sweep", "quickstart", "--metric", "val_acuracy"], "did you mean val_accuracy?"),
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


OWN = """from optuna.distributions import FloatDistribution
from tune_mixup.search_space import SearchSpace
SPACE = SearchSpace(
    fixed={"data.name": "digits", "mixing.name": "mixup", "training.metrics": ["own_metrics:ACCURACIES"]},
    free={"mixing.alpha": FloatDistribution(0, 2)},
)
"""
METRICS = """from tune_mixup.metrics import METRICS
ACCURACIES = METRICS["accuracy"]
"""


def test_a_metric_that_a_space_adds_is_no_slip_of_the_pen(command, monkeypatch, tmp_path):
    """Its name is one letter away from one of ours."""
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "own_metrics.py").write_text(METRICS)
    arguments = ("own.py", "--metric", "val_accuracies")
    assert command("check", *arguments) == 0, command.err
    monkeypatch.setattr("tune_mixup.space_names.shipped_spaces", lambda: tmp_path)
    check_sweep("own", {}, {"metric": "val_accuracies"})
    (tmp_path / "plain.py").write_text(OWN.replace('"training.metrics": ["own_metrics:ACCURACIES"]', ""))
    with pytest.raises(ValueError, match="did you mean val_accuracy"):
        check_sweep("plain", {}, {"metric": "val_accuracies"})


def test_what_a_sweep_will_be_called_is_said_only_where_it_is_known(tmp_path):
    (own := tmp_path / "own space.py").touch()
    assert sweep_name("mixup", {}, {}) == "mixup"
    assert sweep_name(str(own), {}, {}) is None
    assert sweep_name(str(own), {}, {"name": "gm"}) == "gm"
    assert sweep_name(str(own), {"sweep.name": "gm"}, {}) == sweep_name("mixup", {"sweep.name": "gm"}, {}) == "gm"
    assert sweep_name("mixup", {"sweep.name": 3}, {}) is None
