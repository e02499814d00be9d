"""Random changes to spectrograms on the device: shifts in time, background noise, and masks.

SpecAugment: Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition",
Interspeech 2019, arXiv:1904.08779, section 2, without time warping. A masked part holds the clip's mean.

Shapes: B batch, H rows of frequency, W frames, M clips of noise.
"""

import math

import torch
from pydantic import Field
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.data.augment import Augment
from tune_mixup.data.front_ends import DB_RANGE


class SpeechAugment(Augment):
    """Random changes to the spectrograms of the training clips; the default changes nothing."""

    time_shift: int = Field(default=0, ge=0, le=100)
    """Each clip is moved by up to so many frames (10 ms each), earlier or later; what is vacated holds its lowest
    value."""
    noise: float = Field(default=0.0, ge=0, le=1)
    """Probability that background noise is added to a clip; for front_end=logmel, and data with _background_noise_."""
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

        images = images.float()
        if self.time_shift:
            drawn = torch.randint(2 * self.time_shift + 1, (size,), device=device, generator=generator)
            images = shift(images, drawn - self.time_shift)
        if self.noise and background is not None:
            chosen = torch.randint(len(background), (size,), device=device, generator=generator)
            gain = self.noise_volume * uniform(size) * (uniform(size) < self.noise)
            images = add_noise(images, background.index_select(0, chosen).float(), gain)
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


def shift(images: Tensor, frames: Tensor) -> Tensor:
    """Images [B, 1, H, W] moved to the right by `frames` int64 [B], to the left where negative."""
    width = images.shape[3]
    source = torch.arange(width, device=images.device) - frames[:, None]
    inside = (source >= 0) & (source < width)
    moved = images.gather(3, source.clamp(0, width - 1)[:, None, None, :].expand(images.shape))
    return torch.where(inside[:, None, None, :], moved, images.amin((1, 2, 3), keepdim=True))


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
