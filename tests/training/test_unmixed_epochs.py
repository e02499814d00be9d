"""Epochs without mixing at the beginning and at the end of a trial are those of plain training."""

import copy

import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.mixing import MIXERS
from tune_mixup.training.trainer import Trainer

SMALL = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 80,
    "data.num_test": 40,
    "data.size": 20,
    "data.batches": "stratified",
    "model.name": "tiny_resnet",
    "model.width": 4,
    "optimizer.lr": 0.05,
    "training.epochs": 2,
    "training.batch_size": 20,
}
METHODS = sorted(MIXERS.keys() - {"erm"})


def config(name, **settings):
    if name == "puzzlemix":  # on images of 20 pixels, patches of usual size would be single pixels
        settings = {"t_size": 0, **settings}
    if name == "comixup":  # which leaves images whole that are salient everywhere, as long as anything speaks for it
        settings = {"beta": 0.0, "gamma": 0.0, "eta": 0.0, **settings}
    return TrialConfig.from_dotted(SMALL, {"mixing.name": name}, {f"mixing.{key}": v for key, v in settings.items()})


def timeless(report):
    return {key: value for key, value in report.items() if key not in ("epoch_s", "images_per_s")}


def weights(trainer):
    return [tensor.clone() for tensor in trainer.model.state_dict().values()]


@pytest.mark.parametrize("name", METHODS)
def test_warm_up_is_plain_training_to_the_bit_and_then_comes_mixing(name):
    warmed, plain = Trainer(config(name, warmup_epochs=1)), Trainer(config("erm"))
    assert timeless(warmed.train_epoch()) == timeless(plain.train_epoch())
    assert all(torch.equal(one, other) for one, other in zip(weights(warmed), weights(plain), strict=True))
    assert warmed.train_epoch()["train_loss"] != plain.train_epoch()["train_loss"]


@pytest.mark.parametrize("name", METHODS)
def test_cool_down_goes_on_from_mixed_epochs_by_plain_training(name):
    cooled, mixed, plain = Trainer(config(name, cooldown_epochs=1)), Trainer(config(name)), Trainer(config("erm"))
    assert timeless(cooled.train_epoch()) == timeless(mixed.train_epoch())
    state = copy.deepcopy(cooled.state_dict())
    del state["optimizer"]  # which may have parameters of the method beside the network's
    plain.load_state_dict({**state, "identity": plain.config.identity(), "mixer": {}})
    for one, other in zip(cooled.model.parameters(), plain.model.parameters(), strict=True):
        plain.step.optimizer.state[other] = copy.deepcopy(cooled.step.optimizer.state[one])
    assert timeless(cooled.train_epoch()) == timeless(plain.train_epoch())
    assert all(torch.equal(one, other) for one, other in zip(weights(cooled), weights(plain), strict=True))


@pytest.mark.parametrize("name", ["automix", "samix"])
def test_what_a_method_has_learned_stays_in_epochs_without_mixing(name):
    cooled = Trainer(config(name, cooldown_epochs=1))
    cooled.train_epoch()
    learned = {key: tensor.clone() for key, tensor in cooled.mixer_state.items() if tensor.requires_grad}
    cooled.train_epoch()
    assert learned and all(torch.equal(cooled.mixer_state[key], tensor) for key, tensor in learned.items())


@pytest.mark.parametrize("name", ["mixup", "automix"])
@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_trial_mixes_in_the_same_epochs(stop, name, tmp_path):
    """Also where a checkpoint holds parameters of the method that have had no gradient yet."""
    mixing = {"name": name, "warmup_epochs": 1, "cooldown_epochs": 1, "applied": 0.5}
    settings = TrialConfig.from_dotted(SMALL, {"training.epochs": 4, "mixing": mixing})
    whole = Trainer(settings).run()
    first = Trainer(settings, folder=tmp_path)
    for _ in range(stop):
        first.train_epoch()
    first.save()
    assert [timeless(row) for row in Trainer(settings, folder=tmp_path).run()] == [timeless(row) for row in whole]


def test_confusions_are_collected_while_warming_up():
    trainer = Trainer(config("generalized_mixup", warmup_epochs=1))
    trainer.train_epoch()
    assert float((trainer.mixer_state["confusion"] - 1 / 4).abs().max()) > 1e-3
