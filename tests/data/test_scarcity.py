"""Fewer images of each class, and long tails."""

import math
from fractions import Fraction
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.data import Dataset, Split, load, load_test, loading
from tune_mixup.data.scarcity import long_tail, thin

CPU = torch.device("cpu")
NAMES = ("ant", "bee", "cow", "dog", "emu")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("each", "classes", "imbalance", "total"),
    [
        (5000, 10, 10, 20_431),
        (5000, 10, 50, 13_996),
        (5000, 10, 100, 12_406),
        (5000, 10, 200, 11_203),
        (500, 100, 10, 19_573),
        (500, 100, 50, 12_608),
        (500, 100, 100, 10_847),
        (500, 100, 200, 9_502),
    ],
)
def test_long_tailed_cifar_has_the_published_number_of_images(each, classes, imbalance, total):
    """Of long-tailed CIFAR-10 and CIFAR-100, in the papers that followed Cui et al."""
    kept = long_tail(torch.full((classes,), each), imbalance)
    assert int(kept.sum()) == total
    assert (int(kept[0]), int(kept[-1])) == (each, each // imbalance)


def test_the_published_classes_of_long_tailed_cifar():
    kept = long_tail(torch.full((10,), 5000), 100.0)
    assert kept.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


@given(each=st.integers(1, 10**6), imbalance=st.integers(1, 10**4), rest=st.integers(0, 50))
@settings(deadline=None)
def test_a_quotient_that_is_whole_is_kept_whole(each, imbalance, rest):
    kept = long_tail(torch.tensor([each * imbalance, each * imbalance + rest % imbalance]), float(imbalance))
    assert kept.tolist() == [each * imbalance, each]


@given(counts=st.lists(st.integers(1, 30), min_size=2, max_size=5), imbalance=st.floats(1, 30), data=st.data())
@settings(deadline=None, max_examples=60)
def test_each_class_keeps_its_share_and_larger_numbers_keep_the_same_and_more(counts, imbalance, data):
    names = NAMES[: len(counts)]
    places = torch.randperm(sum(counts), generator=seeded(1))
    targets = torch.tensor([k for k, count in enumerate(counts) for _ in range(count)])[places]
    number = data.draw(st.none() | st.integers(1, min(counts)))
    last = len(counts) - 1
    due = [Fraction(number or count) * Fraction(imbalance ** (-k / last)) for k, count in enumerate(counts)]
    expected = [math.floor(share + Fraction(1, 10**6)) for share in due]

    def kept(number, imbalance):
        return thin(
            targets, samples_per_class=number, imbalance=imbalance, class_names=names, generator=seeded(5)
        ).tolist()

    if 0 in expected:
        with pytest.raises(ValueError, match="data.imbalance is .*without a training image; use less, or more images"):
            kept(number, imbalance)
        return
    index = kept(number, imbalance)
    assert index == sorted(set(index))
    assert torch.bincount(targets[index], minlength=len(counts)).tolist() == expected
    assert set(index) <= set(kept(number, 1.0)) <= set(kept(None, 1.0)) == set(range(len(targets)))


class Numbered(Dataset):
    """`counts` examples of each class, in turns; the pixel is the number of the example."""

    name: Literal["numbered"] = "numbered"
    counts: tuple[int, ...] = (20, 20, 20)

    def read_train(self):
        classes = [(turn, k) for k, count in enumerate(self.counts) for turn in range(count)]
        targets = torch.tensor([k for _, k in sorted(classes)])
        images = torch.arange(len(targets), dtype=torch.uint8).reshape(-1, 1, 1, 1).repeat(1, 1, 3, 3)
        return Split(images, targets), NAMES[: len(self.counts)]

    def read_test(self):
        return self.read_train()[0]


def numbers(split):
    return split.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"samples_per_class": 4}, [4, 4, 4]),
        ({"imbalance": 16.0}, [16, 4, 1]),
        ({"samples_per_class": 9, "imbalance": 9.0}, [9, 3, 1]),
        ({"samples_per_class": 3, "train_limit": 15}, [3, 3, 3]),
    ],
)
def test_only_what_is_trained_on_becomes_less(settings, expected):
    """The validation split is that of all images, or of the `train_limit` that is taken before it."""
    limit = settings.get("train_limit")
    plain = load(Numbered(validation_fraction=0.2, train_limit=limit), seed=3, device=CPU)
    less = load(Numbered(validation_fraction=0.2, **settings), seed=3, device=CPU)
    assert torch.bincount(less.train.targets).tolist() == expected
    assert numbers(less.validation) == numbers(plain.validation)
    assert set(numbers(less.train)) < set(numbers(plain.train))
    whole = Numbered().read_train()[0]
    assert less.train.targets.tolist() == whole.targets[numbers(less.train)].tolist()
    assert less.fingerprint == plain.fingerprint
    seen = torch.tensor(numbers(less.train), dtype=torch.float64) / 255
    assert less.mean.item() == pytest.approx(seen.mean().item(), rel=1e-5)


def test_the_seed_of_the_trial_chooses_the_images():
    """Also where the split is the same for all seeds, since nothing is held out."""
    few = Numbered(samples_per_class=4, validation_fraction=0)
    one, other = (load(few, seed=seed, device=CPU) for seed in (0, 1))
    assert numbers(one.train) != numbers(other.train)
    loading.forget_data()
    again = load(few, seed=0, device=CPU)
    assert numbers(again.train) == numbers(one.train)


def test_nothing_held_out_leaves_all_images_to_choose_from():
    data = load(Numbered(samples_per_class=20, validation_fraction=0), seed=0, device=CPU)
    assert sorted(numbers(data.train)) == list(range(60))
    assert numbers(data.validation) == numbers(load_test(Numbered(), device=CPU))


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (
            Numbered(samples_per_class=19, validation_fraction=0.1),
            "data.samples_per_class is 19, but class 'ant' has 18 training images beside those that are held out; "
            "use at most 18",
        ),
        (Numbered(counts=(20, 2, 20), samples_per_class=2), "class 'bee' has 1 training image beside"),
        (Numbered(samples_per_class=4, train_limit=9), "class 'ant' has 2 training images beside"),
        (Numbered(imbalance=18.1), "data.imbalance is 18.1, which leaves class 'cow' without a training image; use"),
        (Numbered(samples_per_class=4, imbalance=5.0), "leaves class 'cow' without a training image"),
    ],
)
def test_what_the_images_do_not_suffice_for_is_one_line(dataset, words):
    with pytest.raises(ValueError) as caught:
        load(dataset, seed=0, device=CPU)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("samples_per_class", 0, "greater than 0"),
        ("samples_per_class", 1.5, "whole number"),
        ("imbalance", 0.5, "greater than or equal to 1"),
        ("imbalance", math.inf, "finite"),
    ],
)
def test_numbers_out_of_range_are_named(key, value, words):
    with pytest.raises(ValueError, match=f"{key}: .*{words}"):
        Numbered.parse({key: value})
