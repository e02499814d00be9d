"""Labels of a whole training set from a file: NumPy's .npy and .npz, or text, .csv and .txt.

Shapes: N examples, K classes.
"""

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tune_mixup.data.label_noise import LabelNoise
from tune_mixup.faults import shown
from tune_mixup.given_files import read_file, text_of
from tune_mixup.words import said

_MOST_BYTES = 1_000_000_000
_KINDS = (".npy", ".npz", ".csv", ".txt")


def read_labels(noise: LabelNoise, *, number: int, class_names: tuple[str, ...]) -> Tensor | None:
    """The labels int64 [N] in 0..K-1 that the noise takes from a file, N being `number`; None where it has none.

    Raises ValueError, in one line, for a file that can't be read or that has other labels than these.
    """
    if noise.path is None:
        return None
    values = _read(noise.path, noise.column)
    labels = values if values.dtype.kind in "iu" else _numbers(noise.path, values, class_names)
    if len(labels) != number:
        raise ValueError(
            f"data.label_noise.path: {noise.path} has {len(labels):,} labels, but the training set has {number:,} "
            "images; give one for each, in their order"
        )
    outside = labels[(labels < 0) | (labels >= len(class_names))]
    if len(outside):
        raise ValueError(
            f"data.label_noise.path: {noise.path} has the label {outside[0]}, but there are {len(class_names)} classes;"
            f" labels must be 0 to {len(class_names) - 1}"
        )
    return torch.from_numpy(labels.astype(np.int64))


def _read(path: Path, column: str | None) -> np.ndarray:
    """Whole numbers or texts, one dimension."""
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise ValueError(f"data.label_noise.path: got {path}, must be a file whose name ends with {', '.join(_KINDS)}")
    try:
        content = read_file(path, most_bytes=_MOST_BYTES)
        values = _text(content, kind, column) if kind in (".csv", ".txt") else _arrays(content, kind, column)
    except Exception as error:  # NumPy, zipfile and pandas have many words for what is damaged
        why = (isinstance(error, OSError) and error.strerror) or said(error)
        raise ValueError(f"data.label_noise.path: {path} can't be read ({why}); give a whole file of labels") from error
    if values.ndim != 1 or values.dtype.kind not in "iuUO":
        raise ValueError(
            f"data.label_noise.path: {path} holds {values.dtype} {list(values.shape)}, must be one row of whole numbers"
        )
    return values


def _arrays(content: bytes, kind: str, column: str | None) -> np.ndarray:
    file = io.BytesIO(content)
    if kind == ".npy":
        _no_column(column)
        return np.asarray(np.load(file, allow_pickle=False))  # a pickle could run whatever it likes
    with np.load(file, allow_pickle=False) as arrays:
        return np.asarray(arrays[_chosen(column, arrays.files)])


def _text(content: bytes, kind: str, column: str | None) -> np.ndarray:
    text = text_of(content)
    if kind == ".txt":
        _no_column(column)
        return np.array([line.strip() for line in text.splitlines()], dtype=object)
    import pandas as pd

    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, index_col=False)
    return np.array([cell.strip() for cell in table[_chosen(column, list(table.columns))]], dtype=object)


def _chosen(column: str | None, there: list[str]) -> str:
    if column is None and len(there) == 1:
        return there[0]
    if column not in there:
        got = "no column is named" if column is None else f"there is no {shown(column)}"
        raise ValueError(f"{got}; data.label_noise.column must be one of {', '.join(there)}")
    return column


def _no_column(column: str | None) -> None:
    if column is not None:
        raise ValueError(f"data.label_noise.column is {shown(column)}, but the file has no columns; drop it")


def _numbers(path: Path, texts: np.ndarray, class_names: tuple[str, ...]) -> np.ndarray:
    """The classes that texts name, or else the numbers that they are."""
    number = {name: k for k, name in enumerate(class_names)}
    if any(text not in number for text in texts):
        number = {str(k): k for k in range(len(class_names))}
    for place, text in enumerate(texts, start=1):
        if text not in number:
            raise ValueError(
                f"data.label_noise.path: label {place} of {path} is {shown(text)}, must be the name of a class, or all "
                f"of them numbers 0 to {len(class_names) - 1}"
            )
    return np.array([number[text] for text in texts], dtype=np.int64)
