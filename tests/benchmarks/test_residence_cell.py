"""Memory of several processes that hold the same images, as the system counts it."""

import pytest
import torch

from benchmarks import residence
from benchmarks.held_images import growth_mb
from tune_mixup.data.base import Split
from tune_mixup.data.image_cache import Contents
from tune_mixup.data.imagefolder import ImageFolder
from tune_mixup.data.loading import forget_data, load

COUNT, SIDE = 8000, 64
MB = COUNT * 3 * SIDE * SIDE / 1e6
"""Of all stored images, 98."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of four tiny files whose stored images, as far as all who read it know, are 8,000 large ones."""
    root = tmp_path / "images"
    residence.make_folder(root, 2 * residence.CLASSES)
    config = residence.settings(root, "host")

    def many(self, listing, beside):
        images = torch.arange(COUNT * 3 * SIDE * SIDE, dtype=torch.int32).to(torch.uint8).reshape(COUNT, 3, SIDE, SIDE)
        whole = Split(images, torch.arange(COUNT) % residence.CLASSES)
        return Contents(listing.class_names, {"train": whole}, "0" * 16, {}, False)

    monkeypatch.setattr(ImageFolder, "_build", many)
    load(config.data, seed=0, device=torch.device("cpu"))
    forget_data()
    return root


@pytest.mark.slow
def test_four_processes_share_one_copy_of_the_images(folder):
    """Together they grow by the images once; and each by its own buffers, of some MB."""
    (path,) = (folder / ".tune_mixup").glob("*.pt")
    assert path.stat().st_size == pytest.approx(MB * 1e6, rel=0.01)
    lean = {"training.batch_size": 16, "data.mean": [0.5] * 3, "data.std": [0.5] * 3}
    shared, _ = growth_mb([residence.settings(folder, "host", lean)] * 4)
    assert 0.9 * MB < shared < 1.6 * MB
    alone, _ = growth_mb([residence.settings(folder, "device", lean)])
    assert alone > 1.9 * MB  # nine tenths of the images, and a padded copy of 1.27 times that
