"""One process's work on a sweep: every decision, written to the record before it is acted on. No Ray.

Ray's searcher and scheduler (`cluster/adapters.py`) only pass on what is decided here. Opening a session reads the
record, and that is all there is to resuming: reports are replayed to fill the rungs, unfinished trials queue again.
"""

from collections import deque

from optuna.trial import FrozenTrial

from tune_mixup.record.facts import Decision, Ending, TrialFacts
from tune_mixup.record.merit import common_seed
from tune_mixup.record.names import trial_name
from tune_mixup.record.study import facts_of
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.record.trial_folder import Epoch
from tune_mixup.record.uncollected import uncollected
from tune_mixup.search.arms import Arms
from tune_mixup.search.asking import Asking
from tune_mixup.search.deciding import Deciding
from tune_mixup.search.endings import fault_of, is_at_end, outcome_of
from tune_mixup.search.finals import Finals
from tune_mixup.search.ledger import Ledger
from tune_mixup.search.mending import mend, mend_all, unbroken
from tune_mixup.search.repeats import serve
from tune_mixup.search.shares import Begin as Begin
from tune_mixup.search.shares import FixedShares, Shares
from tune_mixup.search.standing import Listener, Progress, Standing
from tune_mixup.search.tally import Tally
from tune_mixup.sweep_config import SweepConfig


