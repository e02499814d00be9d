"""Random changes to spectrograms or waveforms on the device: shifts in time, background noise, and masks.

SpecAugment: Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition",
Interspeech 2019, arXiv:1904.08779, section 2, without time warping. A masked part holds the clip's mean.

Shapes: B batch, H rows of frequency, W frames or samples, M clips of noise. A waveform has one row.
"""

import math

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from typing_extensions import override

from tune_mixup.data.augment import Augment
from tune_mixup.data.front_ends import DB_RANGE, FRONT_ENDS, FrontEnd, Name, full_scale

HOP = FRONT_ENDS["logmel"].hop
"""Samples of the 10 ms that shifts count by."""


class SpeechAugment(Augment):
    """Random changes to the training clips; the default changes nothing.

    Of waveforms, what is shifted and added are samples, before clips are mixed; masks are for their pictures.
    """

    time_shift: int = Field(default=0, ge=0, le=100)
    """Each clip is moved by up to so many frames (10 ms each), earlier or later; what is vacated holds its lowest
    value. Waveforms are moved by any number of samples up to that, and silence follows."""
    noise: float = Field(default=0.0, ge=0, le=1)
    """Probability that background noise is added to a clip; for data with _background_noise_, and front_end=logmel or
    mix_on=waveforms."""
    noise_volume: float = Field(default=0.1, gt=0, le=1)
    """The noise's amplitude is multiplied by a number from 0 to this, drawn for each clip."""
    frequency_masks: int = Field(default=0, ge=0)
    """How many bands of frequencies are hidden in each clip."""
    frequency_mask: int = Field(default=15, ge=1)
    """Most rows of such a band; each has 0 to so many, all equally likely."""
    time_masks: int = Field(default=0, ge=0)
    """How many stretches of time are hidden in each clip."""
    time_mask: int = Field(default=25, ge=1, le=101)
    """Most frames of such a stretch; each has 0 to so many, all equally likely."""

    @override
    def check(self, background: Tensor | None) -> None:
        if self.noise and background is None:
            raise ValueError(
                f"data.augment.noise: got {self.noise:g}, but the data has no folder _background_noise_ with WAV files;"
                " add one, or leave the noise out"
            )

    @override
    def vary(self, images: Tensor, *, background: Tensor | None, generator: Generator) -> Tensor:
        size, device = len(images), images.device

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, device=device, generator=generator)

        waveforms = is_waveform(images)
        images = full_scale(images)
        if self.time_shift:
            most = self.time_shift * (HOP if waveforms else 1)
            drawn = torch.randint(2 * most + 1, (size,), device=device, generator=generator)
            images = shift(images, drawn - most)
        if self.noise and background is not None:
            chosen = torch.randint(len(background), (size,), device=device, generator=generator)
            gain = self.noise_volume * uniform(size) * (uniform(size) < self.noise)
            noise = full_scale(background.index_select(0, chosen))
            images = images + gain[:, None, None, None] * noise if waveforms else add_noise(images, noise, gain)
        return images if waveforms else self.mask(images, generator=generator)

    def mask(self, images: Tensor, *, generator: Generator | None) -> Tensor:
        """Pictures [B, 1, H, W] with bands and stretches hidden; None draws from torch's own generator."""
        size, device = len(images), images.device

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, device=device, generator=generator)

        if self.frequency_masks or self.time_masks:
            mean = images.mean((1, 2, 3), keepdim=True)
            height, width = images.shape[2:]
            for _ in range(self.frequency_masks):
                hidden = stretch(uniform(size, 2), most=self.frequency_mask, length=height)
                images = torch.where(hidden[:, None, :, None], mean, images)
            for _ in range(self.time_masks):
                hidden = stretch(uniform(size, 2), most=self.time_mask, length=width)
                images = torch.where(hidden[:, None, None, :], mean, images)
        return images


class SoundPictures(nn.Module):
    """The pictures of waveforms that have been mixed: what a network has before its stem.

    Masks are drawn as dropout is, from torch's own generator, and in training mode alone.
    """

    def __init__(self, front_end: Name, augment: SpeechAugment) -> None:
        super().__init__()
        self.front_end = FrontEnd(front_end)
        self.augment = augment

    @override
    def forward(self, waveforms: Tensor) -> Tensor:
        """Pictures float32 [B, 1, H, 101] of waveforms int16, or float with full scale as 1, [B, 1, 1, T]."""
        pictures: Tensor = self.front_end(full_scale(waveforms).flatten(1))
        return self.augment.mask(pictures, generator=None) if self.training else pictures


def is_waveform(images: Tensor) -> bool:
    """Whether images [B, 1, H, W] are waveforms, which have one row; every front end's pictures have more."""
    return images.shape[2] == 1


def shift(images: Tensor, frames: Tensor) -> Tensor:
    """Images [B, 1, H, W] moved to the right by `frames` int64 [B], to the left where negative."""
    width = images.shape[3]
    source = torch.arange(width, device=images.device) - frames[:, None]
    inside = (source >= 0) & (source < width)
    moved = images.gather(3, source.clamp(0, width - 1)[:, None, None, :].expand(images.shape))
    vacated = images.new_zeros(()) if is_waveform(images) else images.amin((1, 2, 3), keepdim=True)
    return torch.where(inside[:, None, None, :], moved, vacated)


def add_noise(images: Tensor, noise: Tensor, gain: Tensor) -> Tensor:
    """Images of the front end `logmel` [B, 1, H, W] with the power of noise of the same shape times gain [B] squared.

    Sound and noise know nothing of each other, so that on average their powers add up. A gain of 0 changes nothing.
    """
    low, high = DB_RANGE
    # The power as a multiple of that at 0, whose logarithm is the image but for a factor.
    scale = (high - low) / 10 * math.log(10)
    added = (noise * scale).exp() * gain[:, None, None, None].square()
    return torch.where(gain[:, None, None, None] > 0, ((images * scale).exp() + added).log() / scale, images).clamp(
        0, 1
    )


def stretch(drawn: Tensor, *, most: int, length: int) -> Tensor:
    """Which of `length` places are hidden, bool [B, length], by numbers `drawn` [B, 2] from 0 to less than 1.

    The first says how many, 0 to `most` in one piece; the second where it begins.
    """
    count = (drawn[:, :1] * (most + 1)).long()
    first = (drawn[:, 1:] * (length - count + 1)).long()
    place = torch.arange(length, device=drawn.device)
    return (place >= first) & (place < first + count)
