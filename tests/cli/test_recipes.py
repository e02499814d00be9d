"""Every recipe is taken by `train`, says where it comes from, and has the settings that its source has."""

import math
import re
from pathlib import Path

import pytest

from tune_mixup.training.trainer import Trainer

REPOSITORY = Path(__file__).parents[2]
RECIPES = sorted((REPOSITORY / "recipes").glob("*.yaml"))
GENERALIZED = {
    "batches": "fixed", "variant": "published", "alpha": 1.0,
    "mu": 0.9, "growth_factor": 1.5, "step_size": 20, "gamma": 0.125,
    "model": "preact_resnet18", "epochs": 100, "batch_size": 250, "lr": 0.1, "weight_decay": 1e-4,
    "drops": (51, 76), "count": 11_171_274, "median_epochs": 20,
}  # fmt: skip
MIXUP = {
    "batches": "shuffled", "alpha": 1.0, "model": "preact_resnet18", "epochs": 200, "batch_size": 128, "lr": 0.1,
    "weight_decay": 1e-4, "drops": (100, 150), "count": 11_171_274,
}  # fmt: skip
WIDE = MIXUP | {"model": "wide_resnet", "drops": (60, 120, 180), "count": 36_479_194}
OPENMIXUP = {
    "batches": "shuffled", "alpha": 1.0, "model": "resnet18", "epochs": 200, "batch_size": 100, "lr": 0.1,
    "weight_decay": 1e-4, "drops": (), "schedule": "cosine", "padding_mode": "zeros", "count": 11_173_962,
    "median_epochs": 10,
}  # fmt: skip
ALIGNED = MIXUP | {
    "variant": "published", "alpha": 2.0, "aligned": 0.5, "epsilon": 0.1, "sweeps": 100, "layer": None,
    "normalised": False, "epochs": 2000, "drops": (500, 1000, 1500),
}  # fmt: skip
REFLECT = OPENMIXUP | {"padding_mode": "reflect", "count": 11_220_132}
COMIXED = MIXUP | {
    "alpha": 2.0, "part_size": 20, "grid": 4, "beta": 0.32, "gamma": 1.0, "tau": 0.83, "threshold": "hard", "eta": 0.05,
    "omega": 0.001, "rounds": 4, "clean_lam": 1.0, "nesterov": True, "lr": 0.2, "crop_padding": 2, "epochs": 300,
    "batch_size": 100, "drops": (100, 200), "count": 11_217_316,
}  # fmt: skip
COUNT_16_8 = (
    sum(  # 2 blocks in each of 3 stages, with biases: batch norm, convolution, batch norm, convolution
        2 * n + 9 * n * m + m + 2 * m + 9 * m * m + m + (n * m + m if n != m else 0)
        for n, m in ((16, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512))
    )
    + (27 * 16 + 16)
    + 2 * 512
    + 10 * 513
)
"""The stem, the last batch norm and the classifier of 10 classes beside them."""
EXPECTED = {
    "generalized_mixup_cifar10": GENERALIZED,
    "generalized_mixup_cifar100": GENERALIZED | {"gamma": 1.0, "batch_size": 1000, "count": 11_217_444},
    "mixup_cifar10": MIXUP,
    "mixup_cifar100": MIXUP | {"count": 11_217_444},
    "mixup_fashion_mnist": MIXUP
    | {"alpha": 0.2, "epochs": 101, "schedule": "constant", "drops": (), "count": 11_170_122},
    "mixup_speech_commands": MIXUP
    | {
        "model": "vgg11", "alpha": 0.1, "epochs": 30, "optimizer": "adam", "lr": 1e-3, "drops": (10, 20), "flip": False,
        "crop_padding": 0, "count": 9_502_878, "front_end": "spectrogram_108", "task": 30, "version": "v0.01",
        "warmup_epochs": 4, "mean": (0.0,), "std": (1.0,),
    },
    "mixup_cifar10_wide_resnet": WIDE,
    "mixup_cifar100_wide_resnet": WIDE | {"count": 36_536_884},
    "alignmixup_cifar10": ALIGNED,
    "alignmixup_cifar100": ALIGNED | {"count": 11_217_444},
    "alignmixup_cifar10_wide_resnet": ALIGNED | {"model": "wide_resnet", "count": COUNT_16_8},
    "alignmixup_cifar100_wide_resnet": ALIGNED | {"model": "wide_resnet", "count": COUNT_16_8 + 90 * 513},
    "alignmixup_tiny_imagenet": ALIGNED
    | {
        "epochs": 1200, "batch_size": 256, "drops": (600, 900), "count": 11_268_744,
        "mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010),
    },
    "openmixup_tiny_imagenet_resnet18": OPENMIXUP
    | {
        "epochs": 400, "lr": 0.2, "count": 11_271_432, "crop_padding": 0, "train": "resized", "filter": "bicubic",
        "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225),
    },
    "puzzlemix_cifar100": MIXUP
    | {
        "variant": "published", "beta": 1.2, "gamma": 0.5, "eta": 0.2, "num_labels": 3, "t_eps": 0.8, "t_size": 4,
        "neigh_size": 4, "transport": True, "grids": None, "nesterov": True, "crop_padding": 2, "epochs": 1200,
        "batch_size": 100, "drops": (400, 800), "count": 11_217_316,
    },
    "comixup_cifar100": COMIXED,
    "comixup_cifar100_wide_resnet": COMIXED | {"model": "wide_resnet", "count": COUNT_16_8 + 90 * 513},
    "openmixup_cifar10_resnet18": OPENMIXUP,
    "openmixup_cifar10_resnext50": OPENMIXUP | {"model": "resnext50_32x4d", "count": 22_992_714},
    "openmixup_cifar100_resnet18": REFLECT,
    "openmixup_cifar100_resnext50": REFLECT | {"model": "resnext50_32x4d", "count": 23_177_124},
    "openmixup_cifar100_wide_resnet": REFLECT
    | {"model": "wide_resnet", "epochs": 400, "lr": 0.03, "weight_decay": 1e-3, "count": 23_409_092},
}  # fmt: skip
"""What the survey of the published code says of each: settings, epochs of the drops, number of the model's weights."""


