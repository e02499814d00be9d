"""Identities stay as commit e112516 computed them, before parts could come from outside: old sweeps are resumed."""

import pytest

from tune_mixup.config import TrialConfig

IDENTITIES = [
    ({}, "c8a7cb39a107"),
    ({"mixing.name": "erm"}, "c8a7cb39a107"),
    ({"mixing.name": "mixup"}, "49430e5a31ae"),
    ({"mixing.name": "cutmix"}, "33868ac8d330"),
    ({"mixing.name": "manifold_mixup"}, "cde73e2b113e"),
    ({"mixing.name": "smoothmix"}, "fde4c31feff3"),
    ({"mixing.name": "saliencymix"}, "69284e39f495"),
    ({"mixing.name": "gridmix"}, "aa51444508ab"),
    ({"mixing.name": "resizemix", "data.name": "cifar10"}, "ccaf3ff86bbf"),
    ({"mixing.name": "fmix"}, "2eeda48f1a99"),
    ({"mixing.name": "generalized_mixup", "data.batches": "stratified"}, "18ba76139e3f"),
    ({"mixing.name": "mixture"}, "37c9a6b5cf4d"),
    (
        {
            "mixing.name": "mixture",
            "mixing.members.weak.name": "mixup",
            "mixing.members.weak.alpha": 0.2,
            "mixing.members.cutmix.probability": 0.5,
            "mixing.repeats": 2,
        },
        "114a6c990dd2",
    ),
    ({"mixing.name": "mixup", "mixing.alpha": 0.0}, "c8a7cb39a107"),
    (
        {
            "mixing.name": "cutmix",
            "mixing.partners.name": "confusion",
            "mixing.partners.gamma": 0.5,
            "data.batches": "stratified",
        },
        "bc37f8f9992d",
    ),
    ({"mixing.name": "cutmix", "mixing.partners.name": "deranged"}, "8586a0f74153"),
    ({"data.name": "digits"}, "c8a7cb39a107"),
    ({"data.name": "fashion_mnist"}, "559fd81a3d70"),
    ({"data.name": "cifar10"}, "7530a45a18e1"),
    ({"data.name": "cifar100"}, "812c9cb41d6a"),
    ({"data.name": "imagefolder", "data.path": "/some/images"}, "02e7bf756432"),
    ({"data.name": "synthetic"}, "535d47eba076"),
    ({"model.name": "tiny_resnet", "data.name": "cifar10"}, "7530a45a18e1"),
    ({"model.name": "preact_resnet18", "data.name": "cifar10"}, "218dbd08279c"),
    ({"model.name": "resnet18", "data.name": "cifar10"}, "084337406430"),
    ({"model.name": "wide_resnet", "data.name": "cifar10"}, "33e9af5e016a"),
    ({"model.name": "resnext29_4x24", "data.name": "cifar10"}, "d75a63bca694"),
    ({"model.name": "resnext50_32x4d", "data.name": "cifar10"}, "cc9a3bd37a23"),
    ({"model.name": "vgg11", "data.name": "cifar10"}, "37693c541679"),
    ({"model.name": "resnet50", "data.name": "cifar10"}, "b9b59e952248"),
    ({"loss.name": "cross_entropy"}, "c8a7cb39a107"),
    ({"loss.name": "sigmoid_bce"}, "5e2990c1ceb8"),
    ({"loss.name": "softmax_bce"}, "002221e950dd"),
    ({"loss.name": "decoupled"}, "d3ad05710e08"),
    ({"optimizer.name": "sgd"}, "c8a7cb39a107"),
    ({"optimizer.name": "adamw"}, "6cd5529977e6"),
    ({"schedule.name": "cosine"}, "c8a7cb39a107"),
    ({"schedule.name": "multistep"}, "492efa549566"),
    ({"schedule.name": "constant"}, "89cd099fd711"),
    ({"loss.name": "decoupled", "loss.eta": 0}, "c8a7cb39a107"),
    ({"training.epochs": 3, "training.batch_size": 50, "seed": 7, "data.root": "/x"}, "8d1a03caa3a9"),
]


@pytest.mark.parametrize(("settings", "identity"), IDENTITIES, ids=str)
def test_identities_stay_what_they_were(settings, identity):
    assert TrialConfig.from_dotted(settings).identity() == identity
    assert TrialConfig.parse(TrialConfig.from_dotted(settings).plain()).identity() == identity


@pytest.mark.parametrize(
    "settings",
    [
        {"data.samples_per_class": 10},
        {"data.imbalance": 10},
        {"data.label_noise.share": 0.2},
        {"data.label_noise.share": 0.2, "data.label_noise.seed": 1},
        {"data.label_noise.share": 0.2, "data.label_noise.kind": "pairs"},
        {"data.label_noise.share": 0.2, "data.label_noise.kind": "pairs", "data.label_noise.pairs": {"1": "7"}},
        {"data.label_noise.kind": "file", "data.label_noise.path": "/x.npy"},
        {"data.crop.size": 6},
        {"data.crop.size": [6, 8]},
        {"data.crop.train": "resized"},
        {"data.crop.train": "resized", "data.crop.filter": "bicubic"},
    ],
    ids=str,
)
def test_what_changes_the_training_changes_the_identity(settings):
    config = TrialConfig.from_dotted(settings)
    assert config.identity() != "c8a7cb39a107"
    assert TrialConfig.parse(config.plain()).identity() == config.identity()
    assert TrialConfig.parse(config.plain()) == config


@pytest.mark.parametrize(
    ("settings", "same"),
    [
        ({"data.samples_per_class": None, "data.imbalance": 1}, {}),
        ({"data.label_noise.seed": 3}, {}),
        ({"data.label_noise.kind": "pairs", "data.label_noise.pairs": {"1": "7"}}, {}),
        ({"data.crop.scale": [0.5, 1], "data.crop.filter": "bicubic"}, {}),
        ({"data.crop.size": 6, "data.crop.ratio": [1, 1]}, {"data.crop.size": [6, 6]}),
        (
            {"data.label_noise.kind": "file", "data.label_noise.path": "/x.npy", "data.label_noise.seed": 4},
            {"data.label_noise.kind": "file", "data.label_noise.path": "/elsewhere.npy"},
        ),
    ],
    ids=str,
)
def test_settings_that_train_alike_have_one_identity(settings, same):
    assert TrialConfig.from_dotted(settings).identity() == TrialConfig.from_dotted(same).identity()
