"""Fine-grained saliency: bytes against recorded maps of OpenCV and loops, floats in law, for their last byte is chance.

The records are those of SaliencyMix's released code, in `golden/saliencymix.npz` of the shared folder.
"""

import numpy as np
import pytest
import torch
from golden import cases
from saliency_reference import fine_grained_by_hand, fine_grained_of_floats_by_hand

from tune_mixup.mixing.boxes import box_around, share_outside
from tune_mixup.mixing.fine_grained import fine_grained, fine_grained_of_floats, stretched
from tune_mixup.mixing.saliency import SALIENCY, peak


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def records():
    """Settings and arrays of each recorded batch, and the float images that the released code was given."""
    for settings, case in cases("saliencymix"):
        mean, std = (torch.tensor(case[key]).float()[:, None, None] for key in ("mean", "std"))
        yield settings, case, (torch.tensor(case["images_uint8"]).float() / 255 - mean) / std


def levels_of(recorded):
    """A recorded map in 0..1 as the bytes that it was made of."""
    return np.rint(255 * recorded)


def test_bytes_have_the_maps_of_opencv():
    for _, case, _ in records():
        maps = fine_grained(torch.tensor(case["images_uint8"]))
        assert maps.dtype == torch.float32
        np.testing.assert_array_equal(maps.numpy(), levels_of(case["map_uint8_input"]))
        np.testing.assert_array_equal(torch.stack(peak(maps), 1).numpy(), case["peak_uint8_input"])


@pytest.mark.parametrize("of", ["float_input", "uint8_input"])
def test_boxes_lie_as_recorded_around_the_peaks_of_recorded_maps(of):
    for settings, case, _ in records():
        maps = torch.tensor(case[f"map8_{of}"])
        row, column = peak(maps)
        np.testing.assert_array_equal(torch.stack((row, column), 1).numpy(), case[f"peak_{of}"])
        box = box_around(row, column, torch.tensor(settings["lam_drawn"]), height=settings["W"], width=settings["W"])
        found = torch.stack((box.top, box.left, box.bottom, box.right), 1)
        np.testing.assert_array_equal(found.numpy(), case[f"box_{of}"])
        first = case["perm"][0]
        np.testing.assert_array_equal(case["batch_box"], case["box_float_input"][first])
        if of == "float_input":
            left = share_outside(box, height=settings["W"], width=settings["W"])
            assert left[first].item() == pytest.approx(float(case["lam"]), abs=1e-6)


def test_all_but_the_lowest_byte_of_floats_is_as_recorded():
    """Rounding decides on the lowest byte, and with eight columns on what the largest one is scaled to."""
    for settings, case, floats in records():
        off = np.abs(fine_grained_of_floats(floats).numpy() - levels_of(case["map_float_input"]))
        if settings["W"] > 8:
            for byte in (1, 2, 3):
                assert (off[:, :, byte::4] <= 1).mean() > 0.98, (settings, byte)
            assert (off[:, :, 0::4] <= 1).mean() < 0.7, "if even these are equal, test them for it"


def test_peaks_of_floats_lie_where_the_recorded_ones_do_in_law():
    """Where each recorded peak, box and lam ranks among those of the same image with its lowest bits drawn anew."""
    ranks = {"row": [], "column": [], "lam": []}
    for settings, case, floats in records():
        side = settings["W"]
        for image, recorded in zip(floats, case["peak_float_input"], strict=True):
            noise = 1 + 2**-20 * torch.randn((200, *image.shape), generator=generator())
            row, column = peak(fine_grained_of_floats(image * noise))
            assert not bool((column % 4 == 3).any()) and recorded[1] % 4 != 3  # sign and exponent: never the largest
            place = torch.tensor(recorded).long()
            rows, columns = torch.cat((row, place[:1])), torch.cat((column, place[1:]))
            box = box_around(rows, columns, torch.tensor(settings["lam_drawn"]), height=side, width=side)
            lam = share_outside(box, height=side, width=side)
            for name, values in (("row", rows), ("column", columns), ("lam", lam)):
                others, own = values[:-1].double(), values[-1].double()
                ranks[name].append(((others < own).double().mean() + (others == own).double().mean() / 2).item())
    for (
        name,
        found,
    ) in ranks.items():  # uniform ones have a mean of 1/2, with a variance of at most 1/12
        assert len(found) == 14 and np.mean(found) == pytest.approx(0.5, abs=3 / (12 * len(found)) ** 0.5), name


@pytest.mark.parametrize(
    "shape", [(2, 3, 12, 12), (1, 1, 1, 9), (1, 2, 7, 5), (1, 3, 26, 1), (1, 3, 1, 1), (1, 3, 60, 130)]
)
def test_bytes_against_loops(shape):
    images = torch.randint(256, shape, dtype=torch.uint8, generator=generator())
    maps = fine_grained(images).numpy()
    for image, got in zip(images.numpy(), maps, strict=True):
        np.testing.assert_array_equal(got, fine_grained_by_hand(image))


@pytest.mark.parametrize("shape", [(2, 3, 12, 12), (1, 3, 5, 7), (1, 3, 1, 9), (1, 3, 6, 1)])
def test_floats_against_loops(shape):
    images = torch.randn(shape, generator=generator())
    maps = fine_grained_of_floats(images).numpy()
    for image, got in zip(images.numpy(), maps, strict=True):
        np.testing.assert_array_equal(got, fine_grained_of_floats_by_hand(image))


def test_images_that_were_normalised_have_nearly_the_maps_of_their_bytes():
    for _, case, floats in records():
        maps = SALIENCY["fine_grained"](torch.nn.Identity(), floats, torch.zeros(len(floats), 1)).numpy()
        for got, recorded in zip(maps, case["map_uint8_input"], strict=True):
            assert np.corrcoef(got.ravel(), recorded.ravel())[0, 1] > 0.99


def test_images_are_stretched_each_by_itself():
    images = torch.tensor([[-1.0, 0.0, 1.0], [5.0, 5.0, 5.0], [0.0, 1e-3, 2e-3]]).reshape(3, 1, 1, 3)
    expected = [[0, 128, 255], [0, 0, 0], [0, 128, 255]]
    found = stretched(images)
    assert found.dtype == torch.uint8 and found.reshape(3, 3).tolist() == expected


@pytest.mark.parametrize("measure", [lambda images: fine_grained(stretched(images)), fine_grained_of_floats])
def test_maps_depend_neither_on_the_batch_nor_on_the_precision_of_training(measure):
    images = torch.randn(4, 3, 16, 16, generator=generator())
    maps = measure(images)
    assert bool((maps >= 0).all()) and bool((maps <= 255).all()) and maps.flatten(1).amax(1).tolist() == [255] * 4
    assert torch.equal(torch.cat([measure(image[None]) for image in images]), maps)
    assert torch.equal(measure(images.contiguous(memory_format=torch.channels_last)), maps)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(measure(images), maps)


def test_images_of_one_colour_have_no_salient_place():
    flat = torch.full((2, 3, 9, 8), 7, dtype=torch.uint8)
    assert not bool(fine_grained(flat).any())
    assert bool(fine_grained_of_floats(torch.ones(1, 3, 9, 8)).isfinite().all())
