"""Every recording of a task as a spectrogram or a waveform, read by many threads."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tune_mixup.activity import doing
from tune_mixup.data.bad_files import BadFiles, OnError
from tune_mixup.data.base import Split
from tune_mixup.data.fingerprint import of_parts
from tune_mixup.data.front_ends import FRAMES, FRONT_ENDS, SAMPLE_RATE, Name, spectrograms
from tune_mixup.data.image_cache import Contents
from tune_mixup.data.speech_layout import TASK_SEED, Layout, Recording, share
from tune_mixup.data.speech_words import NOISE, PARTS, SILENCE
from tune_mixup.data.wav import BadSound, Sound, read_wav
from tune_mixup.seeding import generator

_CHUNK = 256
"""Recordings that are read and transformed together."""
_STRETCHES = {"train": (0.0, 0.8), "val": (0.8, 0.9), "test": (0.9, 1.0)}
"""Which share of each noise recording a part has, so that no noise is in two of them."""

_Samples = NDArray[np.float32]


def bad_files(layout: Layout, why: Mapping[str, str]) -> BadFiles:
    """The recordings of a layout that can't be used."""
    return BadFiles(why, len(layout.recordings) + len(layout.noise), layout.folder, "recordings")


def check(bad: BadFiles, on_error: OnError) -> None:
    """Raise ValueError that lists the bad recordings, unless they are to be left out."""
    rates = any("samples per second" in reason for reason in bad.why.values())
    bad.check(on_error, remedy=", or set data.sample_rate to what all have" if rates else "")


def spectrograms_of(layout: Layout, *, front_end: Name | None, sample_rate: int, on_error: OnError) -> Contents:
    """Every recording as `front_end` shows it; None: its waveform, int16 [1, 1, 16000].

    Those that can't be used are refused or left out. Raises ValueError that lists them, or for a word of which none is
    left to train on.
    """
    count = len(layout.recordings)
    shape, dtype = _form(front_end)
    images = torch.empty(count, *shape, dtype=dtype)
    kept: list[Recording] = []
    digests: list[bytes] = []
    sounds = _Sounds(layout.folder, sample_rate)

    def pictures(clips: Sequence[_Samples]) -> Tensor:
        return _pictures(clips, front_end, sample_rate)

    with doing(f"reading {count:,} recordings, {layout.rule}", of=count) as done, _pool() as pool:
        for first in range(0, count, _CHUNK):
            chunk = layout.recordings[first : first + _CHUNK]
            read = pool.map(sounds.first_second, [one.relative for one in chunk])
            good = [(one, sound) for one, sound in zip(chunk, read, strict=True) if sound is not None]
            if good and (on_error == "skip" or not sounds.bad):
                images[len(kept) : len(kept) + len(good)] = pictures([sound.samples for _, sound in good])
            kept += [one for one, _ in good]
            digests += [sound.digest for _, sound in good]
            done(first + len(chunk))
        heard = [*zip(layout.noise, pool.map(sounds.whole, [one.relative for one in layout.noise]), strict=True)]
    bad = {
        one.relative: sounds.bad[one.relative]
        for one in (*layout.recordings, *layout.noise)
        if one.relative in sounds.bad
    }
    check(bad_files(layout, bad), on_error)
    _check_words(layout, kept)
    noise = [(one, sound) for one, sound in heard if sound is not None]
    layout, images = layout._replace(recordings=tuple(kept)), images[: len(kept)]
    number = {name: k for k, name in enumerate(layout.class_names)}
    targets = torch.tensor([number[one.class_name] for one in layout.recordings])
    parts = {}
    for part in PARTS:
        chosen = torch.tensor([one.part == part for one in layout.recordings])
        parts[part] = Split(images[chosen], targets[chosen])
        if SILENCE in number and (made := _silence(layout, part, [sound.samples for _, sound in noise], sample_rate)):
            silent = Split(pictures(made), torch.full((len(made),), number[SILENCE]))
            parts[part] = Split(*(torch.cat(both) for both in zip(parts[part], silent, strict=True)))
    if pieces := [piece for _, sound in noise for piece in _pieces(sound.samples, sample_rate)]:
        parts["background"] = Split(pictures(pieces), torch.zeros(len(pieces), dtype=torch.int64))
    trained = [
        text
        for one, digest in zip(layout.recordings, digests, strict=True)
        if one.part != "test"  # which nothing but `evaluate` opens
        for text in (one.relative, one.part, digest)
    ]
    background = [text for one, sound in noise for text in (one.relative, sound.digest)]
    fingerprint = of_parts([repr(layout.class_names), *trained, *background])
    return Contents(layout.class_names, parts, fingerprint, bad=bad, split_off=False)