@pytest.fixture
def trained(command, tmp_path, monkeypatch):
    """Runs `train` with a recipe, without training; returns the configuration that it would have trained."""

    def configuration(name, *settings):
        seen = []

        def stop(self, config, *, folder):
            seen.append(config)
            raise ValueError("stop")

        given = [part for setting in settings for part in ("--set", setting)]
        with monkeypatch.context() as patched:
            patched.setattr(Trainer, "__init__", stop)
            out = ["--out", tmp_path / "out"]
            command.refused("train", "--config", REPOSITORY / "recipes" / f"{name}.yaml", *given, *out)
        assert len(seen) == 1, command.err
        return seen[0]

    return configuration


def test_each_recipe_is_known_here():
    assert {path.stem for path in RECIPES} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recipe_has_the_settings_of_its_source(trained, build_on_meta, name):
    config, expected = trained(name), EXPECTED[name]
    assert name.startswith(f"{config.mixing.name}_") or name.startswith(f"openmixup_{config.data.name}_")
    assert config.data.name in name and config.data.validation_fraction == 0
    assert config.optimizer.name == expected.get("optimizer", "sgd")
    if config.optimizer.name == "sgd":
        assert (config.optimizer.momentum, config.optimizer.nesterov) == (0.9, expected.get("nesterov", False))
    assert config.schedule.drops(config.training.epochs) == expected["drops"]
    assert config.schedule.per == "epoch" and config.schedule.name == expected.get("schedule", "multistep")
    factors = [config.schedule.lr_factor(epoch, config.training.epochs) for epoch in (0, config.training.epochs - 1)]
    last = {"cosine": math.cos(math.pi / 2 * factors_place(config)) ** 2, "constant": 1.0}
    assert factors == pytest.approx([1.0, last.get(config.schedule.name, 0.1 ** len(expected["drops"]))])
    augment = (config.data.augment.crop_padding, config.data.augment.flip)
    assert augment == (expected.get("crop_padding", 4), expected.get("flip", True))
    assert build_on_meta(config) == expected["count"]
    found = {"schedule": config.schedule.name, "drops": config.schedule.drops(config.training.epochs)}
    for section in (
        config.data,
        config.data.augment,
        config.data.crop,
        config.mixing,
        config.optimizer,
        config.training,
    ):
        found |= {key: value for key, value in section if key in expected}
    found |= {"model": config.model.name, "count": expected["count"]}
    found |= {"optimizer": config.optimizer.name} if "optimizer" in expected else {}
    assert found == {"schedule": "multistep"} | expected


def factors_place(config):
    """How far training is at its last epoch."""
    return (config.training.epochs - 1) / config.training.epochs


@pytest.fixture
def build_on_meta():
    import torch

    def count(config):
        shape = config.data.known_shape()
        with torch.device("meta"):
            channels = 1 if config.data.name in ("fashion_mnist", "speech_commands") else 3
            network = config.model.build(channels=channels, num_classes=shape.num_classes)
        return sum(parameter.numel() for parameter in network.parameters())

    return count


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_where_it_comes_from(path):
    text = path.read_text()
    comment = [line for line in text.splitlines() if line.startswith("#")]
    assert text.splitlines()[: len(comment)] == comment and max(map(len, text.splitlines())) <= 120
    for what in ("# Source: ", "# Published: ", "# Differs: "):
        assert sum(line.startswith(what) for line in comment) == 1, what
    assert re.search(r"\d\d?\.\d", text.split("# Published: ")[1].split("# Differs: ")[0])
    assert f"tune-mixup train --config recipes/{path.name} --out " in text
    assert f"`{path.name}`" in (REPOSITORY / "docs" / "methods.md").read_text()


PUBLISHED = {
    "erm": [],
    "cutmix": ["mixing.alpha=0.2", "mixing.partners.name=deranged"],
    "manifold_mixup": ["mixing.alpha=2"],
    "smoothmix": ["mixing.variant=openmixup"],
    "saliencymix": ["mixing.alpha=0.2", "mixing.variant=official"],
    "fmix": ["mixing.alpha=0.2", "mixing.variant=official", "mixing.partners.name=deranged"],
    "gridmix": ["mixing.alpha=0.2", "mixing.variant=openmixup"],
    "resizemix": ["mixing.alpha=1"],
    "automix": ["schedule.final_lr_fraction=0.5", "mixing.momentum_steps=600000"],
    "samix": ["schedule.final_lr_fraction=0.5", "mixing.momentum_steps=600000"],
}


@pytest.mark.parametrize("method", PUBLISHED)
def test_openmixups_other_methods_are_a_setting_away(trained, method):
    config = trained("openmixup_cifar10_resnet18", f"mixing.name={method}", *PUBLISHED[method], "training.epochs=1200")
    assert config.mixing.name == method and config.training.epochs == 1200


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("generalized_mixup_cifar10", ["mixing.mu=0.5", "mixing.growth_factor=1.0"]),
        ("generalized_mixup_cifar100", ["mixing.mu=0.5", "mixing.growth_factor=1.0", "mixing.gamma=0.125"]),
        ("mixup_cifar10", ["schedule.milestones=[101, 151]"]),
        ("mixup_cifar100", ["mixing.alpha=0"]),
    ],
)
def test_what_recipes_say_of_other_runs_is_taken(trained, name, settings):
    assert trained(name, *settings) != trained(name)
