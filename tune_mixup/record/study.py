"""A sweep's Optuna study: what was asked, measured, decided and why. The only file that touches Optuna's storage."""

from pathlib import Path
from typing import Literal, NamedTuple

import optuna
from optuna.storages.journal import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from tune_mixup import optuna_internals
from tune_mixup.quiet import quiet
from tune_mixup.record.facts import Decision, SweepFacts, TrialFacts
from tune_mixup.record.files import storage
from tune_mixup.record.journal import Journal
from tune_mixup.record.uncollected import uncollected


class Outcome(NamedTuple):
    """How a trial ended, in words for the record."""

    state: TrialState
    reason: str


class SweepStudy:
    """The study in the journal at `path`, the only one there. Reading needs no lock, writing does."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self._optuna: optuna.Study | None = None

    @classmethod
    def create(cls, path: Path, name: str, *, direction: Literal["maximize", "minimize"]) -> None:
        """Make a study without trials."""
        with storage(path):
            path.touch()
        with quiet("optuna"):
            optuna.create_study(study_name=name, storage=JournalStorage(Journal(path)), direction=direction)

    def storage(self) -> JournalStorage:
        """The study's storage, a journal file that is only ever appended to.

        Raises ValueError when there is none.
        """
        if not self.path.exists():
            raise ValueError(f"{self.path.parent} has no {self.path.name}; the sweep's record is lost or incomplete")
        return JournalStorage(Journal(self.path))

    @property
    def optuna(self) -> optuna.Study:
        """The study as Optuna has it, under the name that the sweep was made with; its folder may have another since.

        Raises ValueError when the journal holds no study.
        """
        if self._optuna is None:
            with uncollected():
                storage = self.storage()
            names = optuna.get_all_study_names(storage)
            if not names:
                raise ValueError(f"{self.path} holds no study; the sweep's record is lost or incomplete")
            self._optuna = optuna.load_study(study_name=names[0], storage=storage)
        return self._optuna

    # Trials

    def asked(self) -> list[FrozenTrial]:
        """All trials that were begun, in order; first points still in the queue and imported trials are left out."""
        trials = self.optuna.get_trials(deepcopy=False)
        return [t for t in trials if t.state != TrialState.WAITING and not is_imported(t)]

    def has_queued(self, begun: int) -> bool:
        """Whether points wait in the queue, where `begun` trials were begun or imported; told without a look at all."""
        return optuna_internals.has_trial(self.optuna, begun)

    def ask(self, begun: int) -> Trial:
        """Begin the next trial, at the first point of the queue if there is one."""
        return self.optuna.ask() if self.has_queued(begun) else optuna_internals.begun(self.optuna)

    def imported(self) -> int:
        """How many trials of another sweep the study began with; they have the first numbers."""
        return sum(is_imported(t) for t in self.optuna.get_trials(deepcopy=False))

    def trial(self, number: int) -> FrozenTrial:
        """What the study knows of trial `number`."""
        return optuna_internals.stored_trial(self.optuna, number)

    def heard(self, number: int) -> int:
        """The last epoch of a trial that has a value, 0 before there is one."""
        return self.trial(number).last_step or 0

    def facts(self, number: int) -> TrialFacts:
        """What is noted of a trial."""
        return facts_of(self.trial(number))

    def note(self, number: int, facts: TrialFacts) -> None:
        """Note of an unfinished trial what `facts` say; what they leave empty stays as it is."""
        before = self.facts(number).plain()
        for key, value in facts.plain().items():
            if before.get(key) != value:
                optuna_internals.annotate(self.optuna, self.trial(number), key, value)

    def report(self, number: int, epoch: int, value: float) -> None:
        """Record the metric of a trial after `epoch` finished epochs; a value already there stays."""
        trial = self.trial(number)
        if epoch not in trial.intermediate_values and not trial.state.is_finished():
            optuna_internals.report(self.optuna, trial, step=epoch, value=value)

    def decide(self, number: int, decision: Decision) -> None:
        """Record what was decided on an unfinished trial."""
        self.note(number, TrialFacts(decisions=(*self.facts(number).decisions, decision)))

    def begin_again(self, number: int, facts: TrialFacts) -> int:
        """Begin another trial at the point of trial `number`, with `facts` noted, in one write; returns its number."""
        source = self.trial(number)
        begun = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=source.params,
            distributions=source.distributions,
            user_attrs=facts.plain(),
        )
        return optuna_internals.added(self.optuna, begun)

    def stopped(self, number: int) -> str | None:
        """Why a trial must stop early, once that is decided; else None."""
        return self.facts(number).stopped

    def finish(self, number: int, outcome: Outcome) -> None:
        """Record a trial's end; one that has already ended stays as it is."""
        trial = self.trial(number)
        if trial.state.is_finished():
            return
        self.note(number, TrialFacts(reason=outcome.reason))
        value = trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else None
        if outcome.state == TrialState.COMPLETE:
            assert value is not None
            self.optuna.tell(number, value)
        else:
            self.optuna.tell(number, state=outcome.state)

    # The sweep

    def sweep_facts(self) -> SweepFacts:
        """What is noted of the sweep."""
        return SweepFacts.parse(optuna_internals.study_attributes(self.optuna))

    def note_sweep(self, facts: SweepFacts) -> None:
        """Note of the sweep what `facts` say; what they leave empty stays as it is."""
        before = self.sweep_facts().plain()
        for key, value in facts.plain().items():
            if before.get(key) != value:
                self.optuna.set_user_attr(key, value)


def facts_of(trial: FrozenTrial) -> TrialFacts:
    """What is noted of a trial."""
    return TrialFacts.parse(trial.user_attrs)


def is_imported(trial: FrozenTrial) -> bool:
    """Whether a trial is another sweep's; looked up without reading all that is noted, since every trial is asked."""
    return "imported" in trial.user_attrs


def is_finalist(trial: FrozenTrial) -> bool:
    """Whether a trial trains a setting again for the finals; looked up likewise."""
    return "finalist" in trial.user_attrs


def replicate_seed(trial: FrozenTrial) -> int | None:
    """The fresh seed that a trial was given, if it was given one; looked up likewise."""
    seed: int | None = trial.user_attrs.get("replicate_seed")
    return seed


def is_served(trial: FrozenTrial) -> bool:
    """Whether a trial has the result of an earlier one; looked up likewise."""
    return "served" in trial.user_attrs


def is_invalid(trial: FrozenTrial) -> bool:
    """Whether a trial's point is no valid configuration; looked up likewise."""
    return "invalid" in trial.user_attrs
