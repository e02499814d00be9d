"""What turns a second of sound into a picture for a network: frequency upwards in rows, time in columns.

    from tune_mixup.data.front_ends import spectrograms
    images = spectrograms(waveforms, "logmel")     # as a network that was trained with data.front_end=logmel takes them

Batched, on the device of the waveforms, by torchaudio's transforms.

Shapes: N clips, T samples, H rows of frequency, 101 frames.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

SAMPLE_RATE = 16_000
"""Samples per second that the front ends are made for; other recordings are resampled."""
FRAMES = 101
NUM_MELS = 64
DB_RANGE = (-100.0, 50.0)
"""What `logmel` shows as 0 and 1, in decibels: the floor of its logarithm, and more than the loudest sound makes."""
_EPSILON = 1e-9

Name = Literal["logmel", "spectrogram", "spectrogram_108", "log_magnitude"]


@dataclass(frozen=True)
class FrontEnd:
    """Frames of `n_fft` samples, `hop` apart, the first around the first sample."""

    n_fft: int
    hop: int
    height: int
    """H."""


FRONT_ENDS: dict[Name, FrontEnd] = {
    "logmel": FrontEnd(n_fft=400, hop=160, height=NUM_MELS),
    "spectrogram": FrontEnd(n_fft=318, hop=160, height=160),
    "spectrogram_108": FrontEnd(n_fft=318, hop=149, height=160),
    "log_magnitude": FrontEnd(n_fft=320, hop=160, height=161),
}
"""Name -> its frames.

- `logmel`: 25 ms Hann windows every 10 ms, the power in 64 mel bands, in decibels from -100 to 50 as 0 to 1.
- `spectrogram`: as in COMP8240's speech study: Hann windows of 318 samples, decibels of the power, each clip with mean
  0 and standard deviation 1. Frames are 160 samples apart, so that 101 of them are the whole second.
- `spectrogram_108`: exactly as published: 149 samples apart, standardised over 108 frames, of which the first 101 stay:
  the last 65 ms are not seen, though mean and deviation know them.
- `log_magnitude`: as in GCommandsPytorch: Hamming windows of 20 ms every 10 ms, log(1 + magnitude), standardised.
  Differs for recordings of more than a second, which are cut before frames are made of them.
"""


def spectrograms(waveforms: Tensor, front_end: Name) -> Tensor:
    """Pictures float32 [N, 1, H, 101] of waveforms float [N, T], full scale as 1.

    What is shorter than a second of `SAMPLE_RATE` is followed by silence, what is longer is cut.
    """
    samples = waveforms.float()[:, :SAMPLE_RATE]
    samples = torch.nn.functional.pad(samples, (0, SAMPLE_RATE - samples.shape[1]))
    match front_end:
        case "logmel":
            low, high = DB_RANGE
            pictures = ((_decibels(samples, front_end) - low) / (high - low)).clamp_(0, 1)
        case "spectrogram" | "spectrogram_108":
            pictures = _standardised(_decibels(samples, front_end))[:, :, :FRAMES]
        case "log_magnitude":
            pictures = _standardised(_log_magnitude(samples))
    return pictures.unsqueeze(1)


def _decibels(samples: Tensor, front_end: Name) -> Tensor:
    from torchaudio.transforms import AmplitudeToDB, MelSpectrogram, Spectrogram

    settings = FRONT_ENDS[front_end]
    power = (
        MelSpectrogram(SAMPLE_RATE, n_fft=settings.n_fft, hop_length=settings.hop, n_mels=NUM_MELS)
        if front_end == "logmel"
        else Spectrogram(n_fft=settings.n_fft, hop_length=settings.hop)
    )
    decibels: Tensor = AmplitudeToDB("power").to(samples.device)(power.to(samples.device)(samples))
    return decibels


def _log_magnitude(samples: Tensor) -> Tensor:
    from torchaudio.transforms import Spectrogram

    settings = FRONT_ENDS["log_magnitude"]
    magnitude = Spectrogram(
        n_fft=settings.n_fft,
        hop_length=settings.hop,
        window_fn=torch.hamming_window,
        power=1,
        pad_mode="constant",
    ).to(samples.device)
    pictures: Tensor = magnitude(samples).log1p()
    return pictures


def _standardised(pictures: Tensor) -> Tensor:
    """Each picture [N, H, W] with mean 0 and standard deviation 1; one that is constant becomes 0."""
    # In float64 the mean of a constant is the constant itself; a rounded one would be blown up by the division.
    exact = pictures.double()
    mean, deviation = exact.mean((1, 2), keepdim=True), exact.std((1, 2), keepdim=True)
    return ((exact - mean) / (deviation + _EPSILON)).float()
