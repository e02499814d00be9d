"""What published code puts out, recorded as numbers in the folder `shared` beside the checkout; its README says how."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

GOLDEN = Path(__file__).resolve().parents[1] / ".." / "shared" / "golden"


def cases(*files: str, **wanted: Any) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Settings and arrays of each recorded case whose settings have the `wanted` values; at least one."""
    if not GOLDEN.is_dir():
        pytest.skip("needs the shared data folder beside the checkout")
    found = 0
    for file in files:
        with np.load(GOLDEN / f"{file}.npz", allow_pickle=False) as recorded:
            for text, number in zip(recorded["params"], recorded["case_ids"], strict=True):
                settings, prefix = json.loads(str(text)), f"c{number:02d}_"
                if all(settings.get(key) == value for key, value in wanted.items()):
                    found += 1
                    arrays = {name.removeprefix(prefix): recorded[name] for name in recorded if name.startswith(prefix)}
                    yield settings, arrays
    assert found, f"{files} have no case with {wanted}"


class Case(NamedTuple):
    """The settings of a recorded case, and its arrays as tensors."""

    settings: dict[str, Any]
    arrays: dict[str, Tensor]


def case(place: int, *files: str) -> Case:
    """The case at that place among those of the files."""
    settings, arrays = list(cases(*files))[place]
    return Case(settings, {name: torch.tensor(array) for name, array in arrays.items()})
