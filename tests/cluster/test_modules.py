"""Modules from outside reach the workers: of a private Ray, of a cluster, and of a sweep that is resumed elsewhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tune_mixup import load_sweep
from tune_mixup.config import TrialConfig

MIXER = '''
from tune_mixup.mixing.base import InputMixer, MixedBatch
from beside import STRENGTH

class Half(InputMixer):
    """Half and half with the reversed batch."""

    def mix(self, inputs, targets, state, *, epoch, generator):
        import torch
        partner = torch.arange(len(inputs) - 1, -1, -1, device=inputs.device)
        lam = torch.tensor(STRENGTH, device=inputs.device)
        mixed = lam * inputs + (1 - lam) * inputs[partner]
        return MixedBatch(mixed, lam * targets + (1 - lam) * targets[partner], lam, partner)
'''
SPACE = """
from optuna.distributions import FloatDistribution
from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={"data.name": "synthetic", "data.num_classes": 4, "data.num_train": 200, "data.size": 8, "model.width": 4,
           "mixing.name": "own_mixers:Half", "training.epochs": 2, "training.batch_size": 40},
    free={"optimizer.lr": FloatDistribution(0.01, 0.2, log=True)},
)
"""


@pytest.fixture
def modules(tmp_path):
    lone, package = tmp_path / "one" / "lone_module.py", tmp_path / "two" / "whole_package"
    for folder in (lone.parent, package):
        folder.mkdir(parents=True)
    lone.write_text("WORD = 'alone'\n")
    (package / "__init__.py").touch()
    (package / "inner.py").write_text("WORD = 'inside'\n")
    return [str(lone), str(package)]


def said(*words, folder):
    done = subprocess.run([sys.executable, *map(str, words)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_workers_of_a_private_ray_find_them(modules, tmp_path):
    script = Path(__file__).with_name("finds_modules.py")
    assert json.loads(said(script, "local", *modules, folder=tmp_path).splitlines()[-1]) == ["alone", "inside"]


@pytest.mark.slow
def test_workers_of_a_cluster_find_them(modules, tmp_path, ray_session):
    import ray

    script, address = Path(__file__).with_name("finds_modules.py"), ray.get_runtime_context().gcs_address
    assert json.loads(said(script, address, *modules, folder=tmp_path).splitlines()[-1]) == ["alone", "inside"]


@pytest.mark.slow
def test_a_sweep_with_a_part_beside_its_space_runs_resumes_and_exports_from_any_folder(tmp_path):
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for folder in (project, elsewhere):
        folder.mkdir()
    (project / "own_mixers.py").write_text(MIXER)
    (project / "beside.py").write_text("STRENGTH = 0.5\n")
    (project / "space.py").write_text(SPACE)
    root = tmp_path / "sweeps"
    command = ("-m", "tune_mixup")
    said(*command, "sweep", project / "space.py", "--root", root, "--name", "own", "--trials", 2, folder=elsewhere)
    said(*command, "resume", "own", "--root", root, "--trials", 3, folder=elsewhere)
    said(*command, "export", "own", "--root", root, "--to", elsewhere / "best.yaml", folder=elsewhere)
    script = (
        f"from tune_mixup import load_sweep; sweep = load_sweep({str(root / 'own')!r}); "
        "print(sweep.trials()['state'].tolist()); print(sweep.best_config.mixing.name)"
    )
    states, name = said("-c", script, folder=elsewhere).splitlines()
    assert states == "['COMPLETE', 'COMPLETE', 'COMPLETE']" and name == "own_mixers:Half"
    held = load_sweep(root / "own").record.folder.config()["modules"]
    assert held == [str(project / "beside.py"), str(project / "own_mixers.py")]
    (project / "own_mixers.py").unlink()
    gone = subprocess.run(
        [sys.executable, *command, "resume", "own", "--root", root, "--trials", "4"],
        cwd=elsewhere, capture_output=True, text=True,
    )  # fmt: skip
    assert gone.returncode == 2 and "there is no module own_mixers" in gone.stderr and gone.stderr.count("\n") == 1


def test_a_part_of_this_process_alone_is_refused_before_anything_starts():
    with pytest.raises(ValueError, match="no module not_there"):
        TrialConfig.from_dotted({"mixing.name": "not_there:Mine"})
