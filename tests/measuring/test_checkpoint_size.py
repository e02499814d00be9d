"""How large a checkpoint will be, against those that trials have written."""

import subprocess
import sys
from typing import Literal

import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.measuring.checkpoint_size import expected_bytes, kept_by
from tune_mixup.optimizer import OPTIMIZERS, Optimizer, Sgd
from tune_mixup.training.trainer import Trainer


class Factored(Optimizer):
    """Keeps a number for each row and each column of a matrix, and for each number of a vector."""

    name: Literal["factored"] = "factored"
    lr: float = 0.01

    def build(self, parameters):
        return torch.optim.Adafactor(list(parameters), lr=self.lr)

    def decay_(self, parameters, *, lr, weight_decay):
        raise AssertionError("only captured steps ask for it")


class Counting(Optimizer):
    """Keeps a plain number."""

    name: Literal["counting"] = "counting"
    lr: float = 0.01

    def build(self, parameters):
        class Counter(torch.optim.Optimizer):
            def step(self, closure=None):
                for group in self.param_groups:
                    for parameter in group["params"]:
                        self.state[parameter]["steps"] = self.state[parameter].get("steps", 0) + 1

        return Counter(list(parameters), {"lr": self.lr})

    def decay_(self, parameters, *, lr, weight_decay):
        raise AssertionError("only captured steps ask for it")


def config_of(model, optimizer, mixing):
    return TrialConfig.parse(
        {
            "data": {"name": "synthetic", "num_classes": 4, "num_train": 80, "num_test": 8, "size": 16},
            "model": model,
            "optimizer": optimizer,
            "mixing": mixing,
            "training": {"batch_size": 40, "epochs": 2},
        }
    )


SMALL, WIDE, RESNET18 = {"name": "tiny_resnet", "width": 8}, {"name": "tiny_resnet", "width": 48}, {"name": "resnet18"}
EVERY = [*({"name": name} for name in OPTIMIZERS), {"name": "sgd", "momentum": 0.0}, Factored(), Counting()]


@pytest.mark.parametrize(
    ("optimizer", "model"),
    [*((optimizer, model) for optimizer in EVERY for model in (SMALL, WIDE)), ({"name": "adamw"}, RESNET18)],
    ids=str,
)
def test_it_is_the_size_of_a_saved_state(tmp_path, optimizer, model):
    config = config_of(model, optimizer, {"name": "generalized_mixup", "pairing": "independent"})
    trainer = Trainer(config, folder=tmp_path, device="cpu")
    trainer.train_epoch()
    trainer.save()
    size = (tmp_path / "checkpoint.pt").stat().st_size
    expected = expected_bytes(config, image=(trainer.data.channels, *trainer.data.size), num_classes=4)
    assert abs(expected - size) <= 0.02 * size, (expected, size)


def test_a_mixers_parameters_count_with_what_the_optimizer_keeps_of_them(tmp_path):
    config = config_of(SMALL, {"name": "adam"}, {"name": "samix", "head": "one"})
    trainer = Trainer(config, folder=tmp_path, device="cpu")
    trainer.train_epoch()
    trainer.save()
    size = (tmp_path / "checkpoint.pt").stat().st_size
    expected = expected_bytes(config, image=(trainer.data.channels, *trainer.data.size), num_classes=4)
    assert abs(expected - size) <= 0.02 * size, (expected, size)


def test_what_is_kept_is_known_for_each_shape():
    matrix, vector = torch.Size((6, 5)), torch.Size((7,))
    kept = kept_by(Factored(), [matrix, vector, matrix])
    sizes = {shape: sum(value.numel() for value in state.values()) for shape, state in kept.items()}
    assert sizes == {matrix: 6 + 5 + 1, vector: 7 + 1}, "rows, columns and the step; each number and the step"
    assert kept_by(Sgd(momentum=0.0), [matrix]) == {matrix: {}}


DRIVER = """
import sys
import torch
def made(*args, **kwargs):
    raise AssertionError("a CUDA context was made")
torch.cuda._lazy_init = made
torch.cuda.is_available = torch.accelerator.is_available = lambda: True
from tune_mixup.config import TrialConfig
from tune_mixup.measuring.checkpoint_size import expected_bytes
model, *optimizers = sys.argv[1:]
for name in optimizers:
    parts = {"model": model, "optimizer": name, "mixing": "mixup"}
    config = TrialConfig.parse({part: {"name": value} for part, value in parts.items()})
    print(expected_bytes(config, image=(3, 32, 32), num_classes=10) > 10**5)
print("torch._dynamo" in sys.modules, torch.cuda.is_initialized())
"""


@pytest.mark.parametrize("model", ["tiny_resnet", "preact_resnet18", "wide_resnet"])
def test_the_driver_needs_no_compiler_and_no_gpu(model):
    """A device that would be there is never asked for, and nothing of torch's compiler is imported.

    The networks are of our own: torchvision imports the compiler itself, whatever we do.
    """
    done = subprocess.run([sys.executable, "-c", DRIVER, model, *OPTIMIZERS], capture_output=True, text=True)
    assert done.stdout.split() == [*["True"] * len(OPTIMIZERS), "False", "False"], done.stderr
