"""Images whose salient place is known, and saliency written from the definition; nothing here imports the package."""

import struct

import numpy as np
import torch


def blobs(height, width, channels, side, *, noise=0.1, size=20, seed=0):
    """Images with one bright square each, and the squares' upper left corners."""
    made = torch.Generator().manual_seed(seed)
    top = torch.randint(height - side + 1, (size,), generator=made)
    left = torch.randint(width - side + 1, (size,), generator=made)
    images = noise * torch.randn(size, channels, height, width, generator=made)
    for i, (y, x) in enumerate(zip(top.tolist(), left.tolist(), strict=True)):
        images[i, :, y : y + side, x : x + side] += 2
    return images, top, left


def residual_by_hand(image: np.ndarray) -> np.ndarray:
    """Hou and Zhang's map of a grey image, with loops, angles and exponentials as they write it."""
    height, width = image.shape
    mirrored = np.block([[image, image[:, ::-1]], [image[::-1], image[::-1, ::-1]]])
    spectrum = np.fft.fft2(mirrored)
    amplitude, phase = np.abs(spectrum), np.angle(spectrum)
    log_amplitude = np.log(np.maximum(amplitude, 0.01 * amplitude.mean()))
    average = np.zeros_like(log_amplitude)
    for i, j in np.ndindex(average.shape):
        for di, dj in np.ndindex(3, 3):
            average[i, j] += log_amplitude[(i + di - 1) % (2 * height), (j + dj - 1) % (2 * width)] / 9
    back = np.fft.ifft2(amplitude * np.exp(-average + 1j * phase))
    unexpected = np.abs(back[:height, :width]) ** 2
    blurred = np.zeros_like(unexpected)
    for i, j in np.ndindex(blurred.shape):
        for y, x in np.ndindex(blurred.shape):
            down, across = (i - y) / (height * 2.5 / 64), (j - x) / (width * 2.5 / 64)
            blurred[i, j] += unexpected[y, x] * np.exp(-(down**2 + across**2) / 2)
    return blurred


def blurred_by_hand(grey):
    """16 times the blur of a grey image [H, W] by (1, 2, 1) / 4 twice over; pixel -1 is pixel 1."""
    blurred = grey
    for axis in (0, 1):
        length, before = grey.shape[axis], blurred
        blurred = np.zeros_like(before)
        for i in range(length):
            low, high = (0, 0) if length == 1 else (abs(i - 1), length - 1 - abs(length - 2 - i))
            rows = [np.take(before, place, axis) for place in (low, i, high)]
            blurred[(slice(None),) * axis + (i,)] = rows[0] + 2 * rows[1] + rows[2]
    return blurred


def contrasts_by_hand(levels, grey):
    """Pixel by pixel: by how much a level exceeds, or lies below, the mean of the grey values around it."""
    height, width = grey.shape
    above, below = np.zeros((height, width)), np.zeros((height, width))
    for i, j in np.ndindex(height, width):
        for reach in (12, 24, 48, 28, 56, 112):
            around = grey[max(i - reach + 1, 0) : i + reach + 1, max(j - reach + 1, 0) : j + reach + 1]
            mean = (around.astype(np.float64).sum() - levels[i, j]) / max(around.size - 1, 1)
            above[i, j] += int(max(levels[i, j] - mean, 0))
            below[i, j] += int(max(mean - levels[i, j], 0))
    total = np.zeros((height, width))
    for part in (above, below):
        for i, j in np.ndindex(height, width):
            total[i, j] += int(255.0 * float(np.float32(part[i, j]) / np.float32(max(part.max(), 1))))
    return np.minimum(total, 255)


def fine_grained_by_hand(image):
    """OpenCV's fine-grained saliency of a uint8 image [C, H, W], 0 to 255."""
    channels, height, width = image.shape
    grey = np.zeros((height, width), np.int64)
    for i, j in np.ndindex(height, width):
        if channels == 3:
            first, second, third = (int(value) for value in image[:, i, j])
            grey[i, j] = int((3735 * first + 19235 * second + 9798 * third) / 2**15 + 0.5)
        else:
            grey[i, j] = int(sum(int(value) for value in image[:, i, j]) / channels + 0.5)
    for _ in range(2):
        grey = np.floor(blurred_by_hand(grey) / 16 + 0.5).astype(np.int64)
    return contrasts_by_hand(grey, grey)


def fine_grained_of_floats_by_hand(image):
    """The same code on a float32 image [3, H, W], whose grey levels' bytes it reads row by row."""
    first, second, third = image.astype(np.float32)
    grey = np.float32(0.114) * first + np.float32(0.587) * second + np.float32(0.299) * third
    for _ in range(2):
        grey = blurred_by_hand(grey) / np.float32(16)
    width = grey.shape[1]
    levels = [list(struct.pack(f"<{width}f", *row))[:width] for row in grey]
    return contrasts_by_hand(np.array(levels), grey)
