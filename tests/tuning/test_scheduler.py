import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.tuning.scheduler import Asha, rung_epochs


@pytest.mark.parametrize(
    ("epochs", "options", "expected"),
    [
        (27, {"grace_epochs": 1, "reduction_factor": 3}, [1, 3, 9]),
        (28, {"grace_epochs": 1, "reduction_factor": 3}, [1, 3, 9, 27]),
        (100, {"grace_epochs": None, "reduction_factor": 3}, [10, 30, 90]),
        (12, {"grace_epochs": None, "reduction_factor": 3}, [5]),
        (5, {"grace_epochs": None, "reduction_factor": 3}, []),
        (100, {"grace_epochs": 49, "reduction_factor": 10, "drops": (50, 75)}, [51]),
        (100, {"grace_epochs": 50, "reduction_factor": 10, "drops": (50,)}, [51]),
        (100, {"grace_epochs": 40, "reduction_factor": 10, "drops": (50,)}, [40]),
        (100, {"grace_epochs": 25, "reduction_factor": 3, "drops": (50, 75)}, [25, 76]),
    ],
)
def test_rungs(epochs, options, expected):
    assert rung_epochs(epochs, **options) == expected


def test_a_rung_by_hand():
    asha = Asha(direction="maximize", reduction_factor=3)
    values = {0: 0.5, 1: 0.4, 2: 0.6, 3: 0.55, 4: 0.58, 5: 0.59, 6: 0.7}
    stops = {trial: asha.report(trial, 1, value, [1, 3]) for trial, value in values.items()}
    # kept: the best max(1, n // 3) of the n that have reached the rung so far
    assert [trial for trial, stop in stops.items() if stop is None] == [0, 2, 5, 6]
    assert stops[1] == "epoch 1: 0.4 is number 2 of 2 at the rung of epoch 1; the best 1 go on (cutoff 0.5)"


def test_minimising_turns_the_order_round():
    asha = Asha(direction="minimize", reduction_factor=2)
    assert asha.report(0, 1, 1.0, [1]) is None
    assert asha.report(1, 1, 0.5, [1]) is None
    assert asha.report(2, 1, 2.0, [1]) is not None


def test_sparse_and_repeated_reports_count_once_and_for_the_highest_rung_reached():
    asha = Asha(direction="maximize", reduction_factor=3)
    asha.report(0, 5, 0.5, [1, 3, 9])
    asha.report(0, 5, 0.9, [1, 3, 9])
    asha.report(0, 4, 0.9, [1, 3, 9])
    asha.report(0, 15, 0.7, [1, 3, 9])
    assert asha.rungs == {3: {0: 0.5}, 9: {0: 0.7}}


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(2, 4), st.sampled_from(["maximize", "minimize"]))
def test_replaying_the_reports_restores_the_decisions(seed, factor, direction):
    """A scheduler rebuilt half-way decides the rest exactly as the one that was never lost."""
    rng = random.Random(seed)
    rungs = [1, 3, 9]
    running, reports, whole = {}, [], Asha(direction=direction, reduction_factor=factor)
    decisions = []
    for _ in range(60):
        trial = rng.choice([*running, len(running)])
        running[trial] = running.get(trial, 0) + 1
        report = (trial, running[trial], rng.choice([0.1, 0.2, rng.random()]))
        reports.append(report)
        decisions.append(whole.report(*report, rungs))
    half = rng.randrange(60)
    rebuilt = Asha(direction=direction, reduction_factor=factor)
    history = sorted(reports[:half])  # as a record gives them: by trial, not by time
    for report in history:
        rebuilt.report(*report, rungs)
    assert [rebuilt.report(*report, rungs) for report in reports[half:]] == decisions[half:]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.integers(2, 5))
def test_the_best_so_far_always_goes_on_and_about_one_in_eta_is_kept(values, factor):
    asha = Asha(direction="maximize", reduction_factor=factor)
    best = float("-inf")
    for trial, value in enumerate(values):
        stop = asha.report(trial, 1, value, [1])
        if value >= best:
            assert stop is None
        better = sum(other > value for other in values[: trial + 1])
        assert (stop is None) == (better < max(1, (trial + 1) // factor))
        best = max(best, value)
