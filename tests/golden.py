"""What published code puts out, recorded as numbers in the folder `shared` beside the checkout; its README says how."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
