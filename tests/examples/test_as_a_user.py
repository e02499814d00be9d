"""The examples in a folder of their own, as a user works with them: console script, kill, resume, export, train."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
DEADLINE_S = 300


@pytest.fixture
def project(tmp_path):
    """A copy of the examples; `tune-mixup` finds nothing of ours through the environment."""
    for file in EXAMPLES.glob("*.py"):
        shutil.copy(file, tmp_path)
    return tmp_path


def command(*words):
    return [str(Path(sys.executable).with_name("tune-mixup")), *map(str, words)]


def environment():
    left_out = ("PYTHONPATH", "TUNE_MIXUP_DATA")
    return {**{key: value for key, value in os.environ.items() if key not in left_out}, "OMP_NUM_THREADS": "1"}


def runs(project, *words):
    """What a command prints that must succeed."""
    done = subprocess.run(
        command(*words), cwd=project, env=environment(), capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(project, *words):
    done = subprocess.run(command(*words), cwd=project, env=environment(), capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stdout + done.stderr
    return done.stderr


def epochs(folder):
    return [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_module_beside_the_user_is_found_by_the_console_script(project):
    (project / "my.yaml").write_text("{data: {name: 'my_dataset:Shapes', num_train: 150}, training: {epochs: 1}}")
    set_ = ("--set", "mixing.name=my_mixer:Stripe", "--set", "mixing.softness=0.2")
    runs(project, "train", "--config", "my.yaml", *set_, "--out", "out")
    written = yaml.safe_load((project / "out" / "config.yaml").read_text())
    assert (written["mixing"]["name"], written["mixing"]["softness"]) == ("my_mixer:Stripe", 0.2)
    assert "there is no module my_mixr" in refused(
        project, "train", "--config", "my.yaml", "--set", "mixing.name=my_mixr:Stripe", "--out", "out2"
    )
    assert not (project / "out2").exists()


@pytest.mark.slow
def test_a_sweep_of_parts_from_outside_is_killed_resumed_exported_and_trained(project):
    set_ = ("--set", "sweep.stopping.name=my_stopping_rule:Patience", "--set", "sweep.stopping.patience=3")
    sweep = project / "sweeps" / "mine"
    with open(project / "output.txt", "w") as output:
        driver = subprocess.Popen(
            command("sweep", "my_space.py", "--name", "mine", "--trials", "4", *set_, "--set", "data.num_train=1200"),
            cwd=project,
            env=environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not list(sweep.glob("trials/*/epochs.jsonl")):
            assert driver.poll() is None and time.monotonic() < deadline, (project / "output.txt").read_text()
            time.sleep(0.02)
    finally:
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    assert "my_mixer.py" in (sweep / "sweep.yaml").read_text(), "workers and `resume` are told where the modules lie"

    runs(project, "resume", "mine")
    trials = sorted((sweep / "trials").iterdir())
    assert len(trials) == 4 and all(epochs(trial) for trial in trials)
    names = {yaml.safe_load((trial / "config.yaml").read_text())["mixing"]["name"] for trial in trials}
    assert names <= {"my_mixer:Stripe", "mixup", "erm"}

    runs(project, "export", "mine", "--top", "1", "--to", "best.yaml")
    runs(project, "train", "--config", "best.yaml", "--threads", "1", "--out", "runs/best")
    best = yaml.safe_load((project / "runs" / "best" / "config.yaml").read_text())
    assert (best["data"]["name"], best["model"]["name"]) == ("my_dataset:Shapes", "my_model:PlainNet")
    (trained,) = [trial for trial in trials if yaml.safe_load((trial / "config.yaml").read_text()) == best]
    losses = [[row["val_nll"] for row in epochs(folder)] for folder in (trained, project / "runs" / "best")]
    assert losses[0] == losses[1][: len(losses[0])] and len(losses[1]) == 12
