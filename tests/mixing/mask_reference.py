"""Slow, plain versions of the masks, pixel by pixel from the published formulas; nothing here imports the package."""

import math

import numpy as np


def gaussian(row: int, column: int, sigma: float, height: int, width: int) -> np.ndarray:
    """SmoothMix's mask around the centre that `row` and `column`, counted from 0, mean."""
    centre_row = (height - 1) / 2 + (row - height // 2)
    centre_column = (width - 1) / 2 + (column - width // 2)
    mask = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            down, across = (i - centre_row) / (sigma * height), (j - centre_column) / (sigma * width)
            mask[i, j] = math.exp(-(down**2 + across**2) / 2)
    return mask


def holes(
    lam: float,
    num_holes: int,
    area: float,
    aspect: float,
    down: float,
    across: float,
    hole_aspect: float,
    height: int,
    width: int,
) -> np.ndarray:
    """GridMix's holes, painted one after the other: bool [H, W]. Asserts that none lies outside of the image."""
    painted = np.zeros((height, width), dtype=bool)
    full_width = int(math.sqrt(int(height * width * area) / aspect))
    cut_width, cut_height = min(full_width, width), min(int(full_width * aspect), height)
    if lam == 1 or 0 in (cut_width, cut_height):
        return painted
    left, top = int((width - cut_width) * across), int((height - cut_height) * down)
    cell_width = math.ceil(cut_width / num_holes)
    cell_height = max(int(cell_width * hole_aspect), 1)
    ratio = math.sqrt(1 - lam)
    hole_width = min(max(int(cell_width * ratio), 1), cell_width - 1)
    hole_height = min(max(int(cell_height * ratio), 1), cell_height - 1)
    for i in range(num_holes + 1):
        for j in range(math.ceil(cut_height / cell_height) + 1):
            x, y = left + i * cell_width, top + j * cell_height
            right, bottom = min(x + hole_width, left + cut_width), min(y + hole_height, top + cut_height)
            assert x >= 0 and y >= 0 and right <= width and bottom <= height
            painted[y:bottom, x:right] = True
    return painted


def published_holes(
    lam: float,
    num_holes: int,
    area: float,
    aspect: float,
    down: float,
    across: float,
    hole_aspect: float,
    height: int,
    width: int,
) -> np.ndarray:
    """The holes as openmixup places them: crops larger than the image, and whatever Python makes of negative slices."""
    painted = np.zeros((height, width), dtype=bool)
    cut_width = int(math.sqrt(int(height * width * area) / aspect))
    cut_height = int(cut_width * aspect)
    left, top = int((width - cut_width) * across), int((height - cut_height) * down)
    cell_width = max(math.ceil(cut_width / num_holes), 1)
    cell_height = max(int(cell_width * hole_aspect), 1)
    ratio = math.sqrt(1 - lam)
    hole_width = min(max(int(cell_width * ratio), 1), cell_width - 1)
    hole_height = min(max(int(cell_height * ratio), 1), cell_height - 1)
    for i in range(num_holes + 1):
        for j in range(math.ceil(cut_height / cell_height) + 1):
            x, y = min(i * cell_width, cut_width), min(j * cell_height, cut_height)
            right, bottom = min(x + hole_width, cut_width), min(y + hole_height, cut_height)
            painted[top + y : top + bottom, left + x : left + right] = True
    return painted


def resized(image: np.ndarray, height: int, width: int, interpolation: str) -> np.ndarray:
    """An image [H, W] at another size, one pixel at a time."""
    small = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            if interpolation == "nearest":
                small[i, j] = image[i * image.shape[0] // height, j * image.shape[1] // width]
            else:
                rows = _around(i, height, image.shape[0])
                columns = _around(j, width, image.shape[1])
                small[i, j] = sum(a * b * image[y, x] for y, a in rows for x, b in columns)
    return small


def _around(place: int, small: int, large: int) -> list[tuple[int, float]]:
    """The two source pixels of a bilinear look-up along one side, with their weights."""
    source = max((place + 0.5) * large / small - 0.5, 0.0)
    before = int(source)
    after = min(before + 1, large - 1)
    return [(before, 1 - (source - before)), (after, source - before)]


def fmix_image(noise: np.ndarray, decay: float, height: int, width: int, variant: str) -> np.ndarray:
    """FMix's smooth image from noise [H, F, 2]; F is W / 2 + 1, and one more for odd widths."""
    scaled = np.zeros(noise.shape)
    for i, down in enumerate(np.fft.fftfreq(height)):
        for j, across in enumerate(np.fft.fftfreq(width)[: noise.shape[1]]):
            scaled[i, j] = noise[i, j] / max(math.hypot(down, across), 1 / max(height, width)) ** decay
    spectrum = scaled[0] + 1j * scaled[1] if variant == "official" else scaled[..., 0] + 1j * scaled[..., 1]
    return np.fft.irfftn(spectrum, (height, width), axes=(0, 1))


def top_share(image: np.ndarray, lam: float, round_up: bool, max_soft: float) -> np.ndarray:
    """FMix's mask: the brightest pixels one by one, with a ramp in the middle."""
    area = image.size
    count = math.ceil(lam * area) if round_up else math.floor(lam * area)
    soft = int(area * min(max_soft, lam, 1 - lam))
    order = sorted(range(area), key=lambda pixel: -image.ravel()[pixel])
    mask = np.zeros(area)
    mask[order[: count - soft]] = 1
    for place, pixel in enumerate(order[count - soft : count + soft]):
        mask[pixel] = 1 - place / (2 * soft - 1)
    return mask.reshape(image.shape)
