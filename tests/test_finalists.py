"""How a budget is split between search and finals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_mixup.finalists import Finalists, held_back, search_of_epochs, search_of_trials

DEFAULT = Finalists()


@pytest.mark.parametrize(
    ("search", "runs", "settings"),
    # R = round(C / 4) from C = 12 on; 3 settings below R = 12, else 5
    [
        (0, 0, 3),
        (11.9, 0, 3),
        (12, 3, 3),
        (13.9, 3, 3),
        (14, 4, 3),
        (16, 4, 3),
        (45.9, 11, 3),
        (46, 12, 5),
        (320, 80, 5),
    ],
)
def test_the_defaults_are_those_that_lost_least(search, runs, settings):
    assert held_back(DEFAULT, search, DEFAULT.share_of(finite=False)) == runs
    assert DEFAULT.settings(runs) == settings


def test_a_sampler_of_all_points_holds_nothing_back_unless_told():
    assert DEFAULT.share_of(finite=True) == 0 and Finalists(share=0.3).share_of(finite=True) == 0.3


@given(st.integers(1, 100_000), st.floats(0.01, 1), st.floats(0, 0.95))
def test_of_a_promise_of_trials_the_finals_have_their_share_of_the_epochs(trials, cost, share):
    search = search_of_trials(trials, cost, share)
    runs = share / (1 - share) * search
    assert search / cost + runs == pytest.approx(trials)  # trials searched, and full runs held back
    assert runs == pytest.approx(share * (search + runs), abs=1e-9)


@given(st.floats(0, 1e6), st.floats(0, 0.95))
def test_of_a_budget_of_epochs_too(runs, share):
    search = search_of_epochs(runs, share)
    assert search + share / (1 - share) * search == pytest.approx(runs)


@pytest.mark.parametrize(
    ("settings", "trials", "finite", "known", "words"),
    [
        ({"share": 0.9, "min_search": 0.0}, 3, False, None, "share: got 0.9, which of 3 trials leaves none to search"),
        (
            {"share": 0.2},
            30,
            True,
            None,
            "share: got 0.2, but a grid trains each of its points once, and where the seed is",
        ),
        ({"number": 30}, 36, False, None, "number: got 30, but the search has at most 29 settings to choose from"),
        ({"number": 5}, 36, False, 4, "number: got 5, but the search has at most 4 settings to choose from; lower it"),
        ({"number": 9}, 8, False, None, "number: got 9, but the search has at most 8 settings to choose from"),
    ],
)
def test_finals_that_can_not_be_are_refused(settings, trials, finite, known, words):
    with pytest.raises(ValueError, match=words):
        Finalists(**settings).check(trials=trials, finite=finite, settings=known)


def test_finals_that_can_be_are_not():
    Finalists(number=5).check(trials=36, finite=False, settings=5)
    Finalists(number=29).check(trials=36, finite=False, settings=None)
    Finalists(share=0.0, number=9).check(trials=8, finite=False, settings=None)
    Finalists().check(trials=1, finite=True, settings=1)


@pytest.mark.parametrize(
    ("settings", "trials", "finite", "words"),
    [
        ({"share": 0.2}, 14, False, "share: got 0.2, but of 14 trials .* at most 11.2 full runs"),
        ({"share": 0.5}, 20, False, "share: got 0.5, but of 20 trials .* at most 10 full runs"),
        ({"share": 0.01, "min_search": 0.0}, 20, False, "share: got 0.01, but of 20 trials no run is held back"),
        ({"number": 3}, 8, False, "number: got 3, but of 8 trials no run is held back"),
        ({"share": 0.2}, 15, False, None),
        ({"number": 3}, 15, False, None),
        ({"share": 0.5}, 24, False, None),
        ({"share": 0.0, "number": 3}, 8, False, None),
        ({"number": 3}, 8, True, None),
        ({}, 8, False, None),
        ({"min_search": 30.0}, 20, False, None),
    ],
)
def test_finals_that_are_asked_for_take_place(settings, trials, finite, words):
    finalists = Finalists(**settings)
    if words is None:
        return finalists.check_wanted(trials=trials, finite=finite)
    with pytest.raises(ValueError, match=rf"^sweep\.finalists\.{words}"):
        finalists.check_wanted(trials=trials, finite=finite)
