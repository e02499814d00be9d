import hashlib
import math
import random

import pytest
from fake_worker import create, plan, work
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tune_mixup.search.control import (
    Course,
    Evidence,
    chance_best_stopped,
    chance_of_any,
    evidence,
    interval,
    is_control,
    telling,
    within,
)
from tune_mixup.search.control_group import ControlGroup
from tune_mixup.search.seats import Seats
from tune_mixup.search.session import Session

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


def group(seed, fraction, count):
    return [number for number in range(count) if is_control(number, seed=seed, fraction=fraction)]


# Who is in it


@pytest.mark.parametrize("seed", range(20))
def test_five_percent_but_two_of_the_first_twenty(seed):
    chosen = group(seed, 0.05, 400)
    assert [sum(number < end for number in chosen) for end in (10, 20, 40, 60, 80, 400)] == [1, 2, 2, 3, 4, 20]


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 1000), st.floats(0.002, 1), st.integers(20, 300))
def test_the_share_is_the_fraction_and_never_fewer_than_two(seed, fraction, count):
    chosen = group(seed, fraction, count)
    assert len(chosen) >= 2
    assert abs(len(chosen) - fraction * count) <= 2


def test_none_all_and_another_seed():
    assert group(0, 0.0, 100) == [] and group(0, 1.0, 30) == list(range(30))
    assert len({tuple(group(seed, 0.05, 100)) for seed in range(10)}) == 10


# What it says


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=30))
def test_within_one_stratum_it_is_spearmans_correlation(pairs):
    ours = within([pairs])
    if len({one for one, _ in pairs}) == 1 or len({other for _, other in pairs}) == 1:
        assert ours is None
    else:
        assert ours == pytest.approx(stats.spearmanr(*zip(*pairs, strict=True)).statistic, abs=1e-9)


def test_strata_that_differ_do_not_count_as_correlation():
    slow = [(0.1, 0.93), (0.2, 0.95), (0.3, 0.94)]  # strong mixing: low at the rung, high at the end
    fast = [(0.8, 0.91), (0.7, 0.90), (0.9, 0.92)]
    assert within([[*slow, *fast]]) < 0
    # by hand: the ranks less their mean are (-1, 0, 1), (-1, 1, 0) and (0, -1, 1), (0, -1, 1): (1 + 0 + 0 + 2) / 4
    assert within([slow, fast]) == pytest.approx((1 + 2) / 4)


def test_the_interval_covers_the_true_correlation():
    rng = random.Random(0)
    true = 0.6
    spearman = 6 / math.pi * math.asin(true / 2)
    covered = 0
    for _ in range(400):
        values = [rng.gauss(0, 1) for _ in range(12)]
        pairs = [(value, true * value + math.sqrt(1 - true**2) * rng.gauss(0, 1)) for value in values]
        low, high = interval(within([pairs]), 12)
        covered += low <= spearman <= high
    assert 0.92 <= covered / 400 <= 0.99


def test_few_trials_say_little():
    assert interval(1.0, 3) == (-1, 1) and interval(None, 50) == (-1, 1)
    low, high = interval(1.0, 4)
    assert low < 0 < high < 1, "four in perfect order may be luck"
    assert interval(1.0, 30)[0] > 0.95
    assert interval(0.5, 20) == tuple(-bound for bound in reversed(interval(-0.5, 20)))


