"""From a data set to what a trial trains on: splits drawn, constants measured, all of it put where it is needed.

Shapes: N examples, K classes, C channels, H x W pixels.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor, nn

from tune_mixup.activity import doing
from tune_mixup.data.augment import Augment, measure, prepare
from tune_mixup.data.base import DataFault, Dataset, Shape, Split
from tune_mixup.data.batches import order_of_appearance
from tune_mixup.data.crops import Crop, centre
from tune_mixup.data.fingerprint import of_parts, of_tensors
from tune_mixup.data.label_files import read_labels
from tune_mixup.data.placing import place
from tune_mixup.data.rows import Images, Rows
from tune_mixup.data.scarcity import thin
from tune_mixup.data.stratify import split
from tune_mixup.seeding import generator


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a trial sees: train and validation, mean and std float32 [C, 1, 1] on the 0..1 scale, one device for all.

    Where a network has `Dataset.pictures` before its stem, mean and std are those of the pictures.

    Images that do not lie on the device are rows of what is stored on the host. Where nothing is held out, validation
    is the test split. The tensors are shared by the trials of a process, so nobody writes into them.
    """

    train: Split[Images]
    validation: Split[Images]
    mean: Tensor
    std: Tensor
    class_names: tuple[str, ...]
    fingerprint: str = ""
    """Of the content of the whole data set, its test split apart; empty where there are no images."""
    class_order: tuple[int, ...] = ()
    """The classes in the order in which the whole training set first shows them, whatever the split has left of it."""
    background: Tensor | None = None
    """What augmentation may add to training images, like these; None where the data has nothing of the kind."""
    picture_size: tuple[int, int] | None = None
    """(H, W) of the pictures that a network makes of images once they are mixed; None: the images are pictures."""
    share: float = 1.0
    """Of the device, which the trial has that these lie there for."""
    _prepared: dict[tuple[int, str], Tensor] = field(default_factory=dict, repr=False)

    def prepared(self, augment: Augment) -> Tensor:
        """All training images with the padding that `augment` asks for, as `augment.prepare` makes them.

        Made once for all trials of a process that share the data, as long as they ask for the same padding; of images
        that are stored on the host it is a copy there. Raises ValueError where the padding is not less than H and W,
        and for what the data lacks.
        """
        augment.check(self.background)
        key = (augment.crop_padding, augment.padding_mode)
        if key not in self._prepared:
            self._prepared.clear()
            images = self.train.images
            self._prepared[key] = prepare(images[:] if isinstance(images, Rows) else images, augment)
        return self._prepared[key]

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)

    @property
    def shape(self) -> Shape:
        """Of what a network sees."""
        return Shape(self.num_classes, *(self.picture_size or self.size))

    @property
    def channels(self) -> int:
        """C: 1 grey, 3 colour."""
        return self.train.images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels as the network sees them; training images may be larger, of which it sees parts."""
        return self.validation.images.shape[2], self.validation.images.shape[3]


def load(dataset: Dataset, *, seed: int, device: torch.device, share: float = 1.0) -> TrainingData:
    """The training and validation splits of `dataset` for `seed`, for a trial that has `share` of `device`.

    Read once per process: equal arguments return the same object, also when only augmentation or batches differ.
    Raises ValueError for data that are too few, and DataFault for those that are missing or damaged, too large, or that
    have another fingerprint than the one they must have.
    """
    data = _load_once(_without_batching(dataset), seed, device, share)
    if dataset.fingerprint not in (None, data.fingerprint):
        raise DataFault(
            f"data.fingerprint: the data that {dataset.source()} names have changed: got {data.fingerprint}, must be "
            f"{dataset.fingerprint}, as when this was first trained; bring those back, or train anew on what is there "
            "now (another sweep, or --set data.fingerprint=null)"
        )
    return data


def load_test(dataset: Dataset, *, device: torch.device, share: float = 1.0) -> Split[Images]:
    """The test split of `dataset` for a trial that has `share` of `device`; kept like `load`, raises like it."""
    return _load_test_once(_without_batching(dataset), device, share)


def forget_data() -> None:
    """Let go of what `load` and `load_test` have kept."""
    _load_once.cache_clear()
    _load_test_once.cache_clear()


def _without_batching(dataset: Dataset) -> Dataset:
    return dataset.replace(
        augment=type(dataset.augment)(),
        batches="shuffled",
        unbalanced="drop",
        fingerprint=None,
        crop=Crop(size=dataset.crop.size),
    )


@lru_cache(maxsize=2)  # two, because a process that changes its seed must not hold every split it ever made
def _load_once(dataset: Dataset, seed: int, device: torch.device, share: float) -> TrainingData:
    with doing(f"reading {dataset.name}"):
        return _load(dataset, seed, device, share)


def _load(dataset: Dataset, seed: int, device: torch.device, share: float) -> TrainingData:
    whole, class_names, own_validation, background, given_labels, fingerprint = _read(dataset)
    if len(class_names) < 2:
        raise ValueError(f"data.name={dataset.name} has {len(class_names)} classes, must be at least 2 to learn from")
    train_index, validation_index = split(
        whole.targets,
        fraction=dataset.validation_fraction if own_validation is None else 0,
        limit=dataset.train_limit,
        class_names=class_names,
        generator=generator(seed, "split"),
    )
    train_index = _thinned(dataset, whole.targets, train_index, class_names, seed)
    labels = dataset.label_noise.labels(whole.targets, train_index, given=given_labels, class_names=class_names)
    whole = Split(whole.images.contiguous(), whole.targets)
    train = Split(Rows(whole.images, train_index), labels)
    covered = ["train", "validation"]
    if dataset.measured_split == "test":
        validation = _stored(_read_test(dataset))
        covered.remove("validation")
    elif own_validation is not None:
        validation = _stored(own_validation)
    else:
        validation = Split(Rows(whole.images, validation_index), whole.targets[validation_index])
    pictures = dataset.pictures()
    seen = train.images if pictures is None else _pictures_of(train.images, pictures, device)
    mean, std = _statistics(dataset, seen)
    splits = {"train": train, "validation": validation}
    placed = place(dataset, splits, device=device, share=share, fingerprint=fingerprint, covered=covered)
    return TrainingData(
        share=share,
        train=placed["train"],
        validation=_seen(dataset, placed["validation"]),
        mean=mean.to(device),
        std=std.to(device),
        class_names=class_names,
        fingerprint=fingerprint,
        class_order=tuple(order_of_appearance(whole.targets, len(class_names)).tolist()),
        background=None if background is None else background.to(device),
        picture_size=None if pictures is None else (seen.shape[2], seen.shape[3]),
    )


@torch.no_grad()
def _pictures_of(images: Rows, pictures: nn.Module, device: torch.device) -> Tensor:
    """The pictures of all images, made on `device` and rounded to float16 as those that are made beforehand."""
    pictures = pictures.to(device).eval()
    return torch.cat([pictures(part.to(device)).half().cpu() for part in images.split(256)])


def _thinned(dataset: Dataset, targets: Tensor, index: Tensor, class_names: tuple[str, ...], seed: int) -> Tensor:
    """What of the training examples `index` is trained on where data are to be scarce."""
    if dataset.samples_per_class is None and dataset.imbalance == 1:
        return index
    kept = thin(
        targets[index],
        samples_per_class=dataset.samples_per_class,
        imbalance=dataset.imbalance,
        class_names=class_names,
        generator=generator(seed, "fewer"),
    )
    return index[kept]


def _seen(dataset: Dataset, split: Split[Images]) -> Split[Images]:
    """What the network sees of a split that is measured on."""
    images = split.images
    size = dataset.crop.seen(images.shape[2], images.shape[3])
    return Split(images.cropped(size) if isinstance(images, Rows) else centre(images, size), split.targets)


def _read(dataset: Dataset) -> tuple[Split, tuple[str, ...], Split | None, Tensor | None, Tensor | None, str]:
    """The training set, the names of its classes, a validation set, a background and labels from a file if there are.

    The last one is the fingerprint, into which such labels go.
    """
    try:
        whole, class_names = dataset.read_train()
        own_validation = dataset.read_validation()
        background = dataset.read_background()
        known = dataset.known_fingerprint()
        given_labels = read_labels(dataset.label_noise, number=len(whole.targets), class_names=class_names)
    except (ValueError, OSError) as error:
        raise DataFault(str(error)) from error
    fingerprint = known or of_tensors([*whole, *(own_validation or ())], class_names)
    if given_labels is not None:
        fingerprint = of_parts([fingerprint, given_labels.numpy().tobytes()])
    return whole, class_names, own_validation, background, given_labels, fingerprint


def _read_test(dataset: Dataset) -> Split:
    try:
        return dataset.read_test()
    except (ValueError, OSError) as error:
        raise DataFault(str(error)) from error


@lru_cache(maxsize=1)
def _load_test_once(dataset: Dataset, device: torch.device, share: float) -> Split[Images]:
    placed = place(dataset, {"test": _stored(dataset.read_test())}, device=device, share=share)
    return _seen(dataset, placed["test"])


def _stored(part: Split) -> Split[Rows]:
    return Split(Rows(part.images.contiguous()), part.targets)


def _statistics(dataset: Dataset, images: Images) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, float32 [C, 1, 1]; no image is read where both are given."""
    channels = images.shape[1]
    mean, std = _per_channel("mean", dataset.mean, channels), _per_channel("std", dataset.std, channels)
    if mean is not None and std is not None:
        return mean, std
    measured_mean, measured_std = measure(images)
    return measured_mean if mean is None else mean, measured_std if std is None else std


def _per_channel(field: str, given: tuple[float, ...] | None, channels: int) -> Tensor | None:
    if given is None:
        return None
    if len(given) != channels:
        raise ValueError(
            f"data.{field} has {len(given)} values, but the images have {channels} channels; give one for each"
        )
    return torch.tensor(given, dtype=torch.float32).reshape(-1, 1, 1)
