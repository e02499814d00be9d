"""Settings by their means over seeds, from records written by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from tune_mixup.record.facts import TrialFacts
from tune_mixup.record.merit import Merits

FREE = {"mixing.alpha": FloatDistribution(0, 10), "seed": IntDistribution(0, 100)}


def trial(number, value, *, alpha=None, seed=None, state=TrialState.COMPLETE, **facts):
    """A trial as the study has it; its setting is its own unless `alpha` says otherwise."""
    params = {"mixing.alpha": float(number) if alpha is None else alpha, **({} if seed is None else {"seed": seed})}
    made = create_trial(
        state=state,
        value=value if state == TrialState.COMPLETE else None,
        params=params,
        distributions={key: FREE[key] for key in params},
        user_attrs=TrialFacts(**facts).plain(),
    )
    made.number = number
    return made


def merits(*trials, direction="maximize"):
    made = Merits(direction)
    for one in trials:
        made.note(one)
    return made


def test_a_setting_is_worth_the_mean_over_its_seeds_and_finalists_come_first():
    made = merits(
        trial(0, 0.9),
        trial(1, 0.8),
        trial(2, 0.7),
        trial(3, 0.6, finalist=1, setting=1, replicate_seed=5),
        trial(4, 0.76, finalist=2, setting=2, replicate_seed=5),
        trial(5, 0.79, finalist=2, setting=2, replicate_seed=6),
    )
    ranked = made.ranked()
    assert [one.trial for one in ranked] == [2, 1, 0] and made.best() == ranked[0]
    assert ranked[0].mean == pytest.approx(0.75) and ranked[0].searched == [0.7] and ranked[0].is_finalist
    # standard deviation of 0.7, 0.76, 0.79 with n - 1 is sqrt(0.0021), over sqrt(3)
    assert ranked[0].error == pytest.approx((0.0021 / 3) ** 0.5)
    # 1 has no seed 6: on the seeds that both have it is 0.03 below 2, so it would have a mean of 0.72 on all three
    assert ranked[1].mean == pytest.approx(0.72) and ranked[1].values == [0.8, 0.6]
    assert ranked[2].error is None and not ranked[2].is_finalist
    assert [number for number, _ in made.as_searched()] == [0, 1, 2]


def test_less_is_better_for_a_loss():
    made = merits(trial(0, 0.9), trial(1, 0.8), direction="minimize")
    assert [one.trial for one in made.ranked()] == [1, 0] and made.best().trial == 1


def test_who_failed_on_a_fresh_seed_is_behind_the_other_finalists_and_before_the_rest():
    made = merits(
        trial(0, 0.9),
        trial(1, 0.8),
        trial(2, 0.85),
        trial(3, None, state=TrialState.FAIL, finalist=0, setting=0, replicate_seed=1),
        trial(4, 0.95, finalist=0, setting=0, replicate_seed=2),
        trial(5, 0.7, finalist=1, setting=1, replicate_seed=1),
    )
    assert [(one.trial, one.failed) for one in made.ranked()] == [(1, 0), (0, 1), (2, 0)]


def test_a_later_run_of_the_search_leaves_finalists_comparable():
    """1 is trained once more, on a seed that is easy; on the seeds that both have, it is 0.1 below 0 as before."""
    runs = [
        trial(0, 0.9),
        trial(1, 0.8),
        trial(2, 0.7, finalist=0, setting=0, replicate_seed=1),
        trial(3, 0.6, finalist=1, setting=1, replicate_seed=1),
        trial(4, 0.95, setting=1, replicate_seed=2),
    ]
    for order in (runs, runs[::-1]):
        first, second = merits(*order).ranked()
        assert (first.trial, second.trial) == (0, 1) and first.mean - second.mean == pytest.approx(0.1)
        assert second.mean == pytest.approx((0.8 + 0.6 + 0.95) / 3)


def test_a_setting_that_failed_on_a_seed_of_the_search_is_behind_those_that_did_not():
    made = merits(
        trial(0, 0.7, alpha=1.0, seed=0),
        trial(1, None, alpha=1.0, seed=1, state=TrialState.FAIL),
        trial(2, 0.69, alpha=2.0, seed=0),
        trial(3, 0.69, alpha=2.0, seed=1),
    )
    assert [(one.trial, one.failed) for one in made.ranked()] == [(2, 0), (0, 1)]


def test_means_that_differ_by_rounding_alone_go_by_number():
    made = merits(trial(0, 0.1 + 0.2), trial(1, 0.3 + 1e-15), trial(2, 0.3))
    assert [one.trial for one in made.ranked()] == [0, 1, 2]


def test_what_says_nothing_of_its_own_counts_nothing():
    made = merits(
        trial(0, 0.5),
        trial(1, 0.5, alpha=0.0, served=0, setting=0),
        trial(2, 0.5, alpha=0.0, setting=0),  # the same seed again: `repeats` is train
        trial(3, None, state=TrialState.PRUNED),
        trial(4, None, state=TrialState.FAIL, invalid="no"),
        trial(5, None, state=TrialState.FAIL),
        trial(6, float("inf")),
    )
    assert [(one.trial, one.values, one.failed) for one in made.ranked()] == [(0, [0.5], 0)]


def test_a_setting_is_told_by_its_note_or_by_its_parameters_without_the_seed():
    made = merits(
        trial(0, 0.5, alpha=1.0, seed=0),
        trial(1, 0.7, alpha=1.0, seed=1),
        trial(2, 0.3, alpha=2.0, replicate_seed=4, setting=0),  # alpha does nothing there
        trial(3, 0.4, alpha=3.0, seed=0),
    )
    assert [(one.trial, one.values) for one in made.ranked()] == [(0, [0.5, 0.7, 0.3]), (3, [0.4])]


def test_nothing_is_best_before_a_trial_was_trained_to_the_end():
    assert merits(trial(0, None, state=TrialState.RUNNING)).best() is None and merits().ranked() == []


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8), st.booleans()), max_size=30), st.randoms())
def test_in_whatever_order_trials_end_the_ranking_is_a_plain_sort(runs, rng):
    """Against a slow loop over all runs of a setting, each with a value in eighths."""
    trials, firsts, expected = [], {}, {}
    for number, (setting, value, fresh) in enumerate(runs):
        first = firsts.setdefault(setting, number)
        fresh = fresh and first != number
        facts = {"setting": first} if first != number else {}
        facts |= {"finalist": first} if fresh else {}
        trials.append(trial(number, value / 8, alpha=float(setting), replicate_seed=number, **facts))
        expected.setdefault(first, []).append((value / 8, fresh))
    shuffled = list(trials)
    rng.shuffle(shuffled)
    made = Merits("maximize")
    for place, one in enumerate(shuffled):
        made.note(one)
        made.note(shuffled[rng.randrange(place + 1)])  # being told twice changes nothing
        assert made.best() == made.ranked()[0]
    order = sorted(
        expected,
        key=lambda f: (
            not any(fresh for _, fresh in expected[f]),
            -sum(value for value, _ in expected[f]) / len(expected[f]),
            f,
        ),
    )
    assert [one.trial for one in made.ranked()] == order
