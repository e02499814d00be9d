"""What turns a second of sound into a picture for a network: frequency upwards in rows, time in columns.

    from tune_mixup.data.front_ends import spectrograms
    images = spectrograms(waveforms, "logmel")     # as a network that was trained with data.front_end=logmel takes them

Batched, on the device of the waveforms, by torchaudio's functions.

Shapes: N clips, T samples, H rows of frequency, 101 frames.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

SAMPLE_RATE = 16_000
"""Samples per second that the front ends are made for; other recordings are resampled."""
FRAMES = 101
NUM_MELS = 64
DB_RANGE = (-100.0, 50.0)
"""What `logmel` shows as 0 and 1, in decibels: the floor of its logarithm, and more than the loudest sound makes."""
_EPSILON = 1e-9

Name = Literal["logmel", "spectrogram", "spectrogram_108", "log_magnitude"]


@dataclass(frozen=True)
class Frames:
    """Frames of `n_fft` samples, `hop` apart, the first around the first sample."""

    n_fft: int
    hop: int
    height: int
    """H."""


FRONT_ENDS: dict[Name, Frames] = {
    "logmel": Frames(n_fft=400, hop=160, height=NUM_MELS),
    "spectrogram": Frames(n_fft=318, hop=160, height=160),
    "spectrogram_108": Frames(n_fft=318, hop=149, height=160),
    "log_magnitude": Frames(n_fft=320, hop=160, height=161),
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


class FrontEnd(nn.Module):
    """A front end whose windows and filters lie ready on a device, so that a training step can have it."""

    window: Tensor
    mels: Tensor

    def __init__(self, name: Name) -> None:
        """On the CPU. Nothing of it is in a network's saved weights: its name says it all."""
        from torchaudio.functional import melscale_fbanks

        super().__init__()
        self.name: Name = name
        self.frames = FRONT_ENDS[name]
        n_fft = self.frames.n_fft
        shape = torch.hamming_window if name == "log_magnitude" else torch.hann_window
        self.register_buffer("window", shape(n_fft), persistent=False)
        if name == "logmel":
            bands = melscale_fbanks(n_fft // 2 + 1, 0.0, SAMPLE_RATE / 2, NUM_MELS, SAMPLE_RATE)
            self.register_buffer("mels", bands, persistent=False)

    @override
    def forward(self, waveforms: Tensor) -> Tensor:
        """Pictures float32 [N, 1, H, 101] of waveforms float [N, T], full scale as 1."""
        samples = waveforms.float()[:, :SAMPLE_RATE]
        samples = nn.functional.pad(samples, (0, SAMPLE_RATE - samples.shape[1]))
        match self.name:
            case "logmel":
                low, high = DB_RANGE
                bands = (self._spectrogram(samples, power=2).mT @ self.mels).mT
                pictures = ((_decibels(bands) - low) / (high - low)).clamp(0, 1)
            case "spectrogram" | "spectrogram_108":
                pictures = _standardised(_decibels(self._spectrogram(samples, power=2)))[:, :, :FRAMES]
            case "log_magnitude":
                pictures = _standardised(self._spectrogram(samples, power=1, border="constant").log1p())
        return pictures.unsqueeze(1)

    def _spectrogram(self, samples: Tensor, *, power: int, border: str = "reflect") -> Tensor:
        from torchaudio.functional import spectrogram

        n_fft = self.frames.n_fft
        made: Tensor = spectrogram(
            samples,
            pad=0,
            window=self.window,
            n_fft=n_fft,
            hop_length=self.frames.hop,
            win_length=n_fft,
            power=power,
            normalized=False,
            pad_mode=border,
        )
        return made


def spectrograms(waveforms: Tensor, front_end: Name) -> Tensor:
    """Pictures float32 [N, 1, H, 101] of waveforms float [N, T], full scale as 1.

    What is shorter than a second of `SAMPLE_RATE` is followed by silence, what is longer is cut.
    """
    pictures: Tensor = FrontEnd(front_end).to(waveforms.device)(waveforms)
    return pictures


def full_scale(sounds: Tensor) -> Tensor:
    """Samples as float32 with full scale as 1: int16 are divided by 32,768, floating-point numbers are so already."""
    return sounds.float() if sounds.is_floating_point() else sounds.float() / 2**15


def _decibels(power: Tensor) -> Tensor:
    from torchaudio.functional import amplitude_to_DB

    decibels: Tensor = amplitude_to_DB(power, multiplier=10.0, amin=1e-10, db_multiplier=0.0)
    return decibels


def _standardised(pictures: Tensor) -> Tensor:
    """Each picture [N, H, W] with mean 0 and standard deviation 1; one that is constant becomes 0."""
    # In float64 the mean of a constant is the constant itself; a rounded one would be blown up by the division.
    exact = pictures.double()
    mean, deviation = exact.mean((1, 2), keepdim=True), exact.std((1, 2), keepdim=True)
    return ((exact - mean) / (deviation + _EPSILON)).float()
