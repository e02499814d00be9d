import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.stopping.asha import AshaRule
from tune_mixup.stopping.base import Seat, smoothed
from tune_mixup.stopping.hyperband import HyperbandRule, bracket_of
from tune_mixup.stopping.median import MedianRule
from tune_mixup.stopping.rungs import grace_of, num_going_on, rung_epochs


@pytest.mark.parametrize(
    ("epochs", "options", "expected"),
    [
        (27, {"grace_epochs": 1, "reduction_factor": 3}, [1, 3, 9]),
        (28, {"grace_epochs": 1, "reduction_factor": 3}, [1, 3, 9]),  # 27 of 28 could save next to nothing
        (31, {"grace_epochs": 1, "reduction_factor": 3}, [1, 3, 9, 27]),
        (300, {"grace_epochs": None, "reduction_factor": 3}, [25, 75, 225]),
        (200, {"grace_epochs": None, "reduction_factor": 3}, [18, 54, 162]),
        (100, {"grace_epochs": None, "reduction_factor": 3}, [18, 54]),
        (50, {"grace_epochs": None, "reduction_factor": 3}, [17]),
        (27, {"grace_epochs": None, "reduction_factor": 3}, [9]),
        (20, {"grace_epochs": None, "reduction_factor": 2}, [7, 14]),
        (12, {"grace_epochs": None, "reduction_factor": 3}, [4]),
        (5, {"grace_epochs": None, "reduction_factor": 3}, [2]),
        (3, {"grace_epochs": None, "reduction_factor": 3}, [1]),
        (2, {"grace_epochs": None, "reduction_factor": 3}, []),
        (1, {"grace_epochs": 1, "reduction_factor": 2}, []),
        (100, {"grace_epochs": 49, "reduction_factor": 10, "drops": (50, 75)}, [51]),
        (100, {"grace_epochs": 50, "reduction_factor": 10, "drops": (50,)}, [51]),
        (100, {"grace_epochs": 40, "reduction_factor": 10, "drops": (50,)}, [40]),
        (100, {"grace_epochs": 25, "reduction_factor": 3, "drops": (50, 75)}, [25, 76]),
    ],
)
def test_rungs(epochs, options, expected):
    assert rung_epochs(epochs, **options) == expected


def test_grace_is_a_third_up_to_54_epochs_and_never_falls():
    graces = {epochs: grace_of(epochs) for epochs in range(1, 1000)}
    assert [graces[epochs] for epochs in (1, 2, 3, 4, 5, 6, 7, 12, 27, 30, 53, 54)] == [
        1, 1, 1, 2, 2, 2, 3, 4, 9, 10, 18, 18
    ]  # fmt: skip
    assert all(epochs <= 3 * graces[epochs] < epochs + 3 for epochs in range(1, 55))
    assert {graces[epochs] for epochs in range(54, 217)} == {18}
    assert all(epochs <= 12 * graces[epochs] < epochs + 12 for epochs in range(216, 1000))
    assert all(graces[epochs] <= graces[epochs + 1] for epochs in range(1, 999))


def test_one_in_three_rounded_up_goes_on():
    assert [num_going_on(num, 3) for num in range(1, 11)] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4]
    assert [num_going_on(num, 2) for num in range(1, 6)] == [1, 1, 2, 2, 3]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 400), st.none() | st.integers(1, 50), st.integers(2, 5), st.lists(st.integers(1, 399), max_size=3)
)
def test_no_rung_before_the_grace_just_before_a_drop_or_near_the_end(epochs, grace, factor, drops):
    margin = max(1, round(0.1 * epochs))
    for rung in rung_epochs(epochs, grace_epochs=grace, reduction_factor=factor, drops=sorted(drops)):
        assert rung >= (grace or min(18, epochs / 3)) and rung < epochs - margin
        assert not any(drop - margin < rung <= drop for drop in drops) or any(drop + 1 == rung for drop in drops)


