"""Steps are let go of: what a process holds does not grow with the trials that it has trained."""

import gc
import subprocess
import sys
import weakref

import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data.loading import forget_data
from tune_mixup.optimizer import OPTIMIZERS
from tune_mixup.training.trainer import Trainer

SMALL = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 200,
    "data.num_test": 40,
    "data.size": 8,
    "data.augment.crop_padding": 2,
    "model.name": "tiny_resnet",
    "model.width": 2,
    "training.epochs": 1,
    "training.batch_size": 40,
}
TEN = [
    {"mixing.name": method, "training.batch_size": size}
    for method in ("erm", "mixup", "cutmix", "manifold_mixup", "fmix")
    for size in (20, 40)
]


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_eager_steps_of_ten_structures_are_gone_as_soon_as_their_trials_are(no_collector, precision):
    steps, weights = [], []
    for changes in TEN:
        trainer = Trainer(TrialConfig.from_dotted(SMALL, changes, {"training.precision": precision}))
        trainer.train_epoch()
        steps.append(weakref.ref(trainer.step))
        weights.append(weakref.ref(next(trainer.model.parameters())))
        del trainer
        assert steps[-1]() is None and weights[-1]() is None, f"{changes} is in a reference cycle"


def padded_images(trainer):
    images, _ = trainer.step._feed.take(trainer.step._batches[0])
    return images


def test_trials_of_a_process_share_one_padded_copy_of_their_data():
    forget_data()
    trainers = [Trainer(TrialConfig.from_dotted(SMALL, changes)) for changes in TEN]
    first, *others = (padded_images(trainer) for trainer in trainers)
    assert first.shape[2:] == (12, 12)
    assert all(other is first for other in others)
    wider = Trainer(TrialConfig.from_dotted(SMALL, {"data.augment.crop_padding": 3}))
    assert padded_images(wider).shape[2:] == (14, 14)
    forget_data()


def test_a_closed_trial_keeps_its_weights_and_no_momentum():
    trainer = Trainer(TrialConfig.from_dotted(SMALL))
    trainer.train_epoch()
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    assert trainer.step.optimizer.state
    trainer.close()
    assert not trainer.step.optimizer.state
    assert all(parameter.grad is None for parameter in trainer.model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.model.state_dict().items())
    assert trainer.evaluate(trainer.data.validation)["accuracy"] == trainer.history[-1]["val_accuracy"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_eager_training_does_not_import_torchs_compiler(name):
    code = (
        "import sys, json\n"
        "from tune_mixup import Trainer, TrialConfig\n"
        f"settings = { ({**SMALL, 'optimizer.name': name})!r}\n"
        "trainer = Trainer(TrialConfig.from_dotted(settings))\n"
        "trainer.train_epoch(); trainer.load_state_dict(trainer.state_dict())\n"
        "assert 'torch._dynamo' not in sys.modules, 'imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
