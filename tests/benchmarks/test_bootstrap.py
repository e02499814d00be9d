"""Intervals by resampling, against a slow loop with a generator of its own and against the closed form."""

import math
import random
import statistics

import numpy as np
import pytest

from benchmarks.bootstrap import crossed_interval, crossed_mean, interval


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


def slow_crossed(values, first, resamples=3000):
    """Draw searches and seeds in plain Python, and take a value as often as its search and both of its seeds came."""
    drawn = random.Random(3)
    searches, seeds = len(values), len(values[0])
    found = []
    for _ in range(resamples):
        chosen = drawn.choices(range(searches), k=searches)
        came = [0] * seeds
        for seed in drawn.choices(range(seeds), k=seeds):
            came[seed] += 1
        taken = [
            (came[first[search]] * came[seed], values[search][seed])
            for search in chosen
            for seed in range(seeds)
            if not math.isnan(values[search][seed])
        ]
        if sum(weight for weight, _ in taken):
            found.append(sum(weight * value for weight, value in taken) / sum(weight for weight, _ in taken))
    found.sort()
    return found[round(0.025 * len(found))], found[round(0.975 * len(found)) - 1]


def test_searches_and_seeds_are_resampled_crossed():
    rng = np.random.default_rng(5)
    values = rng.normal(0, 1, (12, 1)) + rng.normal(0, 1, (1, 6)) + rng.normal(0, 0.3, (12, 6))
    first = rng.integers(0, 6, 12)
    values[np.arange(12), first] = np.nan
    low, high = crossed_interval(values, first)
    assert (low, high) == pytest.approx(slow_crossed(values.tolist(), first.tolist()), abs=0.12)
    assert crossed_mean(values) == pytest.approx(statistics.fmean(v for v in values.ravel() if not math.isnan(v)))
    searches_alone = interval([np.nanmean(values, axis=1)], np.mean)
    assert high - low > 1.2 * (searches_alone[1] - searches_alone[0]), "the seeds that all share are part of it"