class Session:
    """What to run next, whether to go on, and how each trial ended. Made by `Session.open`."""

    @classmethod
    def open(
        cls,
        record: SweepRecord,
        config: SweepConfig,
        *,
        shares: Shares | None = None,
        listener: Listener | None = None,
        began: float | None = None,
    ) -> "Session":
        """Take up what is unfinished in the record, whose lock the caller holds.

        `shares` places the trials (default: a fixed share each); the command began at `began` of `time.monotonic`.
        """
        with uncollected():
            session = cls(record, config, shares=shares or FixedShares(record, config), listener=listener)
            mend_all(record, metric=config.metric, config_of=session.asking.of)
            session.asking.enqueue_first_points()
            session._restore()
        session._standing.begin(began)
        return session

    def __init__(self, record: SweepRecord, config: SweepConfig, *, shares: Shares, listener: Listener | None) -> None:
        """Read the record; nothing is written."""
        self.record = record
        self.config = config
        self.shares = shares
        self.listener = listener
        self.ledger = Ledger(record, config)
        self.asking = Asking(record, config)
        self._imported = record.study.imported()
        self._config = self.asking.of
        self._tally = Tally(config.direction, seed=common_seed(record.folder.config()))
        for trial in record.study.asked():
            self._tally.note(trial, self.asking.full_epochs(trial) if trial.state.is_finished() else 0)
        self.deciding = Deciding(record, config, self.asking, self._tally)
        self._standing = Standing(record.name, config, self._tally, self.ledger)
        self.finals = Finals(record, config, self._standing)
        self.arms = Arms(record, config)
        self.queue: deque[int] = deque()
        """Trials that were begun and are to go on."""

    # What to run

    def next(self) -> Begin | None:
        """The next trial to run, asked of the sampler and recorded.

        None when all that was promised has been asked, and as long as running trials leave no room for another.
        """
        if not self.shares.has_room():
            return None
        if self.queue:
            return self._begin(self.queue.popleft())
        while self.ledger.used_up() is None and self.finals.is_searching():
            number = self._tally.begun() + self._imported
            if self._waits_for_a_look(number):
                return None
            longer = self.deciding.lengthen_grace(number)
            valid = self.asking.ask(number)
            self._note(number)
            if not valid:
                self._tell_invalid(number)
            elif not self._serve(number):
                self.tell(f"{trial_name(number)} begins" + longer)
                return self._begin(number)
        return self._begin_final() if self.ledger.used_up() is None else None

    def _begin_final(self) -> Begin | None:
        if (final := self.finals.next()) is None:
            return None
        number = self.asking.again(final.trial, final.seeds)
        self._note(number)
        seed = self._config(number).seed
        self.tell(f"{trial_name(number)} begins: a finalist, the setting of {trial_name(final.trial)} on seed {seed}")
        return self._begin(number)

    # What came out

    def report(self, number: int, row: Epoch) -> bool:
        """Record the trainer's report of one epoch and decide; True when the trial must stop.

        Epochs that the trial had passed already change nothing, and neither do reports of one that was stopped.
        """
        epoch = int(row["epoch"])
        self.ledger.meter(number, epoch, epoch_s=float(row.get("epoch_s", 0.0)), gpus=self.shares.of(number))
        if self._fault(row) is not None:
            return True
        stopped = self.record.study.stopped(number)
        if stopped is not None or epoch <= self.record.study.heard(number):
            return stopped is not None
        self._standing.trained(float(row.get("epoch_s", 0.0)))
        stop = False
        if self.config.metric in row:  # else there was no validation after this epoch
            self.record.study.report(number, epoch, value := float(row[self.config.metric]))
            stop = self.deciding.decide(number, epoch, value)
        used_up = self.ledger.used_up()
        if not stop and used_up is not None and epoch < self._epochs(number):
            self.record.decide(number, Decision(epoch=epoch, stop=True, why=f"epoch {epoch}: {used_up}", by="budget"))
            stop = True
        self._note(number)
        self.tell("")
        return stop

    def complete(self, number: int, row: Epoch | None, *, failed: str | None = None) -> None:
        """Record how a trial ended: COMPLETE at its full budget, PRUNED when stopped before, else FAIL.

        `row` is its last report, where there was one; `failed` says what it failed by.
        """
        if row is not None:
            self.report(number, row)
        trial = self.record.study.trial(number)
        outcome = outcome_of(trial, epochs=self._epochs(number), failed=failed, fault=self._fault(row))
        self.record.finish(number, outcome)
        self.shares.release(number)
        self._note(number)
        trial = self.record.study.trial(number)
        self.asking.show(trial)
        learnt = self.deciding.ended(trial, facts_of(trial))
        news = f"; {words}" if learnt and (words := self.deciding.control.words()) else ""
        self.tell(f"{trial_name(number)} {outcome.state.name}: {outcome.reason}{news}")
        self.arms.finish()

    def end(self, number: int, row: Epoch | None, ending: Ending, *, interrupted: bool = False) -> None:
        """Record what a trial's run ended by, or queue the trial again. `row` is its last report, if there was one.

        When the sweep is `interrupted`, a trial that has not ended for its own sake goes on another day.
        """
        match ending.kind:
            case "out_of_memory":
                self.out_of_memory(number, ending.why or "out of memory")
            case "locked_out":
                self.died(number, ending.why or "another process held its folder")
            case "failed":
                self.complete(number, row, failed=ending.why)
            case _:
                if not interrupted or self._has_ended(number, row):
                    self.complete(number, row)

    def _has_ended(self, number: int, row: Epoch | None) -> bool:
        if row is not None:
            self.report(number, row)
        trial = self.record.study.trial(number)
        over = is_at_end(trial, self._epochs(number)) or facts_of(trial).stopped is not None
        return over or self._fault(row) is not None

    def died(self, number: int, reason: str) -> None:
        """A worker died, or was killed because it hung: its trial goes on from its checkpoint, or has failed."""
        deaths = (*self.record.study.facts(number).deaths, reason)
        self.record.study.note(number, TrialFacts(deaths=deaths))
        allowed = self.config.max_failures
        if len(deaths) > allowed:
            self.complete(number, None, failed=f"{reason}; failure {len(deaths)}, and max_failures is {allowed}")
        else:
            self._again(number, f"{reason}; it goes on from its checkpoint (failure {len(deaths)}, allowed {allowed})")

    def out_of_memory(self, number: int, reason: str) -> None:
        """A trial needed more memory than its share of a GPU has: it goes on with a larger share, or has failed."""
        share = self.shares.of(number)
        larger = self.shares.enlarge(number)
        if larger is not None:
            self._again(number, f"{reason} on {share:g} of a GPU; it goes on from its checkpoint with {larger}")
        else:
            self.complete(number, None, failed=f"{reason} on {f'{share:g} GPU' if share else 'the CPU'}")

    def rungs(self, number: int) -> list[int]:
        """The epochs after which a trial's value may be needed; a longer grace only takes some away."""
        return self.deciding.seats.rungs(self._config(number))

    def unfinished(self) -> list[int]:
        """Trials that were begun and have not ended."""
        return self._tally.unfinished()

    def _again(self, number: int, message: str) -> None:
        self.shares.release(number)
        self.queue.appendleft(number)
        self.tell(f"{trial_name(number)}: {message}")

    def _epochs(self, number: int) -> int:
        return self._config(number).training.epochs

    def _fault(self, row: Epoch | None) -> str | None:
        return None if row is None else fault_of(row, self.config.metric)

    # From the record

    def _restore(self) -> None:
        """Tell the rule what the record holds, decide what a killed process could not, take up what is unfinished."""
        undecided: list[tuple[int, int, float]] = []
        unfinished = []
        for trial, facts in [(trial, facts_of(trial)) for trial in self.record.study.asked()]:
            if trial.state.is_finished() and (facts.served is not None or facts.invalid is not None):
                continue  # its values are another trial's, which has a say of its own; or it has none
            undecided += self.deciding.restore(trial, facts)
            if trial.state.is_finished():
                self.deciding.ended(trial, facts)
            else:
                unfinished.append(trial)
        for number, epoch, value in undecided:  # a report is undecided only if nothing was written after it
            self.deciding.decide(number, epoch, value)
        for trial in unfinished:
            self._take_up(trial)
        self.arms.finish()

    def _take_up(self, trial: FrozenTrial) -> None:
        """Bring an unfinished trial's record up to what its folder knows, then end it or queue it again."""
        valid = self.asking.go_on(trial.number)
        self._note(trial.number)
        if not valid:
            return self._tell_invalid(trial.number)
        if self._serve(trial.number):
            return
        known = trial.last_step or 0
        epochs = unbroken(self.record.folder.trial(trial.number).read_epochs(), after=known)
        self.ledger.take_over(trial.number, [row for row in epochs if row["epoch"] <= known])
        for row in epochs:
            self.report(trial.number, row)
        last = epochs[-1] if epochs else None
        if self._has_ended(trial.number, last) or facts_of(trial).reason is not None:
            mend(self.record, self.record.study.trial(trial.number), self.config.metric, self.asking.of)
            self.complete(trial.number, last)
        else:
            self.queue.append(trial.number)

    def _begin(self, number: int) -> Begin:
        return Begin(number, self._config(number), self.shares.take(number), self.record.study.heard(number))

    def _serve(self, number: int) -> bool:
        """End a trial that needs no training, since its setting was trained before, or its arm of an ablation decided.

        False where it is to be trained.
        """
        outcome = serve(self.record, number, self._config(number)) or self.arms.spare(number)
        if outcome is None:
            return False
        self._note(number)
        self.tell(f"{trial_name(number)} {outcome.state.name}: {outcome.reason}")
        self.arms.finish()
        return True

    def _waits_for_a_look(self, number: int) -> bool:
        before = self.arms.words()
        waits = self.arms.must_wait(number)
        if (words := self.arms.words()) != before:
            self.tell(words)
        return waits

    def _tell_invalid(self, number: int) -> None:
        self.tell(f"{trial_name(number)} FAIL: {self.record.study.facts(number).reason}")

    def _note(self, number: int) -> None:
        """Bring the counts up to date, and every few seconds the ledger."""
        trial = self.record.study.trial(number)
        self._tally.note(trial, self.asking.full_epochs(trial))
        self.ledger.keep_if_due()

    # For whoever listens

    def tell(self, message: str) -> None:
        """Tell the listener, if there is one, where the sweep stands, and `message`."""
        if self.listener is not None:
            self.listener(self.progress(message))

    def progress(self, message: str = "") -> Progress:
        """Where the sweep stands."""
        return self._standing.progress(self.deciding.control.words(), message, finals=self.finals.words())
