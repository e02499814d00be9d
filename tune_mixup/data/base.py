"""What a data set is: settings that read labelled images, and the uint8 tensors that a trial trains on.

Shapes: N examples, K classes, C channels, H x W pixels.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import AfterValidator, Field, field_validator
from torch import Tensor

from tune_mixup.activity import doing
from tune_mixup.data.augment import Augment, measure, prepare
from tune_mixup.data.batches import Unbalanced, order_of_appearance
from tune_mixup.data.fingerprint import DIGITS, of_tensors
from tune_mixup.data.stratify import split
from tune_mixup.parts import Part
from tune_mixup.schema import merge
from tune_mixup.seeding import generator


def _absolute(path: Path) -> Path:
    """Absolute, because Ray's workers run in another working directory than the person who wrote the path."""
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(f"got {str(path)!r}, whose home folder is not known; write the path in full") from error


def _default_root() -> Path:
    return _absolute(Path(os.environ.get("TUNE_MIXUP_DATA") or "~/data"))


Folder = Annotated[Path, Field(strict=False), AfterValidator(_absolute)]
"""A path or a string; `~` is the home folder."""
PerChannel = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(strict=False, min_length=1)]
"""One number per channel, pixels scaled to 0..1."""


class Split(NamedTuple):
    """Labelled images: images uint8 [N, C, H, W], or float16 where they are no pixels; targets int64 [N] in 0..K-1."""

    images: Tensor
    targets: Tensor


class Shape(NamedTuple):
    """What all images of a data set have in common, as far as settings must fit to it."""

    num_classes: int
    height: int
    width: int


class Dataset(Part, ABC):
    """A data set. Final classes set `name: Literal[...]`, its key in `DATASETS`."""

    beside_identity: ClassVar[frozenset[str]] = frozenset({"root", "path"})
    """Settings that say where data are and how they are read, and nothing of what is trained on."""
    spectrograms: ClassVar[bool] = False
    """Whether its pictures show sound: time to the right, frequency from the top down, loudness as brightness."""
    root: Folder = Field(default_factory=_default_root)
    """Where data sets live on disk: the environment variable TUNE_MIXUP_DATA, else ~/data."""
    validation_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Share of every class of the training set that is held out for validation, where data come without a validation
    set. 0: all is trained on, and what is measured is the test split, as published; `train` and `evaluate` only."""
    train_limit: int | None = Field(default=None, gt=0)
    """Use only so many examples of the training set, drawn before the validation split; empty: all."""
    augment: Augment = Augment()
    """Random crop and flip of the training images; a key that is left out keeps this data set's default."""
    mean: PerChannel | None = None
    """Subtracted from the pixels (0..1), per channel; empty: measured on the training split."""
    std: PerChannel | None = None
    """Pixels (0..1) are divided by it, per channel, > 0; empty: measured on the training split."""
    batches: Literal["shuffled", "stratified", "fixed"] = "shuffled"
    """shuffled: drawn at random each epoch; stratified: likewise, with every class equally often; fixed: such batches
    drawn once, the same in every epoch and sorted by class, as the released code of generalized mixup has them."""
    unbalanced: Unbalanced = "drop"
    """How stratified batches treat unequal classes: the epoch ends with the smallest, or small ones come again."""
    fingerprint: str | None = Field(default=None, pattern=f"^[0-9a-f]{{{DIGITS}}}$")
    """Of the content that must be there, training and validation images with their classes; empty: any. A trial notes
    it, so that it never goes on with other data, whatever their path."""

    @field_validator("augment", mode="before")
    @classmethod
    def _keep_default_augment(cls, value: Any) -> Any:
        """Lay a partly given section over the data set's own default, so that switching off the flip keeps the crop."""
        if not isinstance(value, Mapping):
            return value
        return merge(cls.model_fields["augment"].default.model_dump(), value)

    @field_validator("std")
    @classmethod
    def _std_above_zero(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and 0 in value:
            raise ValueError(f"got {value}, but pixels are divided by it; each must be greater than 0")
        return value

    @property
    def measured_split(self) -> Literal["val", "test"]:
        """Which split a trial is measured on after its epochs, as its reports call it."""
        return "val" if self.validation_fraction else "test"

    def known_shape(self) -> Shape | None:
        """The shape as it is known before anything is read; None where only the images can tell."""
        return None

    @abstractmethod
    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        """The whole training set, on the CPU, and the names of the K classes."""

    @abstractmethod
    def read_test(self) -> Split:
        """The test set, on the CPU."""

    def read_validation(self) -> Split | None:
        """A validation set that comes with the data, on the CPU; None: it is split off the training set."""
        return None

    def check_test(self) -> None:
        """Raise ValueError, without reading images, where it is known that the data have no test set."""

    def read_background(self) -> Tensor | None:
        """What augmentation may add to training images, of their type [M, C, H, W], on the CPU; None: nothing."""
        return None

    def known_fingerprint(self) -> str | None:
        """The fingerprint where it is known without a look at every pixel; None: it is taken of what was read."""
        return None

    def source(self) -> str:
        """The settings that say which data are meant, as JSON: what this data set has beside those of every other."""
        left_out = (Dataset.model_fields.keys() - {"name"}) | self.as_before
        return json.dumps(self.model_dump(mode="json", exclude=left_out), sort_keys=True)


class DataFault(ValueError):
    """Data that can't be read, or are not those that a trial has had so far. It says nothing about the trial."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a trial sees: train and validation, mean and std float32 [C, 1, 1] on the 0..1 scale, one device for all.

    Where nothing is held out, validation is the test split. The tensors are shared by the trials of a process, so
    nobody writes into them.
    """

    train: Split
    validation: Split
    mean: Tensor
    std: Tensor
    class_names: tuple[str, ...]
    fingerprint: str = ""
    """Of the content of the whole data set, its test split apart; empty where there are no images."""
    class_order: tuple[int, ...] = ()
    """The classes in the order in which the whole training set first shows them, whatever the split has left of it."""
    background: Tensor | None = None
    """What augmentation may add to training images, like these; None where the data has nothing of the kind."""
    _prepared: dict[tuple[int, str], Tensor] = field(default_factory=dict, repr=False)

    def prepared(self, augment: Augment) -> Tensor:
        """The training images with the padding that `augment` asks for, as `augment.prepare` makes them.

        Made once for all trials of a process that share the data, as long as they ask for the same padding. Raises
        ValueError where the padding is not less than H and W, and for what the data lacks.
        """
        augment.check(self.background)
        key = (augment.crop_padding, augment.padding_mode)
        if key not in self._prepared:
            self._prepared.clear()
            self._prepared[key] = prepare(self.train.images, augment)
        return self._prepared[key]

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)

    @property
    def channels(self) -> int:
        """C: 1 grey, 3 colour."""
        return self.train.images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.train.images.shape[2], self.train.images.shape[3]


