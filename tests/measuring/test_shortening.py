"""Which data there is too little of to take a part."""

import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data.loading import load
from tune_mixup.measuring.shortening import few_batches

TINY = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 4000,
    "data.num_test": 8,
    "data.size": 8,
    "data.batches": "stratified",
    "model.width": 2,
    "mixing.name": "generalized_mixup",
    "training.batch_size": 20,
}


def config_of(**changes):
    return TrialConfig.from_dotted(TINY, {key.replace("_", ".", 1): value for key, value in changes.items()})


def test_data_that_is_small_or_rare_is_taken_as_it_is():
    small = config_of(data_num_train=200)
    assert few_batches(small, load(small.data, seed=0, device=torch.device("cpu")), num_batches=10) == small
    many = config_of(data_num_classes=20, data_num_train=400, data_validation_fraction=0.5)
    assert few_batches(many, load(many.data, seed=0, device=torch.device("cpu")), num_batches=10) == many


def test_a_part_of_scarce_data_has_as_many_batches_as_one_of_others():
    scarce = TrialConfig.from_dotted(
        TINY, {"data.samples_per_class": 500, "data.imbalance": 4, "data.label_noise.share": 0.2}
    )
    whole = load(scarce.data, seed=0, device=torch.device("cpu"))
    short = few_batches(scarce, whole, num_batches=10)
    part = load(short.data, seed=0, device=torch.device("cpu"))
    assert 200 <= len(part.train.targets) <= 210 < len(whole.train.targets)
    assert short.data.label_noise == scarce.data.label_noise
