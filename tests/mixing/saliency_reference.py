"""Images whose salient place is known, and saliency written from the definition; nothing here imports the package."""

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
