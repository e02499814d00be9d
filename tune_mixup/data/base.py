"""What a data set is: settings that read labelled images.

Shapes: N examples, K classes, C channels, H x W pixels.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from typing_extensions import TypeVar

from tune_mixup.data.augment import Augment
from tune_mixup.data.batches import Unbalanced
from tune_mixup.data.crops import Crop
from tune_mixup.data.fingerprint import DIGITS
from tune_mixup.data.label_noise import LabelNoise
from tune_mixup.data.paths import Folder as Folder
from tune_mixup.data.paths import absolute
from tune_mixup.data.residence import Residence
from tune_mixup.data.rows import Images
from tune_mixup.parts import Part
from tune_mixup.schema import merge


def _default_root() -> Path:
    return absolute(Path(os.environ.get("TUNE_MIXUP_DATA") or "~/data"))


PerChannel = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(strict=False, min_length=1)]
"""One number per channel, pixels scaled to 0..1."""


Held = TypeVar("Held", bound=Images, default=Tensor, covariant=True)


class Split(NamedTuple, Generic[Held]):
    """Labelled images: uint8 [N, C, H, W], float16 where they are no pixels, int16 [N, 1, 1, T] for waveforms; targets
    int64 [N] in 0..K-1.

    What a data set reads are tensors; what a trial sees may be `Rows` of what is stored.
    """

    images: Held
    targets: Tensor


class Shape(NamedTuple):
    """What all images of a data set have in common, as far as settings must fit to it."""

    num_classes: int
    height: int
    width: int


class Dataset(Part, ABC):
    """A data set. Final classes set `name: Literal[...]`, its key in `DATASETS`."""

    came_later: ClassVar[frozenset[str]] = frozenset(
        {"samples_per_class", "imbalance", "label_noise", "crop", "residence"}
    )
    beside_identity: ClassVar[frozenset[str]] = frozenset({"root", "path", "residence", "label_noise.path"})
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
    samples_per_class: int | None = Field(default=None, gt=0)
    """Train on so many images of each class, drawn after the validation split, which stays whole; empty: on all."""
    imbalance: float = Field(default=1.0, ge=1)
    """How many times as many images of the first class as of the last are trained on, of equally many (Cui et al.,
    CVPR 2019): of its images, class k of K keeps the share imbalance^(-k/(K-1)), rounded down. 1: all."""
    label_noise: LabelNoise = LabelNoise()
    """Wrong labels of training images; those to validate and to test on stay right."""
    crop: Crop = Crop()
    """What the network sees of an image: a random part in training and the centre elsewhere, or all of it."""
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
    residence: Residence = "auto"
    """Where the images lie while a trial trains, which changes no number. device: on the GPU or, for a trial on the
    CPU, in its process; host: in one copy on the host, mapped from a file and shared by all trials there, of which
    batches are copied ahead of their steps; auto: on the device where they fit; a CPU uses mapped ones as they are."""
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

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.spectrograms and self.crop != Crop():
            raise ValueError(f"crop: is for images, but {self.name} has spectrograms, whose places mean time and pitch")
        if self.crop.train == "resized" and self.augment.crop_padding:
            raise ValueError(
                f"augment.crop_padding: got {self.augment.crop_padding}, but crop.train=resized takes a box of the "
                "image as it is; set data.augment.crop_padding=0"
            )
        return self

    @property
    def measured_split(self) -> Literal["val", "test"]:
        """Which split a trial is measured on after its epochs, as its reports call it."""
        return "val" if self.validation_fraction else "test"

    @property
    def mixes_waveforms(self) -> bool:
        """Whether the images are waveforms, of which pictures are made once they are mixed, in the network."""
        return False

    def pictures(self) -> nn.Module | None:
        """What makes pictures float32 [B, 1, H, W], not normalised, of waveforms of the data, or mixtures [B, 1, 1, T].

        None where the images are pictures.
        """
        return None

    def known_shape(self) -> Shape | None:
        """The shape of what a network sees, as it is known before anything is read.

        None where only the images can tell.
        """
        return None

    def seen_shape(self) -> Shape | None:
        """The known shape as the network sees it. Raises ValueError where the images are smaller than `crop` is."""
        known = self.known_shape()
        return known and Shape(known.num_classes, *self.crop.seen(known.height, known.width))

    def simplest(self) -> Self:
        """The simplest settings that train identically, whose identity all of these have."""
        return self.model_copy(update={"label_noise": self.label_noise.simplest(), "crop": self.crop.simplest()})

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
        values = self.model_dump(mode="json", exclude=left_out)
        if self.label_noise.path is not None:  # its content is part of the fingerprint
            values["label_noise"] = self.label_noise.model_dump(mode="json", include={"path", "column"})
        return json.dumps(values, sort_keys=True)


class DataFault(ValueError):
    """Data that can't be read, or are not those that a trial has had so far. It says nothing about the trial."""
