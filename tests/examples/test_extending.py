"""The code that docs/extending.md shows beside the examples works as it stands."""

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tune_mixup import TrialConfig
from tune_mixup.testing import LossContract, OptimizerContract, SamplerContract, ScheduleContract
from tune_mixup.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NAMED = {name: block for block in BLOCKS for name in re.findall(r"\A# (\w+\.py)\n", block)}


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """The files that are shown, as modules on the path."""
    for name, block in NAMED.items():
        (tmp_path / name).write_text(block)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "examples")
    yield tmp_path
    for name in NAMED:
        sys.modules.pop(name.removesuffix(".py"), None)


@pytest.mark.parametrize(
    ("suite", "module", "name", "settings"),
    [
        (LossContract, "my_loss", "SoftBrier", {"scale": 2.0}),
        (OptimizerContract, "my_optimizer", "Adagrad", {}),
        (ScheduleContract, "my_schedule", "Linear", {"warmup_epochs": 2.0}),
        (SamplerContract, "my_sampler", "Univariate", {"startup_trials": 3}),
    ],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_what_is_shown_keeps_its_promises(shown, suite, module, name, settings):
    contract = suite()
    contract.part = getattr(importlib.import_module(module), name)(**settings)
    for promise in (each for each in dir(suite) if each.startswith("test_")):
        getattr(contract, promise)()


def test_what_is_shown_trains_together(shown):
    config = TrialConfig.from_dotted(
        {
            "data.name": "my_dataset:Bars",
            "model.name": "my_model:SmallNet",
            "mixing.name": "my_mixer:Stripes",
            "loss.name": "my_loss:SoftBrier",
            "optimizer.name": "my_optimizer:Adagrad",
            "schedule.name": "my_schedule:Linear",
            "training.metrics": ["my_metric:TOP2"],
            "training.epochs": 4,
            "training.batch_size": 30,
        }
    )
    last = Trainer(config).run()[-1]
    assert last["val_accuracy"] <= last["val_top2"] and last["val_accuracy"] > 0.5  # three classes


@pytest.mark.slow
def test_the_test_file_that_is_shown_runs(shown):
    for file in EXAMPLES:
        shutil.copy(file, shown)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, cwd=shown, capture_output=True, text=True)
    assert done.returncode == 0 and re.search(r"\d\d passed", done.stdout), done.stdout + done.stderr


def test_the_links_lead_somewhere():
    for link in re.findall(r"\]\((\.\./[^)#]+)\)", TEXT):
        assert (ROOT / "docs" / link).resolve().exists(), link
