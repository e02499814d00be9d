"""Rows of stored images, and whether these are mapped from a file."""

import numpy as np
import pytest
import torch

from tune_mixup.data.augment import measure
from tune_mixup.data.rows import Rows, is_mapped, num_bytes


@pytest.fixture
def stored():
    """Seven images of 2 x 3 x 4 numbers, each of which is another."""
    return torch.arange(7 * 24, dtype=torch.uint8).reshape(7, 2, 3, 4)


INDEX = [5, 0, 3, 2]


def test_rows_are_the_images_of_the_split_in_its_order(stored):
    rows = Rows(stored, torch.tensor(INDEX))
    wanted = [stored[i].tolist() for i in INDEX]
    assert (len(rows), [*rows.shape], rows.dtype) == (4, [4, 2, 3, 4], torch.uint8)
    assert num_bytes(rows) == 4 * 24 and num_bytes(rows[:].half()) == 4 * 24 * 2
    assert rows[:].tolist() == wanted
    assert rows[1:3].tolist() == wanted[1:3]
    assert rows[torch.tensor([3, 0])].tolist() == [wanted[3], wanted[0]]
    assert [part.tolist() for part in rows.split(3)] == [wanted[:3], wanted[3:]]
    assert rows.places(torch.tensor([[3], [0]])).tolist() == [[2], [5]]


def test_the_middle_is_cut_as_it_is_handed_out(stored):
    rows = Rows(stored, torch.tensor(INDEX)).cropped((1, 2))
    assert [*rows.shape] == [4, 2, 1, 2] and rows.stored is stored
    assert rows[:].tolist() == [stored[i, :, 1:2, 1:3].tolist() for i in INDEX]
    whole = Rows(stored)
    assert whole.cropped((3, 4)) is whole


def test_all_stored_images_are_not_copied(stored):
    rows = Rows(stored)
    assert len(rows) == 7
    assert rows[:].data_ptr() == stored.data_ptr()
    assert rows.places(torch.tensor([3, 0])).tolist() == [3, 0]
    assert [len(part) for part in rows.split(3)] == [3, 3, 1]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16])
def test_statistics_of_rows_are_those_of_the_images(dtype):
    """More images than are looked at at a time; the constants by NumPy, in double precision."""
    draws = torch.Generator().manual_seed(0)
    stored = torch.randint(256, (2200, 2, 2, 3), generator=draws, dtype=torch.uint8)
    stored[:, 1] //= 3
    stored = stored if dtype == torch.uint8 else (stored.float() / 255).half()
    index = torch.randperm(2200, generator=draws)[:2111]
    pixels = stored[index].numpy().astype(np.float64) / (255 if dtype == torch.uint8 else 1)
    found = measure(Rows(stored, index))
    for value, expected in zip(found, (pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))), strict=True):
        np.testing.assert_allclose(value.flatten().numpy(), expected, rtol=1e-6)
    for value, same in zip(found, measure(stored[index]), strict=True):
        assert torch.equal(value, same)


def test_what_is_mapped_is_told_from_what_is_in_memory(tmp_path):
    torch.save(torch.zeros(3, 1000), tmp_path / "file.pt")
    assert is_mapped(torch.load(tmp_path / "file.pt", mmap=True))
    assert is_mapped(torch.load(tmp_path / "file.pt", mmap=True)[1:])
    assert not is_mapped(torch.load(tmp_path / "file.pt"))
    assert not is_mapped(torch.zeros(3))
    assert not is_mapped(torch.zeros(10_000_000, dtype=torch.uint8))  # which has pages of its own
    memory = np.memmap(tmp_path / "numbers", dtype=np.uint8, mode="w+", shape=(10,))
    assert is_mapped(torch.from_numpy(memory))


def test_a_file_that_was_replaced_stays_mapped(tmp_path):
    file = tmp_path / "file.pt"
    torch.save(torch.ones(5000), file)
    mapped = torch.load(file, mmap=True)
    (tmp_path / "other").write_bytes(b"x")
    (tmp_path / "other").replace(file)
    assert is_mapped(mapped) and float(mapped.sum()) == 5000
