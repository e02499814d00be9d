"""Wrong labels: how many, which, and where."""

import math
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.data import Dataset, Split, load
from tune_mixup.data.base import DataFault
from tune_mixup.data.label_files import read_labels
from tune_mixup.data.label_noise import LabelNoise

CPU = torch.device("cpu")
NAMES = ("ant", "bee", "cow", "dog", "emu")


def relabelled(noise, targets, chosen=None, classes=5):
    chosen = torch.arange(len(targets)) if chosen is None else chosen
    return noise.labels(targets, chosen, given=None, class_names=NAMES[:classes])


def nearest(number):
    """A half goes to the even neighbour."""
    return round(number)


@given(
    counts=st.lists(st.integers(4, 25), min_size=3, max_size=5),
    share=st.floats(0, 0.7),
    seed=st.integers(0, 99),
    kind=st.sampled_from(["symmetric", "pairs"]),
)
@settings(deadline=None, max_examples=60)
def test_the_share_of_every_class_is_mislabelled_to_the_image(counts, share, seed, kind):
    classes = len(counts)
    targets = torch.tensor([k for k, count in enumerate(counts) for _ in range(count)])
    targets = targets[torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))]
    noise = LabelNoise(kind=kind, share=share, seed=seed)
    labels = relabelled(noise, targets, classes=classes).tolist()
    wrong = [0] * classes
    for true, label in zip(targets.tolist(), labels, strict=True):
        assert 0 <= label < classes
        if label != true:
            wrong[true] += 1
            assert kind == "symmetric" or label == (true + 1) % classes
    assert wrong == [nearest(share * count) for count in counts]


def test_symmetric_noise_gives_every_other_class_alike():
    targets = torch.arange(5).repeat(4000)
    labels = relabelled(LabelNoise(share=0.75, seed=1), targets)
    table = np.zeros((5, 5))
    np.add.at(table, (targets.numpy(), labels.numpy()), 1)
    assert (np.diag(table) == 1000).all()
    off = table[~np.eye(5, dtype=bool)]
    assert ((off - 750) ** 2 / 750).sum() < 37.7  # 0.1 % point of chi-square with 5 x 3 degrees of freedom


def test_a_larger_share_mislabels_the_same_images_the_same_way_and_more():
    targets = torch.arange(5).repeat(20)
    for kind in ("symmetric", "pairs"):
        shares = [relabelled(LabelNoise(kind=kind, share=share), targets) for share in (0.2, 0.5, 0.8)]
        for less, more in zip(shares, shares[1:], strict=False):
            wrong = less != targets
            assert torch.equal(less[wrong], more[wrong]) and int((more != targets).sum()) > int(wrong.sum())


def test_all_wrong_and_none_wrong():
    targets = torch.arange(5).repeat(6)
    assert torch.equal(relabelled(LabelNoise(kind="pairs", share=1), targets), (targets + 1) % 5)
    assert bool((relabelled(LabelNoise(share=1), targets) != targets).all())
    assert torch.equal(relabelled(LabelNoise(), targets), targets)


def test_given_pairs_leave_other_classes_alone():
    """CIFAR-10's usual asymmetric noise is such a mapping."""
    targets = torch.arange(5).repeat(10)
    noise = LabelNoise.parse({"kind": "pairs", "share": 0.4, "pairs": {"emu": "ant", "bee": "cow", "cow": "bee"}})
    labels = relabelled(noise, targets)
    table = np.zeros((5, 5), dtype=int)
    np.add.at(table, (targets.numpy(), labels.numpy()), 1)
    expected = np.diag([10, 6, 6, 10, 6])
    expected[4, 0] = expected[1, 2] = expected[2, 1] = 4
    assert (table == expected).all()


def test_pairs_are_the_same_settings_in_any_order():
    one = LabelNoise.parse({"kind": "pairs", "share": 0.4, "pairs": {"emu": "ant", "bee": "cow"}})
    other = LabelNoise.parse({"kind": "pairs", "share": 0.4, "pairs": [["bee", "cow"], ["emu", "ant"]]})
    assert one == other and hash(one) == hash(other)
    assert LabelNoise.parse(one.model_dump(mode="json")) == one