@pytest.mark.parametrize(
    ("correlation", "compared", "factor"), [(0.8, 27, 3), (0.3, 28, 3), (0.0, 10, 3), (0.9, 81, 4)]
)
def test_the_chance_that_the_best_is_stopped_against_draws(correlation, compared, factor):
    rng, stopped, rounds = random.Random(1), 0, 3000
    r = 2 * math.sin(math.pi * correlation / 6)
    for _ in range(rounds):
        finals = [rng.gauss(0, 1) for _ in range(compared)]
        rungs = [r * final + math.sqrt(1 - r * r) * rng.gauss(0, 1) for final in finals]
        best = finals.index(max(finals))
        stopped += sum(value > rungs[best] for value in rungs) >= -(-compared // factor)
    assert chance_best_stopped(correlation, compared, factor) == pytest.approx(stopped / rounds, abs=0.04)


def test_the_chance_at_the_ends():
    assert chance_best_stopped(0.5, 1, 3) == 0
    assert chance_best_stopped(1.0, 100, 3) < 1e-6 and chance_best_stopped(-1.0, 100, 3) > 0.999
    table = [about(10, 0.5, best_stopped=0.2), about(30, 0.5, best_stopped=0.5), about(90, None, best_stopped=None)]
    assert chance_of_any(table) == pytest.approx(0.6) and chance_of_any(table[2:]) is None


def about(rung, correlation, *, freedom=20, high=0.9, best_stopped=0.1):
    return Evidence(rung, freedom, correlation, -0.5, high, freedom, best_stopped)


@pytest.mark.parametrize(
    ("num", "correlation", "low", "high", "said"),
    [
        (3, -1.0, -1.0, 1.0, False),
        (5, 0.5, -0.6, 0.9, False),  # not even the sign is known
        (5, -1.0, -1.0, -0.2, True),
        (5, 1.0, 0.2, 1.0, True),
        (8, 0.1, -0.6, 0.7, True),  # enough to be taken at its word
        (50, None, -1.0, 1.0, False),
    ],
)
def test_a_correlation_of_few_trials_is_not_worth_a_word(num, correlation, low, high, said):
    one = Evidence(10, num, correlation, low, high, num, 0.25)
    assert telling(one) == said
    assert chance_of_any([one]) == (0.25 if said else None)


def test_a_table_by_hand():
    courses = [Course("", {10: value, 30: value}, value) for value in (0.1, 0.2, 0.3, 0.4, 0.5)]
    courses[0] = Course("", {10: 0.9, 30: 0.1}, 0.1)
    first, second = evidence(courses, [10, 30], reduction_factor=3, compared={10: 27, 30: 9})
    assert (first.rung, first.num, first.freedom) == (10, 5, 5)
    assert first.correlation == pytest.approx(0)  # ranks 5 1 2 3 4 against 1 2 3 4 5: 1 - 6 * 20 / (5 * 24)
    assert second.correlation == pytest.approx(1) and second.best_stopped < first.best_stopped
    (none,) = evidence([], [10], reduction_factor=3, compared={})
    assert none == Evidence(10, 0, None, -1.0, 1.0, 0, None)


# What follows


def crossing(config, epoch):
    """Curves whose order at epoch 1 is the reverse of the order at the end."""
    quality = math.log(config.optimizer.lr)
    return 1.0 + quality * (epoch - 3) / 100


def test_a_sweep_whose_control_group_speaks_against_a_rung_drops_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tune_mixup.testing.made_up_sweep.value_of", crossing)
    config = plan(trials=60, control_fraction=0.5, sampler="random", strata="none", smoothing=1)
    heard = []
    record = create(tmp_path, config)
    work(Session.open(record, config, listener=heard.append))
    (raised,) = [one.plain() for one in record.study.sweep_facts().grace]
    assert raised["epochs"] == 2, "the rung of epoch 1 is against the end, that of epoch 3 is not"
    first = raised["from_trial"]
    rungs = {
        trial.number: [one["rung"] for one in trial.user_attrs.get("decisions", [])]
        for trial in record.study.asked()
        if trial.last_step >= 3
    }
    assert all((1 in seen) == (number < first) for number, seen in rungs.items()) and max(rungs) > first
    assert [said.message for said in heard if "no trial is compared before epoch 2" in said.message] == [
        f"t{first:04d} begins; from it on {raised['why']}"
    ]
    assert sum(is_control(number, seed=0, fraction=0.5) for number in range(first)) >= 8
    assert any("control trials; chance" in said.message for said in heard)

    again = Session.open(record, config.replace(trials=70))  # a resumed session makes the same choices
    work(again)
    assert record.study.sweep_facts().grace[0].plain() == raised


def test_the_table_of_a_sweep(tmp_path):
    config = plan(trials=40, control_fraction=0.25, sampler="random", strata="none")
    record = create(tmp_path, config)
    session = Session.open(record, config)
    work(session)
    spared = [number for number in range(40) if is_control(number, seed=0, fraction=0.25)]
    assert all(record.study.trial(number).state.name == "COMPLETE" for number in spared)
    table = session.deciding.control.table(session.deciding.control.spared)
    assert [(row.rung, row.num) for row in table] == [(1, 10), (3, 10)]
    assert all(row.correlation == pytest.approx(1) for row in table), "these curves never cross"
    assert [row.num for row in session.deciding.control.table(session.deciding.control.complete)] == [
        sum(trial.state.name == "COMPLETE" for trial in record.study.asked())
    ] * 2
    rebuilt = ControlGroup(config, Seats(config))
    for trial in record.study.asked():
        rebuilt.note(trial, config.trial(trial.params))
    assert rebuilt.table(rebuilt.spared) == table and rebuilt.words() == session.deciding.control.words()


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.15, 0.3, 1 / 3, 0.7, 1.0])
def test_who_is_in_the_control_group_is_told_without_a_look_at_those_before(fraction):
    drawn, place, start = [], 0, 0
    while start <= 2000:
        end = math.floor((place + 1) / fraction + 1e-9)
        if place < 2 and 2 / fraction > 20:
            start, end = 10 * place, 10 * place + 10
        digest = hashlib.blake2b(f"7/control/{place}".encode(), digest_size=8).digest()
        drawn.append(start + int.from_bytes(digest, "little") % (end - start))
        place += 1
        start = math.floor(place / fraction + 1e-9)
    assert [number for number in range(2000) if is_control(number, seed=7, fraction=fraction)] == [
        number for number in drawn if number < 2000
    ]
