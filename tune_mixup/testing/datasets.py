"""What a data set promises: labelled bytes, the same each time, whose splits share no image.

    from tune_mixup.testing import DatasetContract

    class TestMine(DatasetContract):
        part = MyImages(root="/where/they/are")

Each test reads the data anew, so give a small part of large data.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tune_mixup.data import AnyDataset, Split, load, load_test
from tune_mixup.data.base import Dataset
from tune_mixup.data.loading import forget_data
from tune_mixup.data.rows import Images
from tune_mixup.testing.batches import CPU
from tune_mixup.testing.parts import PartContract
from tune_mixup.testing.watching import global_generators_untouched


class DatasetContract(PartContract[Dataset]):
    """For classes derived from `Dataset`."""

    kind = AnyDataset

    def test_splits_are_labelled_bytes(self) -> None:
        """uint8, float16 or int16 images of one size with int64 targets in 0..K-1; the training set has every class."""
        whole, class_names = self.part.read_train()
        validation = self.part.read_validation()
        splits = {"train": whole, "test": self.part.read_test()}
        for name, split in (splits if validation is None else {**splits, "validation": validation}).items():
            images, targets = split
            right = images.dtype in (torch.uint8, torch.float16, torch.int16) and images.ndim == 4
            assert right, (
                f"{name} images are {images.dtype} {list(images.shape)}, must be torch.uint8, or torch.float16 or "
                "torch.int16 for what is no pixels, [N, C, H, W]"
            )
            waveforms = images.dtype == torch.int16
            assert waveforms == self.part.mixes_waveforms == (self.part.pictures() is not None), (
                f"{name} images are {images.dtype}, but mixes_waveforms is {self.part.mixes_waveforms}; waveforms are "
                "int16, and pictures() says how they are seen"
            )
            assert images.dtype == whole.images.dtype, (
                f"{name} images are of another type than those of the training set"
            )
            assert bool(images.isfinite().all()), f"{name} images hold numbers that are not finite"
            sizes = [list(one.images.shape[1:]) for one in (split, whole)]
            assert sizes[0] == sizes[1], f"{name} images are {sizes[0]}, those of the training set {sizes[1]}"
            right = targets.dtype == torch.int64 and targets.shape == images.shape[:1]
            assert right, f"{name} targets are {targets.dtype} {list(targets.shape)}, must be torch.int64 [N]"
            assert images.device == targets.device == CPU, f"{name} must be on the CPU; the loader moves it"
            least, most = int(targets.min()), int(targets.max())
            right = 0 <= least and most < len(class_names)
            assert right, f"{name} targets are {least} to {most}, must be 0 to {len(class_names) - 1}"
        missing = set(range(len(class_names))) - set(whole.targets.tolist())
        assert not missing, f"the training set has no image of the classes {sorted(missing)}"

    def test_class_names_are_distinct(self) -> None:
        """They are how a person tells the classes apart."""
        _, names = self.part.read_train()
        texts = isinstance(names, tuple) and all(isinstance(name, str) and name for name in names)
        assert texts, f"class names are {names!r}, must be a tuple of texts"
        assert len(set(names)) == len(names), f"class names {names!r} are not distinct"

    def test_the_shape_known_before_reading_is_true(self) -> None:
        """Settings are checked against it before the data is read."""
        known = self.part.known_shape()
        whole, names = self.part.read_train()
        pictures = self.part.pictures()
        seen = whole.images if pictures is None else pictures(whole.images[:1])
        found = (len(names), *seen.shape[2:])
        assert known is None or tuple(known) == found, (
            f"known_shape() says {known}, but classes, height and width are {found}; mend it, or return None"
        )

    def test_reading_twice_gives_the_same(self) -> None:
        """The seed of a trial chooses the split; what is read depends on the settings alone."""
        with global_generators_untouched():
            first, again = ((self.part.read_train()[0], self.part.read_test()) for _ in range(2))
        for name, one, other in zip(("train", "test"), first, again, strict=True):
            same = torch.equal(one.images, other.images) and torch.equal(one.targets, other.targets)
            assert same, f"the {name} images differ when they are read again; draw from a fixed seed"

    def test_the_fingerprint_is_of_the_content(self) -> None:
        """A trial goes on only with data of the fingerprint that it has noted, also on another host."""
        found = []
        for _ in range(2):
            with _nothing_read():
                found.append(load(self.part, seed=0, device=CPU).fingerprint)
        assert found[0] and found[0] == found[1], (
            f"got the fingerprints {found}; known_fingerprint() must stay the same"
        )
        moved = self.part.replace(root=self.part.root / "elsewhere")
        assert moved.source() == self.part.source(), "where the data lie says nothing about what they are"

    def test_equal_settings_are_one_data_set(self) -> None:
        """They are the key under which a process keeps the data."""
        twin = self.part.replace()
        try:
            same = twin == self.part and hash(twin) == hash(self.part)
        except TypeError:
            same = False
        assert same, "equal settings must be equal and have one hash; use numbers, texts and tuples"

    def test_train_validation_and_test_share_no_image(self) -> None:
        """An image in two splits would be known when it is asked for; every image of the training set is used."""
        with _nothing_read():
            data, test = load(self.part, seed=0, device=CPU), load_test(self.part, device=CPU)
            whole, _ = self.part.read_train()
        train, validation, tested = (_rows(split) for split in (data.train, data.validation, test))
        shared = train & validation
        assert not shared, f"{len(shared)} images are in training and validation; the training set holds duplicates"
        shared = tested & (train | validation)
        assert not shared, f"{len(shared)} images of the test set are in training or validation too; take them out"
        if self.part.read_validation() is None and self.part.train_limit is None:
            count = len(data.train.images) + len(data.validation.images)
            assert count == len(whole.images), f"{len(whole.images)} images became {count} by the split"

    def test_what_a_trial_sees_is_described(self) -> None:
        """Every class is in training and in validation, and pixels can be normalised."""
        with _nothing_read():
            data = load(self.part, seed=0, device=CPU)
        for name, split in (("training", data.train), ("validation", data.validation)):
            missing = set(range(data.num_classes)) - set(split.targets.tolist())
            assert not missing, f"{name} has no image of the classes {sorted(missing)}; there must be two of each"
        for name, value in (("mean", data.mean), ("std", data.std)):
            right = value.shape == (data.channels, 1, 1) and value.dtype == torch.float32
            assert right and bool(value.isfinite().all()), f"the {name} of the pixels is {value.tolist()}"


def _rows(split: Split[Images]) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.images[:]}


@contextmanager
def _nothing_read() -> Iterator[None]:
    forget_data()
    yield
    forget_data()
