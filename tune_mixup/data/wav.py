"""Reading WAV files with libsndfile: what is taken as it is, what is converted, and what is refused.

16-bit, 24-bit, 32-bit, float and compressed samples become float32 with full scale as 1, several channels their mean.
"""

import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tune_mixup.opening import open_regular
from tune_mixup.words import said

LARGEST = 2**28
"""Bytes of a file; more would be no spoken word, and not fit beside others into memory."""
_OPEN_END = 2**32 - 1
"""The length that a program writes which does not know it yet."""


class Sound(NamedTuple):
    """Samples float32 [T], 0 <= T, and a digest of the file's bytes."""

    samples: NDArray[np.float32]
    digest: bytes


class BadSound(ValueError):
    """A file that can't be used; its text goes on from the file's name."""


def read_wav(path: Path, *, sample_rate: int, seconds: int | None = None) -> Sound:
    """The sound of a WAV file, its first `seconds` where given.

    Raises BadSound for one that is empty, truncated, no WAV file, has another sample rate or numbers that are not
    finite.
    """
    import soundfile  # loads a shared library, which those who read no sound need not have

    content = _content(path)
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as opened:
            if opened.samplerate != sample_rate:
                raise BadSound(f"has {opened.samplerate} samples per second, not {sample_rate}")
            count = -1 if seconds is None else seconds * sample_rate
            channels: NDArray[np.float32] = opened.read(count, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise BadSound(f"can't be decoded ({said(error, 80)})") from error
    if not len(channels):
        raise BadSound("holds no sound")
    samples = channels.mean(axis=1) if channels.shape[1] > 1 else channels[:, 0]
    if not np.isfinite(samples).all():
        raise BadSound("holds samples that are not finite")
    return Sound(samples, hashlib.blake2b(content, digest_size=16).digest())


def _content(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise BadSound(f"can't be read ({error.strerror or said(error, 80)})") from error
    if not content:
        raise BadSound("is empty")
    if len(content) > LARGEST:
        raise BadSound(f"has more than {LARGEST // 2**20} MiB")
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise BadSound("is no WAV file")
    length = int.from_bytes(content[4:8], "little")
    if length != _OPEN_END and length + 8 > len(content):  # libsndfile would take what is there as the whole
        raise BadSound(f"is truncated: {len(content)} of {length + 8} bytes")
    return content
