"""How much of a sweep's budget goes to its finalists: the best settings, trained again on fresh seeds before one wins.

One seed's noise is several times the difference among the best settings, and the best of many scores is the luckiest.
The defaults lost least over thirty simulated searches: below twelve full runs' worth of epochs the search needs them
all; from there on a fifth of the whole is better spent on fresh seeds of its best settings.
"""

import math

from pydantic import Field

from tune_mixup.schema import Schema

SHARE = 0.2
FEW_RUNS, FEW, MANY = 12, 3, 5


class Finalists(Schema):
    """Settings of the finals."""

    share: float | None = Field(default=None, ge=0, lt=1)
    """Share of the whole budget that is held back for fresh seeds of the best settings, from 0 (no finals) to below 1;
    empty: 0.2, but 0 where the sampler goes through all points."""
    min_search: float = Field(default=12.0, ge=0)
    """What the search must at least have, in epochs of that many full runs; with less there are no finals."""
    number: int | None = Field(default=None, ge=1)
    """How many settings; empty: 3 where fewer than 12 runs are held back, else 5."""

    def check(self, *, trials: int, finite: bool, settings: int | None) -> None:
        """Raise ValueError, beginning with the setting's key, for finals that a sweep of `trials` can't have.

        `finite` is a sampler that goes through all points; `settings` how many the space has at most, None: no limit.
        """
        share = self.share_of(finite=finite)
        if finite and share > 0:
            raise ValueError(
                f"share: got {share:g}, but a grid trains each of its points once, and where the seed is one of its "
                "parameters, these seeds are its finalists; leave this out, or take another sampler"
            )
        runs = held_back(self, search_of_trials(trials, 1.0, share), share)
        if runs >= trials:
            raise ValueError(
                f"share: got {share:g}, which of {trials} trials leaves none to search; lower it, or give more --trials"
            )
        number, most = self.number, trials - runs if settings is None else min(trials - runs, settings)
        if number is not None and share > 0 and number > most:
            raise ValueError(
                f"number: got {number}, but the search has at most {most} settings to choose from; lower it"
                + ("" if settings is not None and settings <= trials - runs else ", or give more --trials")
            )

    def check_wanted(self, *, trials: int, finite: bool) -> None:
        """Raise ValueError where finals are asked for, by their share or number, and `trials` are too few for any.

        Sweeps of before had none then, and go on.
        """
        share, key = self.share_of(finite=finite), "share" if self.share else "number"
        asked, search = self.share or self.number, search_of_trials(trials, 1.0, share)
        if asked and share > 0 and not held_back(self, search, share):
            raise ValueError(
                f"sweep.finalists.{key}: got {asked:g}, but of {trials} trials no run is held back, "
                f"for the search has at most {search:.3g} full runs (sweep.finalists.share is {share:g}, .min_search "
                f"{self.min_search:g}); give more --trials, or change one of these"
            )

    def share_of(self, *, finite: bool) -> float:
        """The share, for a sampler that goes through all points (`finite`) or that chooses."""
        return self.share if self.share is not None else 0.0 if finite else SHARE

    def settings(self, runs: int) -> int:
        """How many settings share `runs` runs."""
        return self.number if self.number is not None else FEW if runs < FEW_RUNS else MANY


def held_back(finalists: Finalists, search: float, share: float) -> int:
    """Full runs that are held back beside a search of `search` full runs' worth of epochs, so that they are `share`."""
    if share == 0 or search < finalists.min_search:
        return 0
    return math.floor(search * share / (1 - share) + 0.5)


def search_of_trials(trials: int, cost: float, share: float) -> float:
    """What the search has of a promise of so many trials, of which one that is searched costs `cost` full runs, 0 to 1.

    In full runs' worth of epochs: of S trials searched and R held back, S + R = trials, and R = `share` (S cost + R).
    """
    return trials * cost / (1 + cost * share / (1 - share))


def search_of_epochs(runs: float, share: float) -> float:
    """What the search has of a budget that is worth the epochs of `runs` full runs."""
    return runs * (1 - share)
