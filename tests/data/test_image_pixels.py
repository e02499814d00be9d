"""One file becomes the pixels of a form by one rule, whatever it holds."""

import hashlib
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tune_mixup.data.image_pixels import Form, read_pixels

ORIENTATION = 0x0112


def drawn(*shape, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def pixels_of(path, channels=3, **form):
    """As [H, W, C], the way an image is written down."""
    return read_pixels(path, Form(channels, **form))[0].transpose(1, 2, 0)


def slow_weights(length, start, stop, whole):
    """The share of each of `whole` pixels in each of the `length` new ones that lie between `start` and `stop`: a
    triangle as wide as two new pixels, or as two old ones where the image grows, cut off where the image ends."""
    step = (stop - start) / length
    reach = max(step, 1.0)
    weights = np.zeros((length, whole))
    for i in range(length):
        middle = start + (i + 0.5) * step
        for j in range(whole):
            weights[i, j] = max(0.0, 1 - abs(j + 0.5 - middle) / reach)
        weights[i] /= weights[i].sum()
    return weights


def slow_resize(image, size, box):
    """`image` [H, W, C] within `box` (top, bottom, left, right), resized to `size` by two sums over pixels."""
    rows, columns = (slow_weights(size[i], *box[2 * i : 2 * i + 2], image.shape[i]) for i in range(2))
    return np.einsum("ij,kl,jlc->ikc", rows, columns, image.astype(np.float64))


@pytest.mark.parametrize("size", [(5, 7), (8, 8), (40, 30), (1, 3)])
@pytest.mark.parametrize("original", [(20, 12), (9, 33), (6, 6)])
def test_stretching_weighs_pixels_by_a_triangle(tmp_path, original, size):
    image = drawn(*original, 3)
    Image.fromarray(image).save(tmp_path / "a.png")
    got = pixels_of(tmp_path / "a.png", size=size, resize="stretch")
    expected = slow_resize(image, size, (0, original[0], 0, original[1]))
    assert got.shape == (*size, 3)
    assert np.abs(got - expected).max() <= 1.5  # Pillow rounds after each direction


@pytest.mark.parametrize(
    ("original", "size", "box"),
    [
        ((20, 12), (6, 6), (4, 16, 0, 12)),  # the middle 12 of 20 rows
        ((12, 20), (6, 6), (0, 12, 4, 16)),
        ((10, 40), (5, 10), (0, 10, 10, 30)),  # twice as wide as high
        ((8, 8), (16, 4), (0, 8, 3, 5)),
        ((7, 7), (3, 3), (0, 7, 0, 7)),
    ],
)
def test_by_the_shorter_side_the_middle_fills_the_size(tmp_path, original, size, box):
    image = drawn(*original, 3)
    Image.fromarray(image).save(tmp_path / "a.png")
    got = pixels_of(tmp_path / "a.png", size=size)
    assert np.abs(got - slow_resize(image, size, box)).max() <= 1.5


@pytest.mark.parametrize(
    ("original", "size", "inner", "corner"),
    [
        ((20, 10), (10, 10), (10, 5), (0, 2)),
        ((10, 20), (10, 10), (5, 10), (2, 0)),
        ((3, 3), (6, 12), (6, 6), (0, 3)),
        ((2, 200), (8, 8), (1, 8), (3, 0)),  # never less than a pixel
    ],
)
def test_fitting_shows_all_of_the_image_on_black(tmp_path, original, size, inner, corner):
    image = drawn(*original, 3).clip(20)
    Image.fromarray(image).save(tmp_path / "a.png")
    got = pixels_of(tmp_path / "a.png", size=size, resize="fit")
    expected = np.zeros((*size, 3))
    top, left = corner
    expected[top : top + inner[0], left : left + inner[1]] = slow_resize(image, inner, (0, original[0], 0, original[1]))
    assert np.abs(got - expected).max() <= 1.5


def test_a_long_strip_does_not_become_a_huge_image(tmp_path):
    """Its shorter side as 64 pixels would make it 64 x 1,280,000."""
    Image.new("L", (20_000, 1), 9).save(tmp_path / "a.png")
    assert np.unique(pixels_of(tmp_path / "a.png", size=(64, 64))).tolist() == [9]


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),  # held so that it must be turned clockwise
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}
"""EXIF 2.32, 4.6.4: where row 0 and column 0 of what is stored belong."""


