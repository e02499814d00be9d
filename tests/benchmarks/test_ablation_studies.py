"""Simulated ablations, a few of them: what they draw, what they count, and that large effects are found early."""

import numpy as np
import pytest

from benchmarks.ablation_studies import _drawn, _study, measure


def test_paired_differences_have_the_planted_effect_and_a_spread_of_one():
    drawn = _drawn((2.0, 0.0), 20_000, 3)
    assert list(drawn) == ["full", "a0", "a1"]
    for arm, effect in (("a0", 2.0), ("a1", 0.0)):
        differences = np.subtract(drawn[arm], drawn["full"])
        assert differences.mean() == pytest.approx(effect, abs=0.03) and differences.std() == pytest.approx(1, abs=0.02)
    assert np.corrcoef(drawn["a0"], drawn["full"])[0, 1] > 0.6  # what a seed does is done to all arms


def test_a_study_counts_the_runs_of_each_arm_up_to_its_end():
    found = _study((6.0, 0.0), (4, 12), 0)
    assert found.different[0] and found.runs <= 3 * 12
    assert _study((6.0, 0.0), (12,), 0).runs == 36
    alone = _study((40.0,), (4, 12), 1)
    assert alone.different == (True,) and alone.runs == 2 * 4  # the reference ends with the last arm


def test_a_few_studies_come_out_as_they_must():
    found = measure(studies=6, looks=(4, 8))
    rows = {row["measurement"]: row for row in found["rows"]}
    assert rows["runs used of the fixed design's: five arms like the reference"]["ours"] < 90
    assert rows["arms found that differ: all five differ by 2 SD"]["other"] > 70
    for pairs in (8, 20):
        assert rows[f"95 % paired t intervals of {pairs} pairs that hold the difference"]["ours"] > 60
