"""Thin projections, which torch's kernels for the CPU can't be trusted with, are the same convolutions."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from tune_mixup.config import TrialConfig
from tune_mixup.models.base import Model, StagedNetwork, pooled_linear
from tune_mixup.models.residual import ThinProjection, shortcut, thin_projections
from tune_mixup.training.trainer import Trainer

SMALL = {
    "data.name": "synthetic",
    "data.num_train": 400,
    "data.num_test": 40,
    "data.size": 16,
    "model.name": "tiny_resnet",
    "training.epochs": 1,
    "training.batch_size": 40,
}


@pytest.fixture(autouse=True)
def global_generator_untouched():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(("channels", "side"), [(2, 8), (4, 9), (7, 16)])
def test_it_is_the_convolution_with_a_stride_to_the_bit(channels, side):
    ours, theirs = ThinProjection(channels, 6, 1, 2, bias=False), nn.Conv2d(channels, 6, 1, 2, bias=False)
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(5, channels, side, side)
    assert torch.equal(ours(inputs), theirs(inputs))


def test_only_thin_ones_with_a_stride_are_others():
    assert type(shortcut(4, 8, 2)[0]) is ThinProjection
    assert [type(shortcut(*sizes)[0]) for sizes in ((8, 16, 2), (4, 8, 1))] == [nn.Conv2d, nn.Conv2d]
    assert shortcut(8, 8, 1) is None
    network = nn.Sequential(
        nn.Conv2d(4, 8, 1, 2), nn.Conv2d(1, 8, 1, 2), nn.Conv2d(4, 8, 3, 2), ThinProjection(4, 8, 1, 2)
    )
    assert thin_projections(network) == ["0"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("change", ["channels_last=true", "compile=model"])
def test_thin_networks_train_without_writing_outside_of_their_memory(width, change):
    """glibc looks after the heap; before, every run ended by SIGABRT or SIGSEGV where the processor has AVX2."""
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from tune_mixup import Trainer, TrialConfig\n"
        f"settings = { ({**SMALL, 'training.epochs': 3, 'model.width': width})!r}\n"
        f"key, _, value = {change!r}.partition('=')\n"
        "trial = TrialConfig.from_dotted(settings, {f'training.{key}': value if key == 'compile' else True})\n"
        "print(Trainer(trial, device='cpu').run()[-1]['train_loss'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "MALLOC_CHECK_": "3"}, capture_output=True, text=True
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-500:])


class Strided(Model):
    """Has a projection of its own."""

    min_side = 4
    num_stages = 1

    def build(self, *, channels, num_classes):
        stage = nn.Conv2d(4, 8, 1, 2)
        return StagedNetwork(nn.Conv2d(channels, 4, 3, padding=1), [stage], pooled_linear(8, num_classes))


def test_a_network_from_outside_that_has_one_is_refused_where_it_would_do_harm():
    config = TrialConfig.from_dotted({key: value for key, value in SMALL.items() if key != "model.name"})
    config = config.replace(model=Strided())
    Trainer(config, device="cpu").train_epoch()
    for change in ({"channels_last": True}, {"compile": "model"}):
        with pytest.raises(
            ValueError, match=r"has a 1 x 1 convolution with a stride and fewer than 8 channels \(stages.0\)"
        ):
            Trainer(config.replace(training=config.training.replace(**change)), device="cpu")
