"""Settings that every data set shares, and what `load` makes of them."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from typing_extensions import override

from tune_mixup.data import DATASETS, Augment, Dataset, Split, load, load_test, loading
from tune_mixup.data.base import DataFault
from tune_mixup.data.cifar import Cifar10
from tune_mixup.data.digits import Digits
from tune_mixup.data.fashion_mnist import FashionMnist
from tune_mixup.data.synthetic import Synthetic

CPU = torch.device("cpu")


class Named(Dataset):
    """Three classes with 20, 20 and `last` examples, bright in proportion to their class."""

    name: Literal["named"] = "named"
    last: int = 20

    def read_train(self):
        targets = torch.tensor([0] * 20 + [1] * 20 + [2] * self.last)
        images = (targets * 50).to(torch.uint8).reshape(-1, 1, 1, 1).repeat(1, 2, 3, 3)
        images[:, 1] = torch.arange(len(targets)).reshape(-1, 1, 1)  # the second channel numbers the examples
        return Split(images, targets), ("ant", "bee", "cow")

    def read_test(self):
        return self.read_train()[0]


def numbers(split):
    return split.images[:, 1, 0, 0].tolist()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"validation_fraction": -0.1}, ["validation_fraction", "-0.1", "greater than or equal to 0"]),
        ({"validation_fraction": 1.0}, ["validation_fraction", "1.0", "less than 1"]),
        ({"validation_fraction": math.nan}, ["validation_fraction", "nan", "finite"]),
        ({"validation_fraction": math.inf}, ["validation_fraction", "inf", "finite"]),
        ({"validation_fraction": "0.1"}, ["validation_fraction", "'0.1'", "number"]),
        ({"train_limit": 0}, ["train_limit", "0", "greater than 0"]),
        ({"train_limit": True}, ["train_limit", "True", "whole number"]),
        ({"train_limit": 10.5}, ["train_limit", "10.5", "whole number"]),
        ({"batches": "sorted"}, ["batches", "'sorted'", "'shuffled', 'stratified' or 'fixed'"]),
        ({"unbalanced": "ignore"}, ["unbalanced", "'ignore'", "'drop' or 'cycle'"]),
        ({"augment": {"crop_padding": -1}}, ["augment.crop_padding", "-1", "greater than or equal to 0"]),
        ({"augment": {"padding_mode": "wrap"}}, ["augment.padding_mode", "'wrap'", "'zeros' or 'reflect'"]),
        ({"augment": {"rotate": 3}}, ["augment.rotate", "no such setting"]),
        ({"augment": 3}, ["augment", "3"]),
        ({"mean": [0.5, math.nan]}, ["mean.1", "nan", "finite"]),
        ({"mean": [125.3]}, ["mean.0", "125.3", "less than or equal to 1"]),
        ({"mean": []}, ["mean", "at least 1"]),
        ({"mean": "0.5"}, ["mean", "'0.5'"]),
        ({"std": [0.2, 0.0]}, ["std", "(0.2, 0.0)", "greater than 0"]),
        ({"root": 3}, ["root", "3", "path"]),
        ({"root": "~no_such_user_here/data"}, ["root", "no_such_user_here", "in full"]),
        ({"folder": "x"}, ["folder", "no such setting"]),
    ],
)
def test_settings_out_of_range_are_named(values, words):
    with pytest.raises(ValueError) as caught:
        Synthetic.parse(values)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_synthetic_and_imagefolder_check_their_own_settings():
    for values in ({"num_classes": 1}, {"noise": -0.1}, {"noise": math.nan}, {"size": 0}, {"num_test": 0}):
        with pytest.raises(ValueError, match=next(iter(values))):
            Synthetic.parse(values)
    with pytest.raises(ValueError, match="path: is missing"):
        DATASETS["imagefolder"].parse({})
    with pytest.raises(ValueError, match="channels: got 2, must be 1 or 3"):
        DATASETS["imagefolder"].parse({"path": "x", "channels": 2})


def test_paths_are_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert Digits.parse({"root": "here"}).root == tmp_path / "here"
    assert Digits.parse({"root": "~/there"}).root == Path.home() / "there"
    assert DATASETS["imagefolder"].parse({"path": "pets"}).path == tmp_path / "pets"


def test_the_environment_names_the_root(monkeypatch, tmp_path):
    monkeypatch.setenv("TUNE_MIXUP_DATA", str(tmp_path))
    assert Digits().root == tmp_path
    monkeypatch.setenv("TUNE_MIXUP_DATA", "")
    assert Digits().root == Path.home() / "data"


def test_a_part_of_augment_keeps_the_rest_of_the_default():
    changed = Cifar10.parse({"augment": {"flip": False}})
    assert changed.augment == Augment(crop_padding=4, flip=False)
    assert FashionMnist().augment == Augment(crop_padding=4, flip=True)
    assert Digits().augment == Augment()
    assert Cifar10(augment=Augment()).augment == Augment()


@pytest.mark.parametrize("seed", [0, 1])
def test_train_and_validation_are_the_training_set_split_by_class(seed):
    data = load(Named(validation_fraction=0.25), seed=seed, device=CPU)
    assert sorted(numbers(data.train) + numbers(data.validation)) == list(range(60))
    assert torch.bincount(data.validation.targets).tolist() == [5, 5, 5]
    whole = Named().read_train()[0]
    for split in (data.train, data.validation):
        assert split.targets.tolist() == whole.targets[numbers(split)].tolist()


class WithTest(Named):
    def read_validation(self):
        whole = self.read_train()[0]
        return Split(whole.images[:9], whole.targets[:9])

    def read_test(self):
        whole = self.read_train()[0]
        return Split(whole.images[7:47], whole.targets[7:47])


@pytest.mark.parametrize("limit", [None, 30])
def test_where_nothing_is_held_out_the_test_split_is_what_is_measured(limit):
    """Also where the data come with a validation set."""
    data = load(WithTest(validation_fraction=0, train_limit=limit), seed=0, device=CPU)
    assert len(set(numbers(data.train))) == (limit or 60)
    assert numbers(data.validation) == list(range(7, 47))
    held = load(WithTest(), seed=0, device=CPU)
    assert numbers(held.validation) == list(range(9)) and data.fingerprint == held.fingerprint


def test_a_test_split_that_is_missing_is_a_fault_of_the_data(monkeypatch):
    def missing(self):
        raise FileNotFoundError("no test file")

    monkeypatch.setattr(WithTest, "read_test", missing)
    load(WithTest(), seed=0, device=CPU)
    with pytest.raises(DataFault, match="no test file"):
        load(WithTest(validation_fraction=0), seed=0, device=CPU)


def test_the_seed_decides_the_split_and_the_limit():
    dataset = Named(train_limit=30)
    first = load(dataset, seed=0, device=CPU)
    from_another = load(dataset, seed=1, device=CPU)
    loading._load_once.cache_clear()
    again = load(dataset, seed=0, device=CPU)
    assert numbers(again.train) == numbers(first.train) != numbers(from_another.train)
    assert len(first.train.images) + len(first.validation.images) == 30


def test_mean_and_std_come_from_the_training_split_alone():
    data = load(Named(validation_fraction=0.4, train_limit=31), seed=0, device=CPU)
    pixels = data.train.images.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(data.mean.flatten().numpy(), pixels.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(data.std.flatten().numpy(), pixels.std((0, 2, 3)), rtol=1e-6)
    whole = Named().read_train()[0].images.double().mean((0, 2, 3)) / 255
    assert not torch.allclose(data.mean.flatten().double(), whole)


def test_given_mean_and_std_are_taken():
    data = load(Named(mean=(0.25, 0.5), std=(0.125, 1.0)), seed=0, device=CPU)
    assert data.mean.flatten().tolist() == [0.25, 0.5]
    assert data.std.flatten().tolist() == [0.125, 1.0]


def test_no_image_is_measured_where_mean_and_std_are_given(monkeypatch):
    def refused(images):
        raise AssertionError("measured")

    monkeypatch.setattr(loading, "measure", refused)
    load(Named(mean=(0.25, 0.5), std=(0.125, 1.0), train_limit=58), seed=0, device=CPU)
    with pytest.raises(AssertionError, match="measured"):
        load(Named(mean=(0.25, 0.5), train_limit=58), seed=0, device=CPU)


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (Named(last=1), ["'cow' has 1 training example"]),
        (Named(last=0), ["'cow' has 0 training examples"]),
        (Named(train_limit=5), ["'cow' has 1 training example after data.train_limit = 5"]),
        (Named(train_limit=61), ["train_limit is 61", "60 examples"]),
        (Named(mean=(0.5,)), ["data.mean has 1 values", "2 channels"]),
        (Named(std=(0.5, 0.5, 0.5)), ["data.std has 3 values", "2 channels"]),
    ],
)
def test_settings_that_the_data_cannot_meet_are_one_line(dataset, words):
    with pytest.raises(ValueError) as caught:
        load(dataset, seed=0, device=CPU)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_trials_of_one_process_share_their_tensors():
    first = load(Named(), seed=0, device=CPU)
    same = load(Named(augment=Augment(flip=True), batches="stratified", unbalanced="cycle"), seed=0, device=CPU)
    assert same is first
    assert load(Named(), seed=1, device=CPU) is not first
    assert load(Named(validation_fraction=0.2), seed=0, device=CPU) is not first
    assert load_test(Named(), device=CPU) is load_test(Named(augment=Augment(flip=True)), device=CPU)


class LateFirst(Named):
    """Class 2 is the first that the whole set shows, once, and 0 and 1 follow."""

    @override
    def read_train(self):
        targets = torch.tensor([2] + [0] * 20 + [1] * 20 + [2] * 3)
        return Split(torch.zeros(len(targets), 2, 3, 3, dtype=torch.uint8), targets), ("ant", "bee", "cow")


def test_the_order_of_classes_is_that_of_the_whole_set_whichever_split_is_drawn():
    orders = set()
    for seed in range(12):
        data = load(LateFirst(), seed=seed, device=CPU)
        assert data.class_order == (2, 0, 1)
        orders.add(tuple(dict.fromkeys(data.train.targets.tolist())))
    assert orders == {(2, 0, 1), (0, 1, 2)}  # what the split leaves has its first example or has it not


def test_no_more_than_two_splits_are_kept():
    first = load(Named(), seed=0, device=CPU)
    load(Named(), seed=1, device=CPU)
    load(Named(), seed=2, device=CPU)
    assert load(Named(), seed=0, device=CPU) is not first


def test_data_that_could_not_be_read_are_tried_again(tmp_path):
    dataset = DATASETS["imagefolder"].parse({"path": str(tmp_path / "gone")})
    for _ in range(2):
        with pytest.raises(ValueError, match="does not exist"):
            load(dataset, seed=0, device=CPU)


def test_importing_the_package_imports_no_decoder():
    code = (
        "import sys, tune_mixup.data;"
        "print([name for name in ('torchvision', 'sklearn', 'PIL', 'ray') if name in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


class Lonely(Named):
    @override
    def read_train(self):
        whole, names = super().read_train()
        return Split(whole.images, torch.zeros_like(whole.targets)), names[:1]


def test_a_single_class_is_refused():
    with pytest.raises(ValueError, match="Lonely has 1 classes, must be at least 2 to learn from"):
        load(Lonely(), seed=0, device=CPU)