@pytest.mark.parametrize("ending", ["png", "webp", "tiff"])
@pytest.mark.parametrize("way", UPRIGHT)
def test_images_are_turned_upright(tmp_path, way, ending):
    image, path = drawn(4, 6, 3), tmp_path / f"a.{ending}"
    exif = Image.Exif()
    exif[ORIENTATION] = way
    Image.fromarray(image).save(path, exif=exif, **({"lossless": True} if ending == "webp" else {}))
    np.testing.assert_array_equal(pixels_of(path), UPRIGHT[way](image))


@pytest.mark.parametrize("way", [0, 9, 500])
def test_an_orientation_that_is_none_changes_nothing(tmp_path, way):
    image, exif = drawn(4, 6, 3), Image.Exif()
    exif[ORIENTATION] = way
    Image.fromarray(image).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.png"), image)


def test_damaged_notes_leave_the_image_whole(tmp_path):
    image = drawn(4, 6, 3)
    Image.fromarray(image).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff")
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.png"), image)


def test_only_what_is_turned_has_another_fingerprint_than_its_bytes(tmp_path):
    """Fingerprints of before are of the bytes, and the pixels of such an image have changed since."""
    exif = Image.Exif()
    for way in (1, 6):
        exif[ORIENTATION] = way
        Image.fromarray(drawn(4, 6, 3)).save(tmp_path / f"{way}.png", exif=exif)
        content = (tmp_path / f"{way}.png").read_bytes()
        digest = read_pixels(tmp_path / f"{way}.png", Form(3))[1]
        assert (digest == hashlib.blake2b(content, digest_size=16).digest()) == (way == 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("ending", ["png", "tiff", "pgm", "jp2"])
def test_of_16_bits_the_upper_8_count(tmp_path, ending, channels):
    deep = drawn(5, 4, dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / f"a.{ending}")
    got = pixels_of(tmp_path / f"a.{ending}", channels)
    np.testing.assert_array_equal(got, np.stack([deep // 256] * channels, 2))


def test_so_they_do_in_colour(tmp_path):
    deep = drawn(5, 4, 3, dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 4, 5, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(c)) + kind + c + struct.pack(">I", zlib.crc32(kind + c)) for kind, c in chunks]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.png"), deep // 256)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_more_than_16_bits_have_no_white(tmp_path, dtype):
    Image.fromarray(np.ones((5, 4), dtype)).save(tmp_path / "a.tiff")
    with pytest.raises(ValueError, match=r"more than 16 bits per channel, mode [IF]; save it with 8 or 16"):
        pixels_of(tmp_path / "a.tiff")


def test_cmyk_becomes_the_light_that_its_inks_leave(tmp_path):
    inks = drawn(5, 4, 4)
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.tiff")
    left = 255 - inks.astype(np.float64)
    assert np.abs(pixels_of(tmp_path / "a.tiff") - left[:, :, :3] * left[:, :, 3:] / 255).max() <= 1


def test_black_and_white_are_0_and_255(tmp_path):
    bits = drawn(5, 4) > 127
    Image.fromarray(bits).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.png", 1)[:, :, 0], bits * 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_transparent_keeps_its_colour(tmp_path, channels):
    both = drawn(5, 4, 2)
    Image.fromarray(both, "LA").save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.png", channels), np.stack([both[:, :, 0]] * channels, 2))


def test_of_several_images_the_first_counts(tmp_path):
    first, second = drawn(5, 4, 3), drawn(5, 4, 3, seed=1)
    Image.fromarray(first).save(tmp_path / "a.tiff", save_all=True, append_images=[Image.fromarray(second)])
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.tiff"), first)


def test_the_ending_does_not_matter_for_what_a_file_is(tmp_path):
    image = drawn(5, 4, 3)
    Image.fromarray(image).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.jpg"), image)
