import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from tune_mixup.data.augment import Augment, augment_batch, crop, flip, measure, normalise, prepare


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def random_images(count, channels=3, height=8, width=6, seed=0):
    return torch.randint(256, (count, channels, height, width), dtype=torch.uint8, generator=seeded(seed))


def slow_pad(image, padding, mode):
    return np.pad(image, ((0, 0), (padding, padding), (padding, padding)), mode={"zeros": "constant"}.get(mode, mode))


def slow_crop(padded, top, left, height, width):
    channels = padded.shape[0]
    out = np.zeros((channels, height, width), np.uint8)
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                out[c, y, x] = padded[c, top + y, left + x]
    return out


def slow_flip(image):
    return np.stack([[list(reversed(row)) for row in channel] for channel in image.tolist()]).astype(np.uint8)


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
@pytest.mark.parametrize("padding", [1, 3, 5])
def test_prepare_pads_every_image_once(mode, padding):
    images = random_images(4)
    padded = prepare(images, Augment(crop_padding=padding, padding_mode=mode))
    assert padded.dtype == torch.uint8
    for image, got in zip(images, padded, strict=True):
        np.testing.assert_array_equal(got.numpy(), slow_pad(image.numpy(), padding, mode))


def test_prepare_without_padding_takes_no_memory():
    images = random_images(2)
    assert prepare(images, Augment(flip=True)) is images


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_padding_as_wide_as_the_image_is_refused(mode):
    with pytest.raises(ValueError, match=r"crop_padding is 6.*8 x 6 pixels; use at most 5"):
        prepare(random_images(1), Augment(crop_padding=6, padding_mode=mode))


@given(
    channels=st.sampled_from([1, 3]),
    height=st.integers(2, 9),
    width=st.integers(2, 9),
    padding=st.integers(0, 1),
    seed=st.integers(0, 999),
)
@settings(deadline=None, max_examples=40)
def test_crop_equals_a_loop_over_pixels(channels, height, width, padding, seed):
    padded = prepare(random_images(5, channels, height, width, seed), Augment(crop_padding=padding))
    index = torch.randint(5, (7,), generator=seeded(seed))
    corners = torch.randint(2 * padding + 1, (7, 2), generator=seeded(seed + 1))
    got = crop(padded, index, corners, size=(height, width))
    for i in range(7):
        top, left = corners[i].tolist()
        np.testing.assert_array_equal(got[i].numpy(), slow_crop(padded[index[i]].numpy(), top, left, height, width))


def test_flip_mirrors_the_chosen_images_only():
    images = random_images(6)
    chosen = torch.tensor([True, False, False, True, True, False])
    got = flip(images, chosen)
    for i in range(6):
        expected = slow_flip(images[i].numpy()) if chosen[i] else images[i].numpy()
        np.testing.assert_array_equal(got[i].numpy(), expected)


def outcomes(augment, count=4000, seed=0):
    """(top, left, flipped) of each image of a batch, found by trying all; random images make each outcome unique."""
    images = random_images(3, channels=1, height=5, width=4, seed=7)
    padded = prepare(images, augment)
    index = torch.arange(count) % 3
    batch = augment_batch(padded, index, size=(5, 4), augment=augment, generator=seeded(seed))
    assert batch.dtype == torch.uint8
    assert batch.shape == (count, 1, 5, 4)
    places = range(2 * augment.crop_padding + 1)
    table = {}
    for i in range(3):
        for top in places:
            for left in places:
                window = slow_crop(padded[i].numpy(), top, left, 5, 4)
                table[i, window.tobytes()] = (top, left, False)
                if augment.flip:
                    table[i, slow_flip(window).tobytes()] = (top, left, True)
    assert len(table) == 3 * len(places) ** 2 * (2 if augment.flip else 1)
    return [table[int(i), image.numpy().tobytes()] for i, image in zip(index, batch, strict=True)]


