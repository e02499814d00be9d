"""What published code puts out for given inputs and draws, recorded beside the checkout, where a README explains it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

GOLDEN = Path(__file__).resolve().parents[2] / ".." / "shared" / "golden"


class Case(NamedTuple):
    """The settings of a case, and its arrays."""

    settings: dict[str, Any]
    arrays: dict[str, Tensor]


def case(number: int, *files: str) -> Case:
    """The case of that number, from whichever of the files has it."""
    if not GOLDEN.is_dir():
        pytest.skip("needs the shared data folder beside the checkout")
    for file in files:
        with np.load(GOLDEN / f"{file}.npz") as kept:
            for settings, found in zip(kept["params"], kept["case_ids"], strict=True):
                if found == number:
                    prefix = f"c{number:02d}_"
                    arrays = {name.removeprefix(prefix): kept[name] for name in kept.files if name.startswith(prefix)}
                    return Case(json.loads(str(settings)), {name: torch.tensor(each) for name, each in arrays.items()})
    raise AssertionError(f"no case {number} in {files}")
