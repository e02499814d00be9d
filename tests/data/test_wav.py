"""Sounds are written by the standard library, or byte by byte, and read back."""

import os
import struct

import numpy as np
import pytest
from made_files import tone, write_wav

from tune_mixup.data import wav
from tune_mixup.data.wav import BadSound, read_wav

TONE = tone(440, samples=1600)


def chunks(samples, *, tag, bits, rate=16_000, length=None):
    """A WAV file of one channel; `length` is what its header says of it, instead of the truth."""
    data = samples.tobytes()
    body = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, tag, 1, rate, rate * bits // 8, bits // 8, bits)
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_whole_numbers_become_shares_of_full_scale(tmp_path, bits):
    write_wav(tmp_path / "a.wav", TONE, bits=bits)
    read = read_wav(tmp_path / "a.wav", sample_rate=16_000).samples
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, TONE, atol=2 / 2 ** (bits - 1) + 1e-7)


@pytest.mark.parametrize("bits", [32, 64])
def test_floating_point_numbers_are_taken_as_they_are(tmp_path, bits):
    samples = (3 * TONE).astype(f"<f{bits // 8}")
    (tmp_path / "a.wav").write_bytes(chunks(samples, tag=3, bits=bits))
    read = read_wav(tmp_path / "a.wav", sample_rate=16_000).samples
    np.testing.assert_array_equal(read, samples.astype(np.float32))
    assert read.max() > 1


def test_channels_become_their_mean(tmp_path):
    other = tone(1000, samples=1600, loud=0.25)
    write_wav(tmp_path / "a.wav", np.stack([TONE, other], axis=1))
    read = read_wav(tmp_path / "a.wav", sample_rate=16_000).samples
    np.testing.assert_allclose(read, (TONE + other) / 2, atol=1e-4)


def test_only_the_first_seconds_are_read_where_they_are_enough(tmp_path):
    samples = tone(440, samples=40)
    write_wav(tmp_path / "a.wav", samples, rate=16)
    assert len(read_wav(tmp_path / "a.wav", sample_rate=16, seconds=1).samples) == 16
    assert len(read_wav(tmp_path / "a.wav", sample_rate=16, seconds=2).samples) == 32
    assert len(read_wav(tmp_path / "a.wav", sample_rate=16).samples) == 40


def test_the_digest_is_of_all_bytes(tmp_path):
    digests = set()
    for last in (0.1, 0.2, 0.1):
        write_wav(tmp_path / "a.wav", [0.5] * 40 + [last], rate=16)
        digests.add(read_wav(tmp_path / "a.wav", sample_rate=16, seconds=1).digest)
    assert len(digests) == 2


def test_a_length_that_the_writer_did_not_know_is_no_fault(tmp_path):
    samples = (TONE * 32767).astype("<i2")
    (tmp_path / "a.wav").write_bytes(chunks(samples, tag=1, bits=16, length=2**32 - 1))
    assert len(read_wav(tmp_path / "a.wav", sample_rate=16_000).samples) == 1600


whole = chunks((TONE * 32767).astype("<i2"), tag=1, bits=16)
BAD = {
    "empty": (b"", "is empty"),
    "header only": (chunks(np.zeros(0, "<i2"), tag=1, bits=16), "holds no sound"),
    "truncated": (whole[:1000], f"is truncated: 1000 of {len(whole)} bytes"),
    "cut in its header": (whole[:30], f"is truncated: 30 of {len(whole)} bytes"),
    "no header": (b"RIFF", "is no WAV file"),
    "no wav": (b"\x89PNG" + bytes(100), "is no WAV file"),
    "an avi": (b"RIFF\x10\x00\x00\x00AVI LIST" + bytes(100), "is no WAV file"),
    "another codec": (chunks(np.zeros(9, "<i2"), tag=0x7777, bits=16), "can't be decoded ("),
    "another rate": (chunks(np.zeros(9, "<i2"), tag=1, bits=16, rate=8000), "has 8000 samples per second, not 16000"),
    "not finite": (chunks(np.array([0, np.nan], "<f4"), tag=3, bits=32), "holds samples that are not finite"),
    "infinite": (chunks(np.array([0, np.inf], "<f4"), tag=3, bits=32), "holds samples that are not finite"),
}


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD.keys())
def test_what_can_not_be_used_is_refused_with_the_reason(tmp_path, content, reason):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(BadSound) as refused:
        read_wav(tmp_path / "a.wav", sample_rate=16_000)
    assert str(refused.value).startswith(reason) and "\n" not in str(refused.value)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    for name in ("pipe.wav", ".", "none.wav"):
        with pytest.raises(BadSound, match=r"^can't be read \("):
            read_wav(tmp_path / name, sample_rate=16_000)


def test_a_file_of_more_than_the_limit_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(wav, "LARGEST", 2**20)
    with open(tmp_path / "a.wav", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(BadSound, match="has more than 1 MiB"):
        read_wav(tmp_path / "a.wav", sample_rate=16_000)