def test_the_noise_of_an_image_does_not_depend_on_what_else_is_trained_on():
    """Another split takes other images; those of both have the same labels, but for some whose turn it is no more."""
    targets = torch.arange(5).repeat(200)
    noise = LabelNoise(share=0.4)
    shuffled = [torch.randperm(1000, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    halves = [order[:number].sort().values for order, number in zip(shuffled, (900, 880), strict=True)]
    found = [dict(zip(half.tolist(), relabelled(noise, targets, half).tolist(), strict=True)) for half in halves]
    both = found[0].keys() & found[1].keys()
    differ = sum(found[0][i] != found[1][i] for i in both)
    assert len(both) > 760 and differ < 40  # by chance it would be about half of them


def test_the_seed_of_the_noise_decides():
    targets = torch.arange(5).repeat(20)
    zero, again, one = (relabelled(LabelNoise(share=0.4, seed=seed), targets) for seed in (0, 0, 1))
    assert torch.equal(zero, again) and not torch.equal(zero, one)


class Numbered(Dataset):
    """30 examples of each of three classes, in turns; the pixel is the number of the example."""

    name: Literal["numbered"] = "numbered"

    def read_train(self):
        targets = torch.arange(90) % 3
        images = torch.arange(90, dtype=torch.uint8).reshape(-1, 1, 1, 1).repeat(1, 1, 3, 3)
        return Split(images, targets), NAMES[:3]

    def read_test(self):
        return self.read_train()[0]


def numbers(split):
    return split.images[:, 0, 0, 0].tolist()


def test_only_training_labels_are_wrong():
    clean = load(Numbered(validation_fraction=0.2), seed=0, device=CPU)
    for fraction in (0.2, 0):
        noisy = load(Numbered(validation_fraction=fraction, label_noise={"share": 0.5}), seed=0, device=CPU)
        assert (noisy.validation.targets == torch.tensor(numbers(noisy.validation)) % 3).all()
        wrong = noisy.train.targets != torch.tensor(numbers(noisy.train)) % 3
        assert int(wrong.sum()) == len(wrong) // 2
    held = load(Numbered(validation_fraction=0.2, label_noise={"share": 0.5}), seed=0, device=CPU)
    assert numbers(held.train) == numbers(clean.train) and held.fingerprint == clean.fingerprint
    assert held.class_order == clean.class_order


def test_the_share_is_of_the_images_that_are_left():
    data = load(Numbered(samples_per_class=10, label_noise={"share": 0.3}), seed=0, device=CPU)
    true = torch.tensor(numbers(data.train)) % 3
    assert [int((data.train.targets[true == k] != k).sum()) for k in range(3)] == [3, 3, 3]


def test_trials_of_all_seeds_have_the_same_noise():
    one, other = (
        load(Numbered(validation_fraction=0, label_noise={"share": 0.5}), seed=seed, device=CPU) for seed in (0, 1)
    )
    assert numbers(one.train) == numbers(other.train)
    assert one.train.targets.tolist() == other.train.targets.tolist()


def test_a_class_that_vanishes_is_one_line():
    noise = {"kind": "pairs", "share": 1, "pairs": {"ant": "bee"}}
    with pytest.raises(ValueError) as caught:
        load(Numbered(label_noise=noise), seed=0, device=CPU)
    assert str(caught.value) == (
        "data.label_noise: no training image is labelled 'ant' any more; use a smaller share, more images, or other "
        "labels"
    )


@pytest.mark.parametrize("pairs", [{"ant": "beee"}, {"beee": "ant"}])
def test_an_unknown_class_is_named(pairs):
    with pytest.raises(ValueError, match="label_noise.pairs: there is no class 'beee'; did you mean bee?"):
        load(Numbered(label_noise={"kind": "pairs", "share": 0.2, "pairs": pairs}), seed=0, device=CPU)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"share": 1.1}, "label_noise.share: got 1.1, must be"),
        ({"share": -0.1}, "label_noise.share: got -0.1, must be"),
        ({"share": math.nan}, "label_noise.share: .*finite"),
        ({"seed": -1}, "label_noise.seed: got -1, must be"),
        ({"kind": "random"}, "label_noise.kind: got 'random', must be 'symmetric', 'pairs' or 'file'"),
        ({"kind": "file"}, "label_noise: kind is file, but path is empty; give"),
        ({"kind": "file", "path": "x.npy", "share": 0.1}, "label_noise: share is 0.1, but with kind=file .*; drop it"),
        ({"path": "x.npy"}, "label_noise: path is given, but kind is symmetric; set kind=file, or drop path"),
        ({"column": "x"}, "label_noise: column is given, but kind is symmetric; set kind=file"),
        ({"pairs": {"ant": "bee"}}, "label_noise: pairs is given, but kind is symmetric; set kind=pairs"),
        ({"kind": "pairs", "pairs": {"ant": "ant"}}, "label_noise: pairs: 'ant' is taken for itself"),
        ({"kind": "pairs", "pairs": [["ant", "bee"], ["ant", "cow"]]}, "label_noise: pairs: 'ant' stands twice"),
        ({"kind": "pairs", "pairs": [["ant"]]}, "label_noise.pairs"),
    ],
)
def test_settings_that_do_not_go_together_are_one_line(values, words):
    with pytest.raises(ValueError, match=words) as caught:
        Numbered.parse({"label_noise": values})
    assert "\n" not in str(caught.value)


# From a file

