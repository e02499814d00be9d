"""Data sets: name -> settings that read the splits as tensors. A new data set is one file and one line here."""

from typing import Annotated

from tune_mixup.data.augment import Augment as Augment
from tune_mixup.data.base import Dataset
from tune_mixup.data.base import Split as Split
from tune_mixup.data.cifar import Cifar10, Cifar100
from tune_mixup.data.digits import Digits
from tune_mixup.data.fashion_mnist import FashionMnist
from tune_mixup.data.imagefolder import ImageFolder
from tune_mixup.data.imagenet import ImageNet
from tune_mixup.data.loading import TrainingData as TrainingData
from tune_mixup.data.loading import load as load
from tune_mixup.data.loading import load_test as load_test
from tune_mixup.data.npz import Npz
from tune_mixup.data.parquet import Parquet
from tune_mixup.data.speech_commands import SpeechCommands
from tune_mixup.data.synthetic import Synthetic
from tune_mixup.data.tiny_imagenet import TinyImageNet
from tune_mixup.data.torchvision_sets import TORCHVISION
from tune_mixup.parts import PartOf

DATASETS: dict[str, type[Dataset]] = {
    "digits": Digits,
    "fashion_mnist": FashionMnist,
    "cifar10": Cifar10,
    "cifar100": Cifar100,
    "tiny_imagenet": TinyImageNet,
    "imagenet": ImageNet,
    "imagefolder": ImageFolder,
    "speech_commands": SpeechCommands,
    "synthetic": Synthetic,
    "parquet": Parquet,
    "npz": Npz,
    **TORCHVISION,
}

AnyDataset = Annotated[Dataset, PartOf(DATASETS, "a data set")]
