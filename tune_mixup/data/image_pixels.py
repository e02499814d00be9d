"""One image file as pixels of a form: 8 bits, grey or colour, upright, and of a wanted size.

The rule for all files, whatever they hold:

- A film or a file of several pages gives its first image. An orientation in EXIF is applied.
- 16 bits per channel give their upper 8 bits (Pillow itself does so for colour). 32 bits and floats are refused, for
  nothing says which value is white.
- Palettes become the colours that they stand for, CMYK and other colours RGB, by Pillow's formulas without profiles.
- Transparency is dropped: the colours below it count.
- Colour becomes grey by the luma of ITU-R 601; grey becomes colour by three equal channels.
- Resizing is bilinear with antialiasing, as torchvision's `Resize` does it by default.

Shapes: C channels, H x W pixels.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from tune_mixup.data.image_jpeg import decode_plain
from tune_mixup.opening import open_regular

if TYPE_CHECKING:
    from PIL import Image

Resize = Literal["shorter_side", "fit", "stretch"]
"""shorter_side: the image covers H x W, and what stands out is cut off on both sides alike; fit: the whole image lies
within H x W, with black around it; stretch: height and width are each scaled on their own."""
_ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held: 1 to 8."""
_TURNED = b" turned upright"
"""Follows the digest of a file to which EXIF's orientation was applied, which the first fingerprints did not know."""


@dataclass(frozen=True)
class Form:
    """What all images of a data set are made into."""

    channels: Literal[1, 3]
    """1: grey, 3: colour."""
    size: tuple[int, int] | None = None
    """(H, W) in pixels; None: as they are."""
    resize: Resize = "shorter_side"
    """How they get that size."""

    @property
    def mode(self) -> Literal["L", "RGB"]:
        """What Pillow calls these channels."""
        return "L" if self.channels == 1 else "RGB"


def read_pixels(path: Path, form: Form) -> tuple[NDArray[np.uint8], bytes]:
    """`file_pixels` of the file at `path`; raises OSError where it can't be opened."""
    with open_regular(path) as file:
        return file_pixels(file.read(), form)


def file_pixels(content: bytes, form: Form) -> tuple[NDArray[np.uint8], bytes]:
    """Pixels uint8 [C, H, W] of a file with this content, and what tells it from others.

    Raises ValueError, or whatever else a decoder trips over, for what is no whole image of at most the pixels that
    Pillow allows; such pixels are counted before any of them is decoded.
    """
    from PIL import Image

    if not content:
        raise ValueError("it is empty")
    digest = hashlib.blake2b(content, digest_size=16).digest()
    plain = decode_plain(content, most_pixels=Image.MAX_IMAGE_PIXELS)
    if plain is None:
        plain, turned = _by_pillow(content, form)
        digest += turned
    if plain.mode != form.mode:
        plain = plain.convert(form.mode)
    return _formed(plain, form), digest


def _by_pillow(content: bytes, form: Form) -> "tuple[Image.Image, bytes]":
    """The image upright, in the form's mode, and what its digest gets for having been turned."""
    from PIL import Image, UnidentifiedImageError

    try:
        opened = Image.open(io.BytesIO(content))
    except UnidentifiedImageError:
        raise ValueError("no kind of image that Pillow knows") from None
    with opened as image:
        most = Image.MAX_IMAGE_PIXELS
        if most is not None and image.width * image.height > most:  # Pillow itself refuses twice as many
            raise ValueError(f"{image.width} x {image.height} pixels, more than the {most} of PIL.Image")
        image.load()
        way = _orientation(image)
        plain = _plain(image, form.mode)
    return (plain, b"") if way is None else (plain.transpose(way), _TURNED)


def image_pixels(image: "Image.Image", form: Form) -> tuple[NDArray[np.uint8], bytes]:
    """The same of an image that somebody else has read, as it stands, whatever EXIF says; told by its pixels."""
    plain = _plain(image, form.mode)
    digest = hashlib.blake2b(f"{plain.width} x {plain.height} ".encode(), digest_size=16)
    digest.update(plain.tobytes())
    return _formed(plain, form), digest.digest()


def _formed(plain: "Image.Image", form: Form) -> NDArray[np.uint8]:
    if form.size is not None and form.size != (plain.height, plain.width):
        plain = _resized(plain, form.size, form.resize)
    pixels = np.asarray(plain)
    return pixels[None] if form.channels == 1 else pixels.transpose(2, 0, 1)


def _orientation(image: "Image.Image") -> "Image.Transpose | None":
    """What turns the image upright; None for one that is."""
    from PIL.Image import Transpose

    try:
        said = image.getexif().get(_ORIENTATION)
    except Exception:  # notes that are damaged leave the pixels whole
        return None
    ways = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return ways.get(said) if isinstance(said, int) else None


def _plain(image: "Image.Image", mode: Literal["L", "RGB"]) -> "Image.Image":
    from PIL import Image

    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):  # which Pillow scales to 16 bits
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert(mode)
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"more than 16 bits per channel, mode {image.mode}; save it with 8 or 16")
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA").convert(mode)  # otherwise Pillow warns
    return image.convert(mode)


def _resized(image: "Image.Image", size: tuple[int, int], resize: Resize) -> "Image.Image":
    from PIL import Image

    height, width = size
    whole = (0.0, 0.0, float(image.width), float(image.height))
    match resize:
        case "stretch":
            box, inner = whole, size
        case "shorter_side":
            box, inner = _middle(image.height, image.width, height / width), size
        case "fit":
            scale = min(height / image.height, width / image.width)
            box, inner = whole, (max(1, round(image.height * scale)), max(1, round(image.width * scale)))
    resized = image.resize((inner[1], inner[0]), Image.Resampling.BILINEAR, box)
    if inner == size:
        return resized
    padded = Image.new(image.mode, (width, height))
    padded.paste(resized, ((width - inner[1]) // 2, (height - inner[0]) // 2))
    return padded


def _middle(height: int, width: int, ratio: float) -> tuple[float, float, float, float]:
    """The largest box (left, top, right, bottom) in the middle of height x width pixels, `ratio` as high as it is wide.

    Cutting before scaling keeps a long strip from becoming a huge one.
    """
    inner_height, inner_width = min(float(height), width * ratio), min(float(width), height / ratio)
    left, top = (width - inner_width) / 2, (height - inner_height) / 2
    return left, top, left + inner_width, top + inner_height