class _Sounds:
    """Reads recordings and remembers those that can't be used."""

    def __init__(self, folder: Path, sample_rate: int) -> None:
        self.folder = folder
        self.sample_rate = sample_rate
        self.bad: dict[str, str] = {}

    def first_second(self, relative: str) -> Sound | None:
        """The beginning of a recording; None for a file that can't be used."""
        return self._read(relative, seconds=1)

    def whole(self, relative: str) -> Sound | None:
        """All of a recording; None for a file that can't be used."""
        return self._read(relative, seconds=None)

    def _read(self, relative: str, *, seconds: int | None) -> Sound | None:
        try:
            return read_wav(self.folder / relative, sample_rate=self.sample_rate, seconds=seconds)
        except BadSound as error:
            self.bad[relative] = str(error)
            return None


def _check_words(layout: Layout, kept: Sequence[Recording]) -> None:
    """Raise ValueError for a word of which no recording for training can be used."""
    left = {one.class_name for one in kept if one.part == "train"}
    for name in layout.class_names:
        if name not in left and name != SILENCE:
            raise ValueError(f"no recording of {name!r} for training can be used; add whole ones to {layout.folder}")


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)))


def _form(front_end: Name | None) -> tuple[tuple[int, int, int], torch.dtype]:
    if front_end is None:
        return (1, 1, SAMPLE_RATE), torch.int16
    return (1, FRONT_ENDS[front_end].height, FRAMES), torch.float16


def _pictures(clips: Sequence[_Samples], front_end: Name | None, sample_rate: int) -> Tensor:
    """What `_form` says [N, ...], of clips of at most a second, each followed by silence up to that.

    Waveforms are rounded to 16 bits, which most recordings have, and cut at full scale.
    """
    from torchaudio.functional import resample

    samples = np.zeros((len(clips), sample_rate), dtype=np.float32)
    for row, clip in zip(samples, clips, strict=True):
        row[: len(clip)] = clip[:sample_rate]
    made = torch.from_numpy(samples)
    if sample_rate != SAMPLE_RATE:
        made = resample(made, sample_rate, SAMPLE_RATE)
    if front_end is None:
        return (made * 2**15).round_().clamp_(-(2**15), 2**15 - 1).to(torch.int16)[:, None, None]
    return spectrograms(made, front_end).half()


def _silence(layout: Layout, part: str, noise: Sequence[_Samples], sample_rate: int) -> list[_Samples]:
    """Seconds of the noise at random places of the part's stretch, each with a random volume from 0 to 1."""
    wanted = share(layout.recordings, part)
    stretches = [stretch for sound in noise if len(stretch := _stretch(sound, part)) >= sample_rate]
    if wanted and not stretches:
        raise ValueError(
            f"data.task=12: {layout.folder / NOISE} has no WAV file of 10 seconds or more, of which {SILENCE} is made; "
            "add one"
        )
    made = []
    draws = generator(TASK_SEED, "split", epoch=len(PARTS) + PARTS.index(part))
    for which, place, volume in torch.rand(wanted, 3, generator=draws, dtype=torch.float64).tolist():
        stretch = stretches[int(which * len(stretches))]
        first = int(place * (len(stretch) - sample_rate + 1))
        made.append(stretch[first : first + sample_rate] * np.float32(volume))
    return made


def _stretch(sound: _Samples, part: str) -> _Samples:
    first, last = _STRETCHES[part]
    return sound[int(first * len(sound)) : int(last * len(sound))]


def _pieces(sound: _Samples, sample_rate: int) -> list[_Samples]:
    """The seconds of a noise recording that are for training, one after another."""
    stretch = _stretch(sound, "train")
    return [stretch[first : first + sample_rate] for first in range(0, len(stretch) - sample_rate + 1, sample_rate)]
