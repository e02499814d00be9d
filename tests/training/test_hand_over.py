"""The host waits for training alone, and the device goes on to validation meanwhile."""

import pytest

from tune_mixup.config import TrialConfig
from tune_mixup.training import hand_over, network, trainer
from tune_mixup.training.trainer import Trainer

SMALL = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 200,
    "data.num_test": 40,
    "data.size": 8,
    "data.batches": "stratified",
    "mixing.name": "generalized_mixup",
    "model.name": "tiny_resnet",
    "model.width": 2,
    "training.epochs": 2,
    "training.batch_size": 40,
}


def timeless(history):
    return [{key: value for key, value in row.items() if key not in ("epoch_s", "images_per_s")} for row in history]


@pytest.fixture
def order(monkeypatch):
    """What the host does in an epoch, in order."""
    done = []

    def noting(owner, name, word):
        before = getattr(owner, name)

        def noted(*arguments, **options):
            done.append(word)
            return before(*arguments, **options)

        monkeypatch.setattr(owner, name, noted)

    noting(hand_over.Clock, "stop", "training is given")
    noting(network.Network, "logits", "validation is given")
    noting(hand_over.Clock, "wait", "waits for training")
    noting(trainer, "measure", "reads validation")
    return done


def test_validation_is_given_to_the_device_before_the_host_waits(order):
    Trainer(TrialConfig.from_dotted(SMALL)).train_epoch()
    seen = list(dict.fromkeys(order))
    assert seen == ["training is given", "validation is given", "waits for training", "reads validation"]


def test_the_mixer_ends_its_epoch_on_the_cpu_and_on_a_copy(monkeypatch):
    """So it reads nothing of a device that is validating, and a state that goes on changing can't reach it."""
    one = Trainer(TrialConfig.from_dotted(SMALL))
    seen = []
    mixer = type(one.step.mixer)
    before = mixer.end_epoch

    def noted(self, state, *, epoch, generator):
        seen.append({name: tensor for name, tensor in state.items()})
        return before(self, state, epoch=epoch, generator=generator)

    monkeypatch.setattr(mixer, "end_epoch", noted)
    one.train_epoch()
    for name, tensor in seen[0].items():
        assert tensor.device.type == "cpu"
        assert tensor.data_ptr() != one.mixer_state[name].data_ptr(), name


def test_images_per_second_count_training_alone(monkeypatch):
    one = Trainer(TrialConfig.from_dotted(SMALL))
    monkeypatch.setattr(hand_over.Clock, "seconds", lambda self: 0.5)
    assert one.train_epoch()["images_per_s"] == pytest.approx(one.train_epoch()["images_per_s"])
    assert one.history[0]["images_per_s"] == 160 / 0.5  # four batches of forty; a tenth is held out


def test_a_diverged_epoch_reports_no_metrics(monkeypatch):
    one = Trainer(TrialConfig.from_dotted(SMALL, {"optimizer.lr": 1e6, "optimizer.weight_decay": 1e6}))
    history = one.run()
    assert history[-1]["diverged"] == 1 and "val_accuracy" not in history[-1]


def test_a_rate_is_the_schedules_at_each_step(monkeypatch):
    rates = []
    one = Trainer(TrialConfig.from_dotted(SMALL, {"optimizer.lr": 0.1, "schedule.name": "cosine"}))
    run = one.step.runner.run

    def noted(body):
        rates.append(one.step.optimizer.param_groups[0]["lr"])
        run(body)

    monkeypatch.setattr(one.step.runner, "run", noted)
    one.run()
    assert rates == pytest.approx([0.1] * 4 + [0.05] * 4), "the cosine of the epoch, of which there are two"
