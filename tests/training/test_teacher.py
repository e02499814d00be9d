"""Trials with a teacher: exact after a kill, and taught by a network that another trial has trained."""

import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.mixing.teachers import WEIGHTS, flat_weights
from tune_mixup.training.teacher import Trained
from tune_mixup.training.trained import load_trained
from tune_mixup.training.trainer import Trainer

TRIAL = {
    "data.name": "synthetic",
    "data.num_train": 40,
    "data.num_test": 10,
    "data.size": 8,
    "model.name": "tiny_resnet",
    "model.width": 2,
    "mixing.name": "attentivemix",
    "training.epochs": 3,
    "training.batch_size": 12,
}


def trial(**changes):
    return TrialConfig.from_dotted(TRIAL, {key.replace("__", "."): value for key, value in changes.items()})


def weights(trainer):
    return {name: tensor.clone() for name, tensor in {**trainer.model.state_dict(), **trainer.mixer_state}.items()}


def test_a_trial_that_was_cut_off_has_the_same_teacher(tmp_path):
    config = trial(mixing__teacher__name="ema", mixing__teacher__momentum=0.5)
    whole = Trainer(config, device="cpu")
    whole.run()
    cut = Trainer(config, folder=tmp_path / "trial", device="cpu")
    cut.train_epoch()
    cut.save_if_unsaved()
    again = Trainer(config, folder=tmp_path / "trial", device="cpu")
    assert again.epoch == 1
    again.run()
    expected, found = weights(whole), weights(again)
    assert WEIGHTS in found
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


def test_the_teacher_lags_behind_the_network_that_it_follows():
    trainer = Trainer(trial(mixing__teacher__name="ema", mixing__teacher__momentum=0.9), device="cpu")
    first = trainer.mixer_state[WEIGHTS].clone()
    assert torch.equal(first, flat_weights(trainer.model))
    trainer.train_epoch()
    now, teacher = flat_weights(trainer.model), trainer.mixer_state[WEIGHTS]
    moved = (teacher - first).norm() / (now - first).norm()
    assert 0.05 < moved < 0.6


def test_a_trained_network_teaches_and_does_not_change(tmp_path):
    Trainer(trial(mixing__name="erm", training__epochs=1), folder=tmp_path / "teacher", device="cpu").run()
    taught = {"mixing__teacher__name": "tune_mixup.training.teacher:Trained"}
    config = trial(**taught, mixing__teacher__folder=str(tmp_path / "teacher"))
    assert isinstance(config.mixing.teacher, Trained)
    assert TrialConfig.parse(config.plain()) == config
    trainer = Trainer(config, device="cpu")
    trainer.train_epoch()
    expected = flat_weights(load_trained(tmp_path / "teacher", device="cpu").model)
    assert torch.equal(trainer.mixer_state[WEIGHTS], expected)
    with pytest.raises(ValueError, match=r"^mixing.teacher: got a network of .* with as many classes"):
        Trainer(config.replace(model=config.model.replace(num_classes=12)), device="cpu").train_epoch()
    with pytest.raises(ValueError, match="does not exist"):
        Trainer(trial(**taught, mixing__teacher__folder=str(tmp_path / "none")), device="cpu")
