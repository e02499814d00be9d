"""A sweep's asks, decisions and tells in the order in which they were recorded, each made once more and compared.

The study's journal is that order. What the sampler suggests depends on which of the trials that ran side by side had
been told by then, so only the order can show that the record is what the sampler and the rule would say.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState
from typing_extensions import override

from tune_mixup.distributions import Range, in_study
from tune_mixup.optuna_internals import JournalOperation, queued_point
from tune_mixup.record.facts import Decision, TrialFacts
from tune_mixup.record.journal import Journal
from tune_mixup.record.names import trial_name
from tune_mixup.record.study import facts_of
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.samplers import TrialSampler
from tune_mixup.search.last_chance import on_last_chance
from tune_mixup.search.seats import Seats
from tune_mixup.search.stand_ins import shown_instead
from tune_mixup.search_space import Params
from tune_mixup.sweep_config import SweepConfig


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of the order: a trial was asked for, decided on, or told to the sampler."""

    trial: int
    kind: Literal["ask", "decide", "tell"]
    what: str
    """The point, the decision's line, or the state and value."""
    ended: int
    """Trials that the sampler had been told of."""
    running: int
    """Others that it knew to be under way."""
    again: bool | None
    """Whether it came out the same when it was made once more; None for what nobody computed."""


def replay(record: SweepRecord) -> Iterator[Event]:
    """Every event of the sweep in order. Raises ValueError when the journal is damaged."""
    return _Replay(record).events()


class _Prefix(BaseJournalBackend):
    """The first `end` operations of a journal; nothing is written."""

    def __init__(self, operations: list[dict[str, Any]]) -> None:
        self.operations = operations
        self.end = 0

    @override
    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The operations from number `log_number_from` up to the end of the prefix."""
        yield from self.operations[log_number_from : self.end]

    @override
    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Drop what a sampler notes for itself."""


class _Replay:
    def __init__(self, record: SweepRecord) -> None:
        self.record = record
        self.config = SweepConfig.from_record(record.folder.config())
        self.journal = _Prefix(list(Journal(record.folder.journal).read_logs(0)))
        self.storage = JournalStorage(self.journal)
        self.rule = self.config.rule()
        self.imported = record.study.imported()
        self.seats = Seats(self.config, first=self.imported)
        self.grace = record.study.sweep_facts().grace
        self.states: dict[int, TrialState] = {}
        self.asked: set[int] = set()
        self.decided: Counter[int] = Counter()

    def events(self) -> Iterator[Event]:
        for place, operation in enumerate(self.journal.operations):
            number = operation.get("trial_id", len(self.states))
            match operation["op_code"]:
                case JournalOperation.CREATE_TRIAL:
                    self.states[number] = TrialState(operation.get("state", TrialState.RUNNING))
                    yield from self._final(number)
                case JournalOperation.SET_TRIAL_PARAM if number >= self.imported and number not in self.asked:
                    yield self._ask(number, place)
                case JournalOperation.SET_TRIAL_SYSTEM_ATTR if number not in self.asked and not self._drawn(number):
                    yield self._ask(number, place)
                case JournalOperation.SET_TRIAL_USER_ATTR if "drawn" in operation["user_attr"]:
                    yield self._ask(number, place)
                case JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE:
                    yield from self._report(number, int(operation["step"]), float(operation["intermediate_value"]))
                case JournalOperation.SET_TRIAL_USER_ATTR if "decisions" in operation["user_attr"]:
                    yield from self._budget_stop(number, operation["user_attr"])
                case JournalOperation.SET_TRIAL_STATE_VALUES:
                    self.states[number] = state = TrialState(operation["state"])
                    if state.is_finished():
                        value = "" if not operation["values"] else f" {operation['values'][0]:.6g}"
                        yield self._event(number, "tell", f"{state.name}{value}", None)

    def _ask(self, number: int, place: int) -> Event:
        """What the sampler suggests when it knows the journal up to `place` and no further."""
        self.asked.add(number)
        params = self.record.study.trial(number).params
        what = ", ".join(
            f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value}" for key, value in params.items()
        )
        again = self._suggested(number, place) == self.config.space.as_recorded(params)
        return self._event(number, "ask", what, again)

    def _final(self, number: int) -> Iterator[Event]:
        """A finalist's run was begun, for which no sampler was asked."""
        facts = self.record.study.facts(number)
        if facts.finalist is not None:
            self.asked.add(number)
            what = f"a finalist: the setting of {trial_name(facts.finalist)} on seed {facts.replicate_seed}"
            yield self._event(number, "ask", what, None)

    def _drawn(self, number: int) -> bool:
        """Whether the trial notes its whole point, which is then when it was asked for."""
        return self.record.study.facts(number).drawn is not None

    def _suggested(self, number: int, place: int) -> Params:
        self.journal.end = place
        study = optuna.load_study(
            study_name=self.record.study.optuna.study_name, storage=self.storage
        )  # a study keeps what it has read
        trials = study.get_trials(deepcopy=False)
        trial = trials[number]
        stand_ins: dict[int, FrozenTrial | None] = {}
        for one in trials:
            stand_ins |= shown_instead(one, self.config)
        fixed = self.config.space.as_recorded(queued_point(trial))
        space = self.config.space
        sampler = TrialSampler(
            self.config.sampler, seed=self.config.seed, number=number, space=space, stand_ins=stand_ins
        )
        joint = sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial))

        def choose(key: str, distribution: Range) -> Any:
            if key in fixed:
                return fixed[key]
            held = in_study(distribution)
            return joint[key] if key in joint else sampler.sample_independent(study, trial, key, held)

        return space.point(choose)

    def _report(self, number: int, epoch: int, value: float) -> Iterator[Event]:
        trial = self.record.study.trial(number)
        facts = facts_of(trial)
        if number < self.imported or facts.served is not None or facts.finalist is not None:
            return
        config = self.config.trial(trial.params)
        seat = self.seats.of(number, config, self.grace)
        if epoch >= config.training.epochs:
            self.rule.note(number, epoch, value, seat)
            return
        decision = self.rule.report(number, epoch, value, seat)
        decisions = self.record.study.facts(number).decisions
        recorded = [one for one in decisions if one.epoch == epoch and one.by != "budget"]
        for one in recorded:
            if one.by == "last" and decision is not None and decision.stop:
                decision = on_last_chance(decision)
            again = decision == one
            yield self._event(number, "decide", _words(one), again)
        if decision is not None and not recorded:
            yield self._event(number, "decide", f"nothing, where the rule says: {decision.why}", False)

    def _budget_stop(self, number: int, noted: Mapping[str, Any]) -> Iterator[Event]:
        decisions = TrialFacts.parse(noted).decisions
        for one in decisions[self.decided[number] :]:
            if one.by == "budget":  # a clock made it, which no replay can
                yield self._event(number, "decide", _words(one), None)
        self.decided[number] = len(decisions)

    def _event(self, number: int, kind: Literal["ask", "decide", "tell"], what: str, again: bool | None) -> Event:
        others = [state for other, state in self.states.items() if other != number]
        ended = sum(state.is_finished() for state in others)
        running = sum(state == TrialState.RUNNING for state in others)
        return Event(trial=number, kind=kind, what=what, ended=ended, running=running, again=again)


def _words(decision: Decision) -> str:
    return ("stop: " if decision.stop else "go on: ") + decision.why
