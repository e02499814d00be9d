"""Where the real images are that some measurements train on."""

import os
from pathlib import Path


def data_root() -> Path:
    """The folder that holds FashionMNIST/raw: TUNE_MIXUP_DATA, else shared/data beside the checkout.

    Raises ValueError when it does not.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    root = Path(os.environ.get("TUNE_MIXUP_DATA") or beside).absolute()
    if not (root / "FashionMNIST" / "raw").is_dir():
        raise ValueError(f"{root} has no FashionMNIST/raw; set TUNE_MIXUP_DATA to the folder that has it")
    return root
