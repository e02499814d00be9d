import pytest
from optuna.samplers import RandomSampler

from benchmarks.search_cost import Clocked, measure


@pytest.mark.slow
def test_at_each_size_every_cost_has_a_row_and_ours_and_the_samplers_are_told_apart():
    found = measure(sizes=(8, 16), window=4, rounds=1)
    assert [one["measurement"].rpartition(", at ")[2] for one in found["rows"]] == ["8 trials"] * 7 + ["16 trials"] * 7
    assert all(one["ours"] > 0 for one in found["rows"])
    ask = found["rows"][0]
    assert ask["other"] > 0 and ask["target"] == "<= 2 ms"
    assert found["cpu_ms"][16]["open"] > found["cpu_ms"][16]["load"] > 0


def test_a_clocked_sampler_says_what_the_sampler_says():
    from optuna import create_study

    drawn = []
    for sampler in (RandomSampler(seed=3), Clocked(lambda: RandomSampler(seed=3), spent := [])):
        drawn.append(create_study(sampler=sampler).ask().suggest_float("x", 0, 1))
    assert drawn[0] == drawn[1]
    assert len(spent) == 4, "made, and asked for a space, for the joint draw and for the one parameter"
