"""Intervals by resampling, against a slow loop with a generator of its own and against the closed form."""

import math
import random
import statistics

import numpy as np
import pytest

from benchmarks.bootstrap import interval


def slow(samples, statistic, resamples=4000):
    """Resample in plain Python and take the ranks at 2.5 and 97.5 %."""
    drawn = random.Random(7)
    found = sorted(statistic(*(drawn.choices(sample, k=len(sample)) for sample in samples)) for _ in range(resamples))
    return found[round(0.025 * resamples)], found[round(0.975 * resamples)]


def test_a_mean_has_the_interval_of_the_normal_law():
    sample = np.random.default_rng(1).normal(5.0, 2.0, 2000)
    half = 1.96 * sample.std() / math.sqrt(len(sample))
    assert interval([sample], np.mean) == pytest.approx((sample.mean() - half, sample.mean() + half), abs=0.08 * half)


def test_two_samples_are_resampled_each_by_itself():
    upper, lower = (np.random.default_rng(seed).exponential(scale, 60) for seed, scale in ((2, 3.0), (3, 1.0)))

    def ratio(upper, lower, axis):
        return np.median(upper, axis=axis) / np.median(lower, axis=axis)

    expected = slow(
        [upper.tolist(), lower.tolist()], lambda one, other: statistics.median(one) / statistics.median(other)
    )
    assert interval([upper, lower], ratio) == pytest.approx(expected, rel=0.06)


def test_a_sample_without_spread_is_sure_and_the_same_sample_has_the_same_interval():
    assert interval([np.full(9, 0.25)], np.mean) == (0.25, 0.25)
    sample = np.arange(10.0)
    assert interval([sample], np.median) == interval([sample], np.median)