WRONG = [k // 2 % 3 for k in range(90)]
WORDS = [NAMES[k] for k in WRONG]


def write(path, values=WRONG, names=WORDS):
    """The labels in the format that the path's ending names."""
    if path.suffix == ".npy":
        np.save(path, np.array(values, dtype=np.uint8))
    elif path.suffix == ".npz":
        np.savez(path, clean_label=np.arange(90) % 3, worse_label=np.array(values))
    elif path.suffix == ".csv":
        rows = [f"{i},{name}" for i, name in enumerate(names)]
        path.write_text("\n".join(["image,worse_label", *rows]) + "\n")
    else:
        path.write_text("\n".join(map(str, values)) + "\n")
    return path


def of_file(path, column=None):
    return Numbered(label_noise={"kind": "file", "path": str(path), "column": column})


@pytest.mark.parametrize(
    ("name", "column"), [("a.npy", None), ("a.npz", "worse_label"), ("a.csv", "worse_label"), ("a.txt", None)]
)
def test_labels_of_a_file_are_of_the_whole_training_set(tmp_path, name, column):
    data = load(of_file(write(tmp_path / name), column), seed=0, device=CPU)
    assert data.train.targets.tolist() == [WRONG[i] for i in numbers(data.train)]
    assert data.validation.targets.tolist() == [i % 3 for i in numbers(data.validation)]


def test_the_content_of_the_file_is_part_of_the_fingerprint(tmp_path):
    plain = load(Numbered(), seed=0, device=CPU).fingerprint
    one = load(of_file(write(tmp_path / "a.npy")), seed=0, device=CPU).fingerprint
    same = load(of_file(write(tmp_path / "b.txt")), seed=0, device=CPU).fingerprint
    other = load(of_file(write(tmp_path / "c.npy", [2, *WRONG[1:]])), seed=0, device=CPU).fingerprint
    assert one == same and len({plain, one, other}) == 3
    assert Numbered().source() != of_file(tmp_path / "a.npy").source() != of_file(tmp_path / "b.txt").source()


def test_a_file_that_changes_is_a_fault_of_the_data(tmp_path):
    dataset = of_file(write(tmp_path / "a.npy"))
    before = dataset.replace(fingerprint=load(dataset, seed=0, device=CPU).fingerprint)
    write(tmp_path / "a.npy", [2, *WRONG[1:]])
    load(Numbered(), seed=1, device=CPU), load(Numbered(), seed=2, device=CPU)  # a process keeps two
    with pytest.raises(DataFault, match="data.fingerprint: .*a.npy.* have changed"):
        load(before, seed=0, device=CPU)


def pickled(path):
    np.save(path, np.array(WRONG, dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "make", "column", "words"),
    [
        ("gone.npy", lambda path: None, None, "gone.npy can't be read (No such file or directory)"),
        ("a.pt", lambda path: path.write_bytes(b"x"), None, "must be a file whose name ends with .npy, .npz"),
        ("a.npy", lambda path: path.write_bytes(b"x"), None, "a.npy can't be read ("),
        ("a.npy", pickled, None, "a.npy can't be read ("),
        ("a.npz", lambda path: path.write_bytes(b"PK\x03\x04" + bytes(40)), None, "a.npz can't be read ("),
        ("a.npy", lambda path: np.save(path, np.zeros((90, 2), dtype=int)), None, "holds int64 [90, 2], must be one"),
        ("a.npy", lambda path: np.save(path, np.zeros(90)), None, "holds float64 [90], must be one row of whole"),
        ("a.npy", lambda path: write(path, WRONG[1:]), None, "has 89 labels, but the training set has 90 images; give"),
        ("a.npy", lambda path: write(path, [3, *WRONG[1:]]), None, "has the label 3, but there are 3 classes"),
        ("a.npy", lambda path: np.save(path, np.array([-1, *WRONG[1:]])), None, "has the label -1, but there are 3"),
        ("a.txt", lambda path: write(path, ["0", "cat", *WRONG[2:]]), None, "label 2 of "),
        ("a.npz", write, None, "no column is named; data.label_noise.column must be one of clean_label, worse_label"),
        ("a.csv", write, "label", "there is no 'label'; data.label_noise.column must be one of image, worse_label"),
        ("a.npy", write, "label", "data.label_noise.column is 'label', but the file has no columns; drop it"),
        ("a.txt", write, "label", "data.label_noise.column is 'label', but the file has no columns; drop it"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_do_is_one_line(tmp_path, name, make, column, words):
    make(tmp_path / name)
    with pytest.raises(DataFault) as caught:
        load(of_file(tmp_path / name, column), seed=0, device=CPU)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith("data.label_noise.path: ")


def test_names_win_over_numbers(tmp_path):
    """Folders that are called by numbers are classes by these names, in alphabetical order."""
    (tmp_path / "a.txt").write_text("10\n2\n1\n")
    noise = LabelNoise(kind="file", path=tmp_path / "a.txt")
    assert read_labels(noise, number=3, class_names=("1", "10", "2")).tolist() == [1, 2, 0]
