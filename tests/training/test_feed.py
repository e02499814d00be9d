"""A trial whose images lie on the host trains to the bit as one that has them on its device."""

import threading
from functools import cache

import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data.loading import load_test
from tune_mixup.data.rows import Rows, is_mapped
from tune_mixup.training.trainer import Trainer

SMALL = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 150,
    "data.num_test": 30,
    "data.size": 9,
    "data.channels": 2,
    "data.augment.crop_padding": 2,
    "data.augment.flip": True,
    "mixing.name": "mixup",
    "model.name": "tiny_resnet",
    "model.width": 4,
    "training.epochs": 3,
    "training.batch_size": 40,
    "training.eval_batch_size": 7,
}
KINDS = {
    "cropped": {},
    "reflected": {"data.augment.padding_mode": "reflect"},
    "flipped only": {"data.augment.crop_padding": 0},
    "as they are": {"data.augment.crop_padding": 0, "data.augment.flip": False},
    "stratified": {"data.batches": "stratified", "mixing.name": "generalized_mixup"},
    "fixed": {"data.batches": "fixed", "mixing.name": "generalized_mixup"},
    "saliency": {"mixing.name": "saliencymix"},
    "one batch": {"training.batch_size": 120, "data.train_limit": 140},
    "test measured": {"data.validation_fraction": 0.0},
    "rungs": {"training.eval": "rungs"},
}


def config(root, kind="cropped", **settings):
    return TrialConfig.from_dotted(
        SMALL,
        KINDS[kind],
        {"data.root": str(root)},
        {key.replace("__", "."): value for key, value in settings.items()},
    )


def timeless(history):
    return [{k: v for k, v in row.items() if k not in ("epoch_s", "images_per_s")} for row in history]


def everything(trainer):
    """What a trial has come to: its reports, weights and mixer's state."""
    tensors = {**trainer.model.state_dict(), **{f"mixer {k}": v for k, v in trainer.mixer_state.items()}}
    return timeless(trainer.history), {name: tensor.tolist() for name, tensor in tensors.items()}


def gathering():
    return {thread for thread in threading.enumerate() if thread.name.startswith("gathering")}


@cache
def on_the_device(kind):
    trainer = Trainer(config("/nowhere", kind, data__residence="device"))
    assert isinstance(trainer.data.train.images, torch.Tensor)
    trainer.run()
    found = everything(trainer)
    trainer.close()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_host_and_device_give_the_same_weights_and_reports(kind, tmp_path):
    streamed = Trainer(config(tmp_path, kind, data__residence="host"))
    images = streamed.data.train.images
    assert isinstance(images, Rows) and is_mapped(images.stored)
    streamed.run()
    assert everything(streamed) == on_the_device(kind)
    before = gathering()
    streamed.close()
    assert before - gathering()  # its thread has ended


@pytest.mark.parametrize(("first", "then"), [("host", "host"), ("host", "device"), ("device", "host")])
def test_a_trial_goes_on_wherever_its_images_lie(first, then, tmp_path):
    """As after a kill: the second epoch is in no checkpoint, and the first trial is never closed."""
    begun = Trainer(config(tmp_path, data__residence=first), folder=tmp_path / "trial")
    begun.train_epoch()
    begun.save_if_unsaved()
    begun.save = lambda: None
    begun.train_epoch()
    resumed = Trainer(config(tmp_path, data__residence=then), folder=tmp_path / "trial")
    assert resumed.epoch == 1
    resumed.run()
    assert everything(resumed) == on_the_device("cropped")
    resumed.close()
    begun.close()


def test_an_epoch_that_fails_is_trained_again_with_the_same_numbers(tmp_path):
    trainer = Trainer(config(tmp_path, data__residence="host"))
    step, calls = trainer.step, []
    run = step.runner.run

    def fails(body):
        calls.append(None)
        if len(calls) == 2:
            raise RuntimeError("stopped in the middle")
        run(body)

    state = trainer.state_dict()
    weights = {name: tensor.clone() for name, tensor in state["model"].items()}
    step.runner.run = fails
    with pytest.raises(RuntimeError, match="in the middle"):
        trainer.train_epoch()
    fresh = Trainer(config(tmp_path, data__residence="host"))
    trainer.load_state_dict({**fresh.state_dict(), "model": weights})
    trainer.run()
    assert everything(trainer) == on_the_device("cropped")
    trainer.close()
    fresh.close()


def test_the_test_split_is_measured_alike(tmp_path):
    found = []
    for residence in ("device", "host"):
        trainer = Trainer(config(tmp_path, data__residence=residence))
        trainer.train_epoch()
        held = load_test(trainer.config.data, device=torch.device("cpu"))
        found.append((trainer.test(), trainer.step.network.logits(held.images).tolist()))
        trainer.close()
    assert found[0] == found[1]


def test_a_padding_that_is_too_large_is_refused_wherever_images_lie(tmp_path):
    said = []
    for residence in ("device", "host"):
        with pytest.raises(ValueError, match="crop_padding is 9, but must be less than") as caught:
            Trainer(config(tmp_path, data__residence=residence, data__augment__crop_padding=9))
        said.append(str(caught.value))
    assert said[0] == said[1]
