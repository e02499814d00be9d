"""Handwritten digits, 8 x 8 grey: the data set that ships with scikit-learn, so nothing is downloaded.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998 (its test
part, 1,797 images). No official test split exists for this part, so a fixed fifth of every class is kept for it.
"""

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from tune_mixup.data.base import Dataset, Shape, Split
from tune_mixup.data.stratify import split
from tune_mixup.seeding import generator

_CLASS_NAMES = tuple("0123456789")
_TEST_FRACTION = 0.2
_TEST_SEED = 1797


class Digits(Dataset):
    """1,438 images for training and validation, 359 for the test, which are the same for every seed."""

    name: Literal["digits"] = "digits"

    @override
    def known_shape(self) -> Shape:
        return Shape(10, 8, 8)

    @override
    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        """The four fifths that are not test."""
        images, targets = _read()
        train, _ = _test_split(targets)
        return Split(images[train], targets[train]), _CLASS_NAMES

    @override
    def read_test(self) -> Split:
        """The fixed fifth."""
        images, targets = _read()
        _, test = _test_split(targets)
        return Split(images[test], targets[test])


def _read() -> tuple[Tensor, Tensor]:
    """All images uint8 [1797, 1, 8, 8], scaled from 0..16 to 0..255, and targets int64 [1797]."""
    table = _table()
    images = torch.from_numpy(table[:, :-1]).reshape(-1, 8, 8).mul(255 / 16).round().to(torch.uint8).unsqueeze(1)
    return images, torch.from_numpy(table[:, -1]).long()


def _table() -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Pixels 0..16 row by row, then the class, [1797, 65].

    Read from scikit-learn's file, since scikit-learn itself takes two seconds to import, in each worker again; by
    scikit-learn where another release keeps the file elsewhere.
    """
    spec = find_spec("sklearn")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        file = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            with gzip.open(file, "rt") as lines:
                return np.loadtxt(lines, delimiter=",")
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target]).astype(np.float64)


def _test_split(targets: Tensor) -> tuple[Tensor, Tensor]:
    return split(
        targets,
        fraction=_TEST_FRACTION,
        limit=None,
        class_names=_CLASS_NAMES,
        generator=generator(_TEST_SEED, "split"),
    )
