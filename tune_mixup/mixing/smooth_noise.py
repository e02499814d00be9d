"""Random smooth images: noise whose amplitudes fall with a power of the frequency.

Noise is float [*, H, (W + 1) // 2 + 1, 2], one draw of a normal distribution for each frequency and part; [*] is [] or
[B]. Images are [*, H, W] of the noise's precision, of any scale: only the order of their pixels is used.
"""

import torch
from torch import Tensor


def noise_size(height: int, width: int) -> tuple[int, int, int]:
    """Rows and columns of frequencies, real and imaginary part; odd widths have a column to spare."""
    return height, (width + 1) // 2 + 1, 2


def smooth_image(noise: Tensor, decay: float, *, height: int, width: int) -> Tensor:
    """Noise, scaled by max(f, f_min) ** -decay, as the half spectrum of a real image; f_min = 1 / max(H, W)."""
    spectrum = (noise * _falloff(noise, decay, height, width)[..., None])[..., : width // 2 + 1, :]
    image: Tensor = torch.fft.irfft2(torch.view_as_complex(spectrum.contiguous()), s=(height, width))
    return image


def published_image(noise: Tensor, decay: float, *, height: int, width: int) -> Tensor:
    """What FMix's released code makes of the noise: rows of frequencies taken for real and imaginary part.

    It complexifies rows 0 and 1 of the scaled noise, whose own axis of two parts becomes that of the horizontal
    frequencies: 0 and 1 only. The axis of horizontal frequencies becomes that of the vertical ones, filled up with
    zeros to H, or cut. H is at least 2.
    """
    scaled = noise * _falloff(noise, decay, height, width)[..., None]
    spectrum = torch.complex(scaled[..., 0, :, :], scaled[..., 1, :, :])
    image: Tensor = torch.fft.irfft2(spectrum, s=(height, width))
    return image


def _falloff(noise: Tensor, decay: float, height: int, width: int) -> Tensor:
    """(f_min / max(f, f_min)) ** decay, [H, (W + 1) // 2 + 1], in 0..1 so that no decay overflows."""
    columns = torch.fft.fftfreq(width, device=noise.device, dtype=noise.dtype)[: noise.shape[-2]]
    rows = torch.fft.fftfreq(height, device=noise.device, dtype=noise.dtype)
    lowest = 1 / max(height, width)
    frequency = (rows[:, None].square() + columns.square()).sqrt()
    return torch.pow(lowest / frequency.clamp_min(lowest), decay)