def test_crops_and_flips_are_uniform_and_independent():
    count = 4000
    found = outcomes(Augment(crop_padding=1, flip=True), count)
    observed = np.bincount([9 * f + 3 * top + left for top, left, f in found], minlength=18)
    expected = count / 18
    assert ((observed - expected) ** 2 / expected).sum() < 40.8  # 0.1 % point of chi-square, 17 degrees of freedom
    same_as_next = np.mean([a == b for a, b in zip(found[:-1], found[1:], strict=True)])
    assert same_as_next == pytest.approx(1 / 18, abs=0.015)  # 4 standard deviations


@pytest.mark.parametrize(
    ("augment", "number"),
    [(Augment(), 1), (Augment(flip=True), 2), (Augment(crop_padding=1), 9), (Augment(crop_padding=2, flip=True), 50)],
)
def test_only_what_is_asked_for_happens(augment, number):
    assert len(set(outcomes(augment))) == number


def test_the_seed_decides_and_arguments_stay_as_they_are():
    augment = Augment(crop_padding=2, flip=True)
    padded = prepare(random_images(10), augment)
    before, index = padded.clone(), torch.arange(10)
    first, again, other = (
        augment_batch(padded, index, size=(8, 6), augment=augment, generator=seeded(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(padded, before)


class HostReads(TorchDispatchMode):
    """Notes every operation whose result the host must wait for."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        if any(
            part in name for part in ("_local_scalar_dense", "nonzero", "masked_select", "unique", "item", "equal.")
        ):
            self.seen.append(name)
        if "aten.index.Tensor" in name and any(i is not None and i.dtype == torch.bool for i in args[1]):
            self.seen.append(f"{name} with a mask")
        return func(*args, **(kwargs or {}))


def test_the_spy_sees_reads_on_the_host():
    values = torch.arange(3)
    with HostReads() as spy:
        values[values > 1]
        bool(values[0] == 0)
    assert len(spy.seen) == 2


def test_no_step_of_a_batch_waits_for_the_device():
    augment = Augment(crop_padding=2, flip=True, padding_mode="reflect")
    images = random_images(10)
    padded = prepare(images, augment)
    index, generator = torch.arange(10), seeded(0)
    mean, std = measure(images)
    with HostReads() as spy:
        batch = augment_batch(padded, index, size=(8, 6), augment=augment, generator=generator)
        normalise(batch, mean, std)
    assert spy.seen == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_normalise_is_its_formula(dtype):
    images = random_images(3)
    mean, std = torch.tensor([0.1, 0.5, 0.9]).view(3, 1, 1), torch.tensor([0.2, 0.25, 1.0]).view(3, 1, 1)
    before = images.clone()
    got = normalise(images, mean, std, dtype)
    expected = (images.numpy().astype(np.float64) / 255 - mean.numpy()) / std.numpy()
    assert got.dtype == dtype
    tolerance = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 2e-2}[dtype]
    np.testing.assert_allclose(got.double().numpy(), expected, atol=tolerance, rtol=tolerance)
    assert torch.equal(images, before)


def test_measure_is_the_mean_and_spread_of_all_pixels():
    images = random_images(50, seed=3)
    mean, std = measure(images)
    pixels = images.numpy().astype(np.float64) / 255
    assert mean.shape == std.shape == (3, 1, 1)
    assert mean.dtype == std.dtype == torch.float32
    np.testing.assert_allclose(mean.flatten().numpy(), pixels.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(std.flatten().numpy(), pixels.std((0, 2, 3)), rtol=1e-6)


def test_a_constant_channel_normalises_to_zero():
    images = torch.full((2, 1, 3, 3), 51, dtype=torch.uint8)
    mean, std = measure(images)
    assert mean.item() == pytest.approx(0.2)
    assert std.item() == 1
    assert normalise(images, mean, std).abs().max() < 1e-6


def test_measured_normalisation_gives_mean_zero_and_spread_one():
    images = random_images(40)
    inputs = normalise(images, *measure(images)).double()
    assert inputs.mean((0, 2, 3)).abs().max() < 1e-5
    assert math.isclose(float(inputs.std((0, 2, 3), correction=0).mean()), 1, abs_tol=1e-5)
