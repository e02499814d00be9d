"""One process's work on a sweep: every decision, written to the record before it is acted on. No Ray.

Ray's searcher and scheduler (`searcher.py`) only pass on what is decided here. Making a session reads the record, and
that is all there is to resuming: the rungs are filled by replaying the reports, unfinished trials queue again.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from optuna.trial import FrozenTrial, TrialState

from tune_mixup.config import TrialConfig
from tune_mixup.record.sweep_record import Outcome, SweepRecord
from tune_mixup.search.asking import Asking
from tune_mixup.search.control_group import ControlGroup
from tune_mixup.search.ledger import Ledger
from tune_mixup.search.repeats import serve
from tune_mixup.search.seats import Raise, Seats
from tune_mixup.search.shares import FixedShares, Place, Shares
from tune_mixup.search.standing import Listener, Progress, Standing
from tune_mixup.search.tally import Tally
from tune_mixup.stopping.base import Seat
from tune_mixup.sweep_config import SweepConfig
from tune_mixup.training.divergence import why_diverged


class Begin(NamedTuple):
    """A trial to run: its number, its configuration, and where."""

    number: int
    config: TrialConfig
    place: Place


class Session:
    """What to run next, whether to go on, and how each trial ended."""

    def __init__(
        self,
        record: SweepRecord,
        config: SweepConfig,
        *,
        shares: Shares | None = None,
        listener: Listener | None = None,
    ) -> None:
        """Read the record and take up what is unfinished. The caller holds the record's lock.

        `shares` places the trials; without it each has the configuration's share of a GPU.
        """
        self.record = record
        self.config = config
        self.shares = shares or FixedShares(record, config)
        self.listener = listener
        self.rule = config.rule()
        self.seats = Seats(config, first=record.imported())
        self.control = ControlGroup(config, self.seats)
        self._grace: list[Raise] = record.noted("grace", [])
        self._seats: dict[int, Seat] = {}
        self.ledger = Ledger(record, config)
        self.asking = Asking(record, config)
        self._config = self.asking.of
        self._tally = Tally(config.direction)
        self._imported = record.imported()
        for trial in record.asked():
            self._tally.note(trial, self._config(trial.number).training.epochs if trial.state.is_finished() else 0)
        self._standing = Standing(record.name, config, self._tally, self.ledger)
        self.queue: deque[int] = deque()
        """Trials that were begun and are to go on."""
        self.asking.enqueue_first_points()
        self._restore()
        self.ledger.gpu_s = 0.0  # what was restored is in it already

    # What to run

    def next(self) -> Begin | None:
        """The next trial to run, asked of the sampler and recorded.

        None when all that was promised has been asked, and as long as running trials leave no room for another.
        """
        if not self.shares.has_room():
            return None
        if self.queue:
            return self._begin(self.queue.popleft())
        begun = len(self.record.asked())
        if begun >= self.config.trials or self.ledger.used_up() is not None:
            return None
        number = begun + self._imported
        longer = self._lengthen_grace(number)
        self._note(self.asking.ask(number))
        if self._serve(number):
            return self.next()
        self.tell(f"{_name(number)} begins" + longer)
        return self._begin(number)

    # What came out

    def report(self, number: int, result: Mapping[str, Any]) -> bool:
        """Record one epoch's report and decide; True when the trial must stop.

        Epochs that the trial had passed already change nothing, and neither do reports of one that was stopped.
        """
        epoch = int(result["epoch"])
        self.ledger.meter(number, epoch, result.get("epoch_s", 0.0) * self.shares.of(number))
        if result.get("failed") or self._fault(result) is not None:
            return True
        stopped = self.record.stopped(number)
        if stopped is not None or epoch <= (self.record.trial(number).last_step or 0):
            return stopped is not None
        stop = False
        if self.config.metric in result:  # else there was no validation after this epoch
            value = float(result[self.config.metric])
            self.record.report(number, epoch, value)
            stop = self._decide(number, epoch, value)
        used_up = self.ledger.used_up()
        if not stop and used_up is not None and epoch < self._config(number).training.epochs:
            self.record.decide(
                number, {"epoch": epoch, "stop": True, "by": "budget", "why": f"epoch {epoch}: {used_up}"}
            )
            stop = True
        self._note(number)
        self.tell("")
        return stop

    def complete(self, number: int, result: Mapping[str, Any] | None, *, error: str | None = None) -> None:
        """Record how a trial ended: COMPLETE at its full budget, PRUNED when stopped before, else FAIL."""
        if result is not None and error is None:
            self.report(number, result)
        outcome = self._outcome(number, result, error)
        self.record.finish(number, outcome)
        self.shares.release(number)
        self._note(number)
        learnt = self.control.note(self.record.trial(number), self._config(number))
        news = f"; {words}" if learnt and (words := self.control.words()) else ""
        self.tell(f"{_name(number)} {outcome.state.name}: {outcome.reason}{news}")

    def has_ended(self, number: int, result: Mapping[str, Any]) -> bool:
        """Whether a trial whose sweep is being stopped has ended for its own sake; else it goes on another day."""
        if result["epoch"] > 0:
            self.report(number, result)
        over = self._at_end(number) or self.record.stopped(number) is not None
        return over or bool(result.get("failed")) or self._fault(result) is not None

    def died(self, number: int, reason: str) -> None:
        """A worker died, or was killed because it hung: its trial goes on from its checkpoint, or has failed."""
        deaths = [*self.record.trial(number).user_attrs.get("deaths", []), reason]
        self.record.annotate(number, "deaths", deaths)
        allowed = self.config.max_failures
        if len(deaths) > allowed:
            self.complete(number, None, error=f"{reason}; failure {len(deaths)}, and max_failures is {allowed}")
        else:
            self._again(number, f"{reason}; it goes on from its checkpoint (failure {len(deaths)}, allowed {allowed})")

    def out_of_memory(self, number: int, reason: str) -> None:
        """A trial needed more memory than its share of a GPU has: it goes on with a larger share, or has failed."""
        share = self.shares.of(number)
        larger = self.shares.enlarge(number)
        if larger is not None:
            self._again(number, f"{reason} on {share:g} of a GPU; it goes on from its checkpoint with {larger}")
        else:
            self.complete(number, None, error=f"{reason} on {f'{share:g} GPU' if share else 'the CPU'}")

    def rungs(self, number: int) -> list[int]:
        """The epochs after which a trial's value may be needed; a longer grace only takes some away."""
        return self.seats.rungs(self._config(number))

    def unfinished(self) -> list[int]:
        """Trials that were begun and have not ended."""
        return [trial.number for trial in self.record.asked() if not trial.state.is_finished()]

    def _again(self, number: int, message: str) -> None:
        self.shares.release(number)
        self.queue.appendleft(number)
        self.tell(f"{_name(number)}: {message}")

    def _outcome(self, number: int, result: Mapping[str, Any] | None, error: str | None) -> Outcome:
        trial = self.record.trial(number)
        if error is not None:
            return Outcome(TrialState.FAIL, error)
        if result is not None and result.get("failed"):
            return Outcome(TrialState.FAIL, str(result["failed"]))
        if result is not None and (fault := self._fault(result)) is not None:
            return Outcome(TrialState.FAIL, fault)
        if self._at_end(number):
            return Outcome(TrialState.COMPLETE, f"epoch {trial.last_step}: trained to the full budget")
        if (stopped := self.record.stopped(number)) is not None:
            return Outcome(TrialState.PRUNED, stopped)
        return Outcome(TrialState.FAIL, trial.user_attrs.get("reason", "ended without a report of its last epoch"))

    def _fault(self, result: Mapping[str, Any]) -> str | None:
        """What is wrong with a report that ends its trial without a value; None when nothing is."""
        metric = self.config.metric
        if not result.get("diverged") and (metric not in result or math.isfinite(result[metric])):
            return None
        return f"epoch {result['epoch']}: diverged, {why_diverged(result)}"

    def _at_end(self, number: int) -> bool:
        return (self.record.trial(number).last_step or 0) >= self._config(number).training.epochs

    def _decide(self, number: int, epoch: int, value: float) -> bool:
        """Ask the rule about a report that is in the record, and record what it says; True for a stop."""
        if epoch >= self._config(number).training.epochs:
            self.rule.note(number, epoch, value, self._seat(number))
            return False
        decision = self.rule.report(number, epoch, value, self._seat(number))
        if decision is not None:
            self.record.decide(number, decision.plain())
        return decision is not None and decision.stop

    def _seat(self, number: int) -> Seat:
        if number not in self._seats:
            self._seats[number] = self.seats.of(number, self._config(number), self._grace)
        return self._seats[number]

    def _lengthen_grace(self, number: int) -> str:
        """From trial `number` on, drop the rungs that the control group speaks against; what to say about it."""
        raised = self.control.longer_grace(number, self._grace) if self.config.stopping.has_rungs else None
        if raised is None:
            return ""
        self._grace.append(raised)
        self.record.note("grace", self._grace)
        return f"; from it on {raised['why']}"

    # From the record

    def _restore(self) -> None:
        """Tell the rule what the record holds, decide what a killed process could not, take up what is unfinished."""
        undecided, unfinished = [], []
        for trial in self.record.asked():
            if trial.state.is_finished() and "served" in trial.user_attrs:
                continue  # its values are another trial's, which has a say of its own
            last = trial.last_step
            for epoch, value in sorted(trial.intermediate_values.items()):
                if trial.state.is_finished() or epoch != last or epoch in self._decided_epochs(trial.number):
                    self.rule.note(trial.number, epoch, value, self._seat(trial.number))
                else:
                    undecided.append((trial.number, epoch, value))
            if trial.state.is_finished():
                self.control.note(trial, self._config(trial.number))
            else:
                unfinished.append(trial)
        for number, epoch, value in undecided:  # a report is undecided only if nothing was written after it
            self._decide(number, epoch, value)
        for trial in unfinished:
            self._take_up(trial)

    def _decided_epochs(self, number: int) -> list[int]:
        return [decision["epoch"] for decision in self.record.decisions(number)]

    def _take_up(self, trial: FrozenTrial) -> None:
        """Bring an unfinished trial's record up to what its folder knows, then end it or queue it again."""
        self.asking.go_on(trial.number)
        self._note(trial.number)
        if self._serve(trial.number):
            return
        epochs = self.record.trial_folder(trial.number).read_epochs()
        stop = any([self.report(trial.number, epoch) for epoch in epochs])
        last = epochs[-1] if epochs else None
        if stop or self._at_end(trial.number) or "reason" in trial.user_attrs:
            self.complete(trial.number, last)
        else:
            self.queue.append(trial.number)

    def _begin(self, number: int) -> Begin:
        return Begin(number, self._config(number), self.shares.take(number))

    def _serve(self, number: int) -> bool:
        """End a trial whose setting was trained before with what that brought; False where nothing is to be served."""
        outcome = serve(self.record, number, self._config(number))
        if outcome is None:
            return False
        self._note(number)
        self.tell(f"{_name(number)} {outcome.state.name}: {outcome.reason}")
        return True

    def _note(self, number: int) -> None:
        """Bring the counts up to date, and every few seconds the ledger."""
        self._tally.note(self.record.trial(number), self._config(number).training.epochs)
        self.ledger.keep_if_due()

    # For whoever listens

    def tell(self, message: str) -> None:
        """Tell the listener, if there is one, where the sweep stands, and `message`."""
        if self.listener is not None:
            self.listener(self.progress(message))

    def progress(self, message: str = "") -> Progress:
        """Where the sweep stands."""
        return self._standing.progress(self.control.words(), message)


def _name(number: int) -> str:
    return f"t{number:04d}"
