"""The stopping rule at work on a sweep: whom a trial is compared with, and what is decided on it."""

from optuna.trial import FrozenTrial

from tune_mixup.record.facts import SweepFacts, TrialFacts
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.asking import Asking
from tune_mixup.search.control_group import ControlGroup
from tune_mixup.search.last_chance import unless_last
from tune_mixup.search.seats import Seats
from tune_mixup.search.tally import Tally
from tune_mixup.stopping.base import Seat
from tune_mixup.sweep_config import SweepConfig


class Deciding:
    """Decides on reports and writes down what was decided; a finalist is told to no rule and never stopped."""

    def __init__(self, record: SweepRecord, config: SweepConfig, asking: Asking, tally: Tally) -> None:
        """Read the record; nothing is written, and the rule is told of nothing yet."""
        self.record = record
        self.config = config
        self.asking = asking
        self.tally = tally
        self.rule = config.rule()
        self.seats = Seats(config, first=record.study.imported())
        self.control = ControlGroup(config, self.seats)
        self._grace = record.study.sweep_facts().grace
        self._seats: dict[int, Seat] = {}

    def decide(self, number: int, epoch: int, value: float) -> bool:
        """Ask the rule about a report that is in the record, and record what it says; True for a stop."""
        if self.record.study.facts(number).finalist is not None:
            return False
        if epoch >= self.asking.of(number).training.epochs:
            self.rule.note(number, epoch, value, self._seat(number))
            return False
        said = self.rule.report(number, epoch, value, self._seat(number))
        decision = unless_last(said, number, self.record.study, self.tally, promised=self.config.trials)
        if decision is not None:
            self.record.decide(number, decision)
        return decision is not None and decision.stop

    def restore(self, trial: FrozenTrial, facts: TrialFacts) -> list[tuple[int, int, float]]:
        """Tell the rule a trial's reports that were decided on; returns the others, as number, epoch and value."""
        if facts.finalist is not None:
            return []
        last, decided = trial.last_step, {decision.epoch for decision in facts.decisions}
        undecided = []
        for epoch, value in sorted(trial.intermediate_values.items()):
            if trial.state.is_finished() or epoch != last or epoch in decided:
                self.rule.note(trial.number, epoch, value, self._seat(trial.number))
            else:
                undecided.append((trial.number, epoch, value))
        return undecided

    def ended(self, trial: FrozenTrial, facts: TrialFacts) -> bool:
        """Take in a trial that has ended; True when the control group has learnt by it."""
        return facts.finalist is None and self.control.note(trial, self.asking.of(trial.number))

    def lengthen_grace(self, number: int) -> str:
        """From trial `number` on, drop the rungs that the control group speaks against; what to say about it."""
        if (longer := self.control.longer_grace(number, self._grace, self.tally.unfinished())) is None:
            return ""
        self._grace = (*self._grace, longer)
        self.record.study.note_sweep(SweepFacts(grace=self._grace))
        return f"; from it on {longer.why}"

    def _seat(self, number: int) -> Seat:
        if number not in self._seats:
            self._seats[number] = self.seats.of(number, self.asking.of(number), self._grace)
        return self._seats[number]
