"""The finals of a sweep: its best settings, trained again to the end on seeds that nothing was chosen by.

When the search is over follows from the budget (`tune_mixup/finalists.py`), and is in the record before the first
finalist begins: from then on nothing more is asked of the sampler, unless the promise is made larger.
"""

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from optuna.distributions import CategoricalDistribution, IntDistribution

from tune_mixup.distributions import in_study
from tune_mixup.finalists import held_back, search_of_epochs, search_of_trials
from tune_mixup.record.facts import FinalRound, SweepFacts
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.seeds import first_fresh
from tune_mixup.search.standing import Standing
from tune_mixup.sweep_config import SweepConfig


class Next(NamedTuple):
    """A training for the finals."""

    trial: int
    """The trial whose setting is trained again."""
    seeds: Iterator[int]
    """The fresh seeds, the first one first; those that the setting has had already among them."""


class Finals:
    """Whether the search goes on, and which finalist is trained next. A function of the record, budgets of time apart.

    The finalists are the settings with the best values in the search. Each gets the same seeds, the fewest first and
    the best first, so that all have equally many, and those that come out beyond the highest ranked have. A larger
    promise keeps a run for each setting that has come among the best since, be the share of what is added none.
    """

    def __init__(self, record: SweepRecord, config: SweepConfig, standing: Standing) -> None:
        self.record = record
        self.config = config
        self.standing = standing
        self.tally = standing.tally
        self.share = config.finalists.share_of(finite=config.sampler.finite)
        self._imported = record.study.imported()
        self._rounds = record.study.sweep_facts().finals

    def is_searching(self) -> bool:
        """Whether another trial of the search may begin."""
        begun = self.tally.begun()
        if begun >= self.config.trials:
            return False
        if self.share == 0:
            return True
        if self.round() is not None:
            return False
        runs = held_back(self.config.finalists, self._search(), self.share)
        if not runs or (self.tally.best() is None and not self.tally.running()):
            return True  # in the end nothing is there that could be a finalist
        one, to_come = self.standing.epochs_of_one(), self.standing.epochs_to_come()
        runs_left = max(runs - self.tally.finalists, self._new_ones())
        left = to_come - sum(self.tally.left_to_run()) - self.tally.epochs_left(0, round(one))
        if begun < self.config.trials - runs_left and left >= runs_left * one:
            return True
        return self.record.study.has_queued(self._imported + begun)  # points of a person come before any final

    def next(self) -> Next | None:
        """The next training; None where there is none for now, or for good when no trial of the search is running.

        The search must be over.
        """
        found = self.tally.merits.as_searched()
        if self.share == 0 or not found or self.tally.begun() >= self.config.trials:
            return None
        now = self.round() or self._begin()
        had, finalists = self.tally.fresh_runs, found[: now.number]
        sound = [one for one in finalists if not one[1].failed] or finalists  # one that has failed is out
        number, setting = min(sound, key=lambda one: had[one[0]])  # the best of the first
        return Next(setting.trial, count(now.first_seed))

    def round(self) -> FinalRound | None:
        """The round that is on; None while the search goes on, also where a larger promise has opened it again."""
        last = self._rounds[-1] if self._rounds else None
        promise = (self.config.trials, self.config.time_budget_s, self.config.gpu_hours)
        return last if last and (last.trials, last.time_budget_s, last.gpu_hours) == promise else None

    def words(self) -> str:
        """How far they are, in one line; empty before they begin."""
        begun, now = self.tally.finalists, self.round()
        if now is None:
            return f"{begun} runs so far; the search goes on" if begun else ""
        left = self.config.trials - self.tally.begun()
        return f"the best {now.number} settings on fresh seeds: {begun} runs begun, {left} to come"

    def _new_ones(self) -> int:
        """How many of the best settings have no fresh seed, though finals were held: few added trials change few."""
        if not self._rounds:
            return 0
        best = self.tally.merits.as_searched()[: self._rounds[-1].number]
        return sum(not self.tally.fresh_runs[number] and not setting.failed for number, setting in best)

    def _begin(self) -> FinalRound:
        """Write down that the search is over."""
        runs = self.config.trials - self.tally.begun() + self.tally.finalists
        search = self._search()
        meant = held_back(self.config.finalists, search, self.share)
        number = min(runs, self.config.finalists.settings(min(runs, meant) or runs))  # one without a seed is none
        settings = len(self.tally.merits.as_searched())
        first = self._rounds[0].first_seed if self._rounds else self._first_fresh()
        began = FinalRound(
            trials=self.config.trials,
            time_budget_s=self.config.time_budget_s,
            gpu_hours=self.config.gpu_hours,
            number=number,
            first_seed=first,
            why=(
                f"the search is over after {self.tally.begun() - self.tally.finalists} trials, about "
                f"{search:.3g} full runs' worth of epochs; its best {min(number, settings)} settings are trained "
                f"again from seed {first} on"
            ),
        )
        rounds = (*self._rounds, began)
        self.record.study.note_sweep(SweepFacts(finals=rounds))
        self._rounds = rounds
        return began

    def _search(self) -> float:
        """What the search has of the budget, in full runs' worth of epochs, by what a trial of it has cost so far."""
        one, tally = self.standing.epochs_of_one(), self.tally
        searched = tally.begun() - tally.finalists
        if searched:
            cost = (tally.epochs - tally.finalists_epochs + sum(tally.left_to_run())) / (one * searched)
        else:
            cost = tally.epochs_left(0, round(one)) / one
        budget = (tally.epochs + self.standing.epochs_to_come()) / one
        return min(
            search_of_trials(self.config.trials, min(1.0, cost), self.share), search_of_epochs(budget, self.share)
        )

    def _first_fresh(self) -> int:
        """The first seed above all that were used, and that the space could give a trial."""
        first = first_fresh(self.record)
        if (seeds := self.config.space.free.get("seed")) is None:
            return first
        match in_study(seeds):
            case CategoricalDistribution(choices=choices):
                return max([first, *(choice + 1 for choice in choices if isinstance(choice, int))])
            case IntDistribution(high=high):
                return max(first, high + 1)
        return first
