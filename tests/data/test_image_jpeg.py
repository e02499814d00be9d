"""Plain JPEG files become the same pixels as by Pillow; all that need care are left to it."""

import io
import tarfile

import numpy as np
import pytest
from made_files import SHARED
from PIL import Image

from tune_mixup.data import image_pixels
from tune_mixup.data.image_jpeg import decode_plain
from tune_mixup.data.image_pixels import Form, read_pixels

REAL = SHARED / "tiny-imagenet-200-subset.tar.xz"
SMOOTH = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)


def jpeg(size=(37, 50), mode="RGB", **options):
    """A picture that is smooth, as photographs are."""
    image = Image.fromarray(SMOOTH).resize(size, Image.Resampling.BICUBIC).convert(mode)
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def check_the_same(content):
    plain = decode_plain(content, most_pixels=None)
    with Image.open(io.BytesIO(content)) as image:
        assert plain.mode == image.mode
        np.testing.assert_array_equal(np.asarray(plain), np.asarray(image))


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (37, 50), (64, 64), (131, 17)])
@pytest.mark.parametrize(
    "options",
    [
        {"quality": 30},
        {"quality": 95, "subsampling": 0},
        {"subsampling": 1},
        {"subsampling": 2},
        {"progressive": True},
        {"optimize": True},
        {"mode": "L"},
        {"restart_marker_blocks": 2},
        {"comment": b"a note"},
        {"icc_profile": b"no profile at all"},
    ],
    ids=str,
)
def test_pixels_are_those_of_pillow(size, options):
    check_the_same(jpeg(size, **options))


def turned(way=6):
    exif = Image.Exif()
    exif[0x0112] = way
    return jpeg(exif=exif)


def other(kind, mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, (8, 8)).save(file, kind)
    return file.getvalue()


CAREFUL = {
    "turned": turned(),
    "CMYK": jpeg(mode="CMYK"),
    "PNG": other("PNG"),
    "GIF": other("GIF", "P"),
    "empty": b"",
    "start alone": b"\xff\xd8",
    "text": b"\xff\xd8 and no more of a picture",
    "no height": jpeg().replace(b"\x00\x32\x00\x25", b"\x00\x00\x00\x25", 1),
    "cut in the header": jpeg()[:100],
    "cut in the tables": jpeg()[:400],
}


@pytest.mark.parametrize("content", CAREFUL.values(), ids=CAREFUL)
def test_what_needs_care_is_left_to_pillow(content):
    assert decode_plain(content, most_pixels=None) is None


@pytest.mark.parametrize("length", [300, 700, 0.5, 0.9])
def test_a_file_that_is_cut_is_refused_by_both(tmp_path, length):
    content = jpeg((200, 150), quality=95)
    cut = content[: int(length * len(content)) if length < 1 else length]
    assert decode_plain(cut, most_pixels=None) is None
    (tmp_path / "a.jpg").write_bytes(cut)
    with pytest.raises(Exception, match="(?i)truncated|cannot identify|kind of image"):
        read_pixels(tmp_path / "a.jpg", Form(3))


def test_no_more_pixels_than_allowed_are_decoded():
    assert decode_plain(jpeg((40, 50)), most_pixels=2000) is not None
    assert decode_plain(jpeg((40, 51)), most_pixels=2000) is None


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    "form", [Form(3), Form(1), Form(3, (50, 37)), Form(3, (20, 30)), Form(1, (9, 9), "fit")], ids=str
)
def test_a_form_is_the_same_by_both(tmp_path, monkeypatch, mode, form):
    (tmp_path / "a.jpg").write_bytes(jpeg(mode=mode))
    fast, digest = read_pixels(tmp_path / "a.jpg", form)
    monkeypatch.setattr(image_pixels, "decode_plain", lambda content, most_pixels: None)
    slow, same = read_pixels(tmp_path / "a.jpg", form)
    np.testing.assert_array_equal(fast, slow)
    assert digest == same


@pytest.mark.skipif(not REAL.is_file(), reason="needs the shared data folder beside the checkout")
def test_real_files_are_plain_and_the_same():
    count = 0
    with tarfile.open(REAL) as archive:
        for member in archive:
            if member.name.endswith(".JPEG") and count < 200:
                check_the_same(archive.extractfile(member).read())
                count += 1
    assert count == 200