def load(dataset: Dataset, *, seed: int, device: torch.device) -> TrainingData:
    """The training and validation splits of `dataset` for `seed`, on `device`.

    Read once per process: equal arguments return the same object, also when only augmentation or batches differ.
    Raises ValueError for data that are too few, and DataFault for those that are missing or damaged, or that have
    another fingerprint than the one they must have.
    """
    data = _load_once(_without_batching(dataset), seed, device)
    if dataset.fingerprint not in (None, data.fingerprint):
        raise DataFault(
            f"data.fingerprint: the data that {dataset.source()} names have changed: got {data.fingerprint}, must be "
            f"{dataset.fingerprint}, as when this was first trained; bring those back, or train anew on what is there "
            "now (another sweep, or --set data.fingerprint=null)"
        )
    return data


def load_test(dataset: Dataset, *, device: torch.device) -> Split:
    """The test split of `dataset` on `device`; kept like `load`, raises like it."""
    return _load_test_once(_without_batching(dataset), device)


def forget_data() -> None:
    """Let go of what `load` and `load_test` have kept."""
    _load_once.cache_clear()
    _load_test_once.cache_clear()


def _without_batching(dataset: Dataset) -> Dataset:
    return dataset.replace(augment=type(dataset.augment)(), batches="shuffled", unbalanced="drop", fingerprint=None)


@lru_cache(maxsize=2)  # two, because a process that changes its seed must not hold every split it ever made
def _load_once(dataset: Dataset, seed: int, device: torch.device) -> TrainingData:
    with doing(f"reading {dataset.name}"):
        return _load(dataset, seed, device)


def _load(dataset: Dataset, seed: int, device: torch.device) -> TrainingData:
    whole, class_names, own_validation, background, fingerprint = _read(dataset)
    if len(class_names) < 2:
        raise ValueError(f"data.name={dataset.name} has {len(class_names)} classes, must be at least 2 to learn from")
    train_index, validation_index = split(
        whole.targets,
        fraction=dataset.validation_fraction if own_validation is None else 0,
        limit=dataset.train_limit,
        class_names=class_names,
        generator=generator(seed, "split"),
    )
    train = Split(whole.images[train_index], whole.targets[train_index])
    held_out = own_validation or Split(whole.images[validation_index], whole.targets[validation_index])
    validation = _read_test(dataset) if dataset.measured_split == "test" else held_out
    measured_mean, measured_std = measure(train.images)
    return TrainingData(
        train=_move(train, device),
        validation=_move(validation, device),
        mean=_per_channel("mean", dataset.mean, measured_mean).to(device),
        std=_per_channel("std", dataset.std, measured_std).to(device),
        class_names=class_names,
        fingerprint=fingerprint,
        class_order=tuple(order_of_appearance(whole.targets, len(class_names)).tolist()),
        background=None if background is None else background.to(device),
    )


def _read(dataset: Dataset) -> tuple[Split, tuple[str, ...], Split | None, Tensor | None, str]:
    """The training set, the names of its classes, a validation set and a background if there are, the fingerprint."""
    try:
        whole, class_names = dataset.read_train()
        own_validation = dataset.read_validation()
        background = dataset.read_background()
        known = dataset.known_fingerprint()
    except (ValueError, OSError) as error:
        raise DataFault(str(error)) from error
    fingerprint = known or of_tensors([*whole, *(own_validation or ())], class_names)
    return whole, class_names, own_validation, background, fingerprint


def _read_test(dataset: Dataset) -> Split:
    try:
        return dataset.read_test()
    except (ValueError, OSError) as error:
        raise DataFault(str(error)) from error


@lru_cache(maxsize=1)
def _load_test_once(dataset: Dataset, device: torch.device) -> Split:
    return _move(dataset.read_test(), device)


def _move(part: Split, device: torch.device) -> Split:
    return Split(part.images.to(device), part.targets.to(device))


def _per_channel(field: str, given: tuple[float, ...] | None, measured: Tensor) -> Tensor:
    if given is None:
        return measured
    if len(given) != len(measured):
        raise ValueError(
            f"data.{field} has {len(given)} values, but the images have {len(measured)} channels; give one for each"
        )
    return torch.tensor(given, dtype=torch.float32).reshape(-1, 1, 1)