def test_smoothing_is_the_median_of_the_last_reports():
    values = {1: 0.9, 2: 0.1, 5: 0.3, 6: 0.4, 9: 0.8}
    assert smoothed(values, 1, 5) == 0.9
    assert smoothed(values, 2, 5) == pytest.approx(0.5)
    assert smoothed(values, 6, 3) == 0.3
    assert smoothed(values, 8, 3) == 0.3
    assert smoothed(values, 9, 1) == 0.8


def test_a_rung_by_hand():
    asha = AshaRule("maximize", 3)
    values = {0: 0.5, 1: 0.4, 2: 0.6, 3: 0.55, 4: 0.58, 5: 0.59, 6: 0.7}
    made = {trial: asha.report(trial, 1, value, Seat((1, 3))) for trial, value in values.items()}
    # kept: of the 1, 2, ... 7 that have reached the rung so far the best 1, 1, 1, 2, 2, 2, 3
    assert [trial for trial, decision in made.items() if not decision.stop] == [0, 2, 3, 4, 5, 6]
    assert made[1].why == "epoch 1: 0.4 is number 2 of 2 at the rung of epoch 1; the best 1 go on (cutoff 0.5)"
    assert made[5].plain() == {
        "epoch": 1, "rung": 1, "value": 0.59, "rank": 2, "of": 6, "cutoff": 0.59, "group": "", "stop": False,
        "by": "rung", "why": "epoch 1: 0.59 is number 2 of 6 at the rung of epoch 1; the best 2 go on (cutoff 0.59)",
    }  # fmt: skip
    assert asha.report(0, 2, 0.1, Seat((1, 3))) is None, "a trial that went on is compared at the next rung only"


def test_minimising_turns_the_order_round():
    asha = AshaRule("minimize", 2)
    assert not asha.report(0, 1, 1.0, Seat((1,))).stop
    assert not asha.report(1, 1, 0.5, Seat((1,))).stop
    decision = asha.report(2, 1, 2.0, Seat((1,)))
    assert decision.stop and decision.cutoff == 1.0 and decision.rank == 3


def test_a_rung_decides_by_the_median_of_the_last_reports():
    asha = AshaRule("maximize", 3, smoothing=3)
    for epoch, value in enumerate((0.1, 0.2, 0.9), start=1):
        decision = asha.report(0, epoch, value, Seat((3,)))
    assert decision.value == 0.2
    asha.report(1, 2, 0.4, Seat((3,)))  # fewer reports, fewer to take the median of
    assert asha.report(1, 3, 0.5, Seat((3,))).value == pytest.approx(0.45)


def test_only_trials_of_a_group_are_compared():
    asha = AshaRule("maximize", 3)
    assert not asha.report(0, 1, 0.9, Seat((1,), "weak mixing")).stop
    assert not asha.report(1, 1, 0.1, Seat((1,), "strong mixing")).stop
    decision = asha.report(2, 1, 0.05, Seat((1,), "strong mixing"))
    assert decision.stop and "number 2 of 2 (strong mixing)" in decision.why and decision.group == "strong mixing"


def test_sparse_and_repeated_reports_count_once_and_for_the_highest_rung_reached():
    asha, seat = AshaRule("maximize", 3), Seat((1, 3, 9))
    assert asha.report(0, 5, 0.5, seat).rung == 3
    assert asha.report(0, 5, 0.9, seat) is None
    assert asha.report(0, 4, 0.9, seat) is None
    assert asha.report(0, 15, 0.7, seat).rung == 9
    assert [asha.compared("", rung) for rung in (1, 3, 9)] == [{}, {0: 0.5}, {0: 0.7}]


def test_a_resumed_trial_enters_no_rung_below_the_epoch_it_resumed_from():
    """What Ray 2.60 does after a restore: a trial at epoch 23 sets the mark for the ones at epoch 1."""
    before, seat = AshaRule("maximize", 3), Seat((1, 3, 9, 27))
    reports = [(epoch, epoch / 100) for epoch in range(1, 24)]
    for epoch, value in reports:
        before.report(0, epoch, value, seat)
    after = AshaRule("maximize", 3)
    for epoch, value in reports:
        after.report(0, epoch, value, seat)
    assert after.report(0, 24, 0.24, seat) is None
    assert after.compared("", 1) == {0: 0.01} and after.compared("", 27) == {}
    assert not after.report(1, 1, 0.02, seat).stop


