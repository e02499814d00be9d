"""Spectrograms against the recorded numbers of published code, and against transforms in loops."""

import math

import numpy as np
import pytest
import torch
from golden import cases
from made_files import tone

from tune_mixup.data import front_ends
from tune_mixup.data.front_ends import FRAMES, FRONT_ENDS, spectrograms

STANDARDISED = ["spectrogram", "spectrogram_108", "log_magnitude"]


def of(samples, front_end):
    return spectrograms(torch.as_tensor(np.asarray(samples)).float()[None], front_end)[0, 0].double().numpy()


@pytest.mark.parametrize(("front_end", "recorded"), [("spectrogram_108", "a"), ("log_magnitude", "b")])
def test_published_front_ends_give_the_recorded_numbers(front_end, recorded):
    for settings, arrays in cases("speech_1", "speech_2"):
        if recorded == "b" and settings["samples"] > 16_000:
            continue  # which that code cuts after the transform, as the table says
        waveform = torch.tensor(arrays["waveform"]).float()[None] / 2**15
        found = spectrograms(waveform, front_end)[0, 0].numpy()
        np.testing.assert_allclose(found, arrays[f"{recorded}_spectrogram"].astype(np.float32), atol=1e-2)
        np.testing.assert_allclose(found[::5, ::5], arrays[f"{recorded}_spectrogram_subgrid_5"], atol=1e-4)


def power(samples, *, n_fft, hop, frames):
    """Power [H, frames] by sums over each frame, of a periodic Hann window around every `hop`-th sample."""
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / n_fft) for n in range(n_fft)])
    padded = np.pad(samples, n_fft // 2, mode="reflect")
    turns = np.exp(-2j * np.pi * np.outer(np.arange(n_fft // 2 + 1), np.arange(n_fft)) / n_fft)
    return np.stack([np.abs(turns @ (window * padded[i * hop : i * hop + n_fft])) ** 2 for i in range(frames)], axis=1)


def noisy(seed=0):
    draw = np.random.default_rng(seed)
    return 0.1 * draw.standard_normal(16_000) + tone(1234) * np.linspace(0, 1, 16_000)


@pytest.mark.parametrize(("front_end", "hop", "all_frames"), [("spectrogram", 160, 101), ("spectrogram_108", 149, 108)])
def test_spectrograms_are_standardised_decibels_of_the_power(front_end, hop, all_frames):
    decibels = 10 * np.log10(power(noisy(), n_fft=318, hop=hop, frames=all_frames))
    expected = (decibels - decibels.mean()) / decibels.std(ddof=1)
    np.testing.assert_allclose(of(noisy(), front_end), expected[:, :101], atol=1e-3)


def test_log_mel_is_the_power_in_triangles_on_the_mel_scale():
    """Triangles between 66 points, equally far apart on the scale 2595 log10(1 + f / 700), from 0 to 8 kHz."""
    mels = [2595 * math.log10(1 + 8000 / 700) * i / 65 for i in range(66)]
    points = [700 * (10 ** (mel / 2595) - 1) for mel in mels]
    bands = np.zeros((64, 201))
    for band in range(64):
        low, top, high = points[band : band + 3]
        for place in range(201):
            frequency = place * 16_000 / 400
            bands[band, place] = max(0.0, min((frequency - low) / (top - low), (high - frequency) / (high - top)))
    decibels = 10 * np.log10(np.maximum(bands @ power(noisy(), n_fft=400, hop=160, frames=101), 1e-10))
    np.testing.assert_allclose(of(noisy(), "logmel"), np.clip((decibels + 100) / 150, 0, 1), atol=1e-4)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_every_front_end_has_the_shape_that_it_says(front_end):
    for count, samples in ((1, 1), (3, 15_999), (2, 16_000), (1, 16_001), (1, 40_000)):
        made = spectrograms(torch.zeros(count, samples), front_end)
        assert made.shape == (count, 1, FRONT_ENDS[front_end].height, FRAMES) and made.dtype == torch.float32


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_silence_is_zero_everywhere(front_end):
    assert not spectrograms(torch.zeros(2, 16_000), front_end).any()


@pytest.mark.parametrize("level", [0.1, -33.3, 7e-3, 1e4])
def test_what_is_the_same_everywhere_becomes_0_when_it_is_standardised(level):
    """The mean in float32 is off by a rounding, which would be divided by almost nothing."""
    other = torch.tensor(noisy())[:10_000].reshape(100, 100)
    pictures = torch.stack([torch.full((100, 100), level), other.float()])
    found = front_ends._standardised(pictures)
    assert not found[0].any() and found[1].any()


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_a_clip_does_not_depend_on_those_beside_it(front_end):
    loud, quiet = noisy(1), 1e-3 * noisy(2)
    both = spectrograms(torch.tensor(np.stack([loud, quiet])), front_end)
    for place, clip in enumerate((loud, quiet)):
        np.testing.assert_allclose(both[place, 0], of(clip, front_end), atol=1e-5)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_a_short_clip_is_followed_by_silence_and_a_long_one_is_cut(front_end):
    short = noisy()[:9000]
    np.testing.assert_array_equal(of(short, front_end), of(np.pad(short, (0, 7000)), front_end))
    np.testing.assert_array_equal(of(np.tile(noisy(), 2), front_end), of(noisy(), front_end))


@pytest.mark.parametrize("frequency", [500, 2000, 6000])
def test_a_tone_is_loudest_in_its_own_row(frequency):
    for front_end, rate in (("spectrogram", 318), ("spectrogram_108", 318), ("log_magnitude", 320)):
        assert of(tone(frequency), front_end)[:, 50].argmax() == round(frequency * rate / 16_000)


@pytest.mark.parametrize("front_end", STANDARDISED)
def test_standardised_clips_have_mean_0_and_deviation_1(front_end):
    found = of(noisy(), front_end)
    cut = 0.1 if front_end == "spectrogram_108" else 1e-5  # seven frames of 108 are counted and cut off
    assert abs(found.mean()) < cut and abs(found.std(ddof=1) - 1) < cut


def test_the_loudest_sound_is_below_the_top_of_the_scale():
    square = np.sign(tone(440, loud=1.0))
    assert 0.8 < max(of(square, "logmel").max(), of(tone(300, loud=1.0), "logmel").max()) < 1