def test_the_control_group_is_compared_and_goes_on():
    asha = AshaRule("maximize", 3)
    asha.report(0, 1, 0.9, Seat((1, 3)))
    spared = Seat((1, 3), spared=True)
    decision = asha.report(1, 1, 0.1, spared)
    assert not decision.stop and decision.why.endswith("it goes on for the control group") and decision.rank == 2
    assert asha.report(1, 2, 0.1, spared) is None
    assert asha.report(2, 1, 0.05, Seat((1, 3))).of == 3


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.integers(2, 5))
def test_the_best_so_far_always_goes_on_and_about_one_in_eta_is_kept(values, factor):
    asha = AshaRule("maximize", factor)
    best = float("-inf")
    for trial, value in enumerate(values):
        stop = asha.report(trial, 1, value, Seat((1,))).stop
        if value >= best:
            assert not stop
        better = sum(other > value for other in values[: trial + 1])
        assert stop == (factor * better >= trial + 1)
        best = max(best, value)


# Hyperband


def test_brackets_come_in_hyperbands_proportions():
    # 4 brackets and eta 3, by hand: ceil(4/4 * 27), ceil(4/3 * 9), ceil(4/2 * 3), ceil(4/1 * 1)
    counts = [0] * 4
    for trial in range(4900):
        counts[bracket_of(trial, 4, reduction_factor=3)] += 1
    assert counts == pytest.approx([2700, 1200, 600, 400], abs=3)
    first = [bracket_of(trial, 4, reduction_factor=3) for trial in range(20)]
    assert set(first) == {0, 1, 2, 3}, "a small sweep has all of them"
    assert {bracket_of(trial, 1, reduction_factor=3) for trial in range(20)} == {0}


def test_a_bracket_begins_at_its_own_rung_and_is_compared_within():
    rule, rungs = HyperbandRule(AshaRule("maximize", 3)), (1, 3, 9)
    brackets = {}
    for trial in range(40):
        brackets.setdefault(bracket_of(trial, 4, reduction_factor=3), trial)
    firsts = {}
    for bracket, trial in brackets.items():
        made = [rule.report(trial, epoch, 0.5 - bracket / 10, Seat(rungs)) for epoch in range(1, 28)]
        firsts[bracket] = [decision.rung for decision in made if decision is not None]
        assert not any(decision.stop for decision in made if decision is not None)
    assert firsts == {0: [1, 3, 9], 1: [3, 9], 2: [9], 3: []}


# Ray's median rule


def by_hand(curves, trial, epoch, grace):
    """Whether the median stopping rule stops `trial`, written out: the others are done, and maximising."""
    means = [
        statistics.fmean(values[grace - 1 : epoch])
        for other, values in curves.items()
        if other != trial and len(values) >= epoch
    ]
    return len(means) >= 3 and max(curves[trial][:epoch]) < statistics.median(means)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_the_median_rule_agrees_with_one_written_out(seed):
    rng = random.Random(seed)
    rule, curves = MedianRule("maximize", grace_epochs=3), {}
    for trial in range(10):
        curves[trial] = [rng.random() + trial % 3 / 2 for _ in range(8)]
        for epoch in range(1, 9):
            decision = rule.report(trial, epoch, curves[trial][epoch - 1], Seat(()))
            expected = epoch >= 3 and by_hand(curves, trial, epoch, 3)
            assert (decision is not None and decision.stop) == expected
            if expected:
                assert f"epoch {epoch}: its best, {max(curves[trial][:epoch]):.4g}," in decision.why
                curves[trial] = curves[trial][:epoch]
                break


def test_the_median_rule_spares_the_control_group_and_learns_from_it():
    rule = MedianRule("minimize", grace_epochs=1)
    for trial in range(3):
        assert rule.report(trial, 1, 1.0, Seat((), spared=trial == 0)) is None
    assert rule.report(3, 1, 5.0, Seat((), spared=True)) is None
    assert rule.report(4, 1, 5.0, Seat(())).stop
    assert math.isfinite(rule.report(5, 1, 6.0, Seat(())).value)
