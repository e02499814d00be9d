"""What a stopping rule promises: decisions that follow from the reports alone, in whatever order these are restored.

    from tune_mixup.testing import StoppingContract

    class TestMine(StoppingContract):
        part = Mine(patience=3)

Choose settings with which trials of nine epochs are stopped.
"""

import json
import random
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple
from unittest import SkipTest

from tune_mixup.record.facts import Decision
from tune_mixup.stopping import AnyStopping, Stopping
from tune_mixup.stopping.base import Objective, Seat, StoppingRule
from tune_mixup.sweep_config import SweepConfig
from tune_mixup.testing.kills import killed_after_each_write, read_from_record
from tune_mixup.testing.made_up_sweep import SPACE
from tune_mixup.testing.parts import PartContract
from tune_mixup.testing.watching import global_generators_untouched

EPOCHS = 9
TRIALS = 8
SPARED = 5
"""The trial of the control group."""
SWEEPS = 40
"""Made-up sweeps per direction that each promise is tried on."""


class Said(NamedTuple):
    """A report: the value of a trial after an epoch."""

    trial: int
    epoch: int
    value: float


class StoppingContract(PartContract[Stopping]):
    """For classes derived from `Stopping`."""

    kind = AnyStopping
    trials: int = 8
    """Of the sweep that is killed at each of its writes."""

    def test_rungs_rise_and_lie_inside_the_training(self) -> None:
        """They are known before the first epoch."""
        for epochs in (1, 2, 5, 9, 30, 100, 200):
            for drops in ((), (epochs // 2,), (epochs // 2, 3 * epochs // 4)):
                rungs = self.part.rungs(epochs, drops)
                right = list(rungs) == sorted(set(rungs)) and all(1 <= rung < epochs for rung in rungs)
                assert right, f"rungs({epochs}, {drops}) is {list(rungs)}, must rise and be 1 to {epochs - 1}"

    def test_what_it_says_about_its_comparisons_is_possible(self) -> None:
        """Shares and counts."""
        assert 0 <= self.part.share_spared <= 1, f"share_spared is {self.part.share_spared}, must be 0 to 1"
        assert self.part.one_in >= 2, f"one_in is {self.part.one_in}, must be at least 2"
        for objective in (
            Objective("val_accuracy", "maximize"),
            Objective("val_nll_median", "minimize", is_median=True),
        ):
            reports = self.part.reports_smoothed(objective)
            assert reports >= 1, f"reports_smoothed is {reports} for {objective.name}, must be at least 1"

    def test_equal_reports_get_equal_decisions(self) -> None:
        """Two rules of the same settings share nothing, draw nothing, and decide alike."""
        for direction, reports in _sweeps():
            with global_generators_untouched():
                first, again = _decided(self._rule(direction), reports), _decided(self._rule(direction), reports)
            assert first == again, "two rules at work decide differently on equal reports; keep all state in the rule"

    def test_some_trial_is_stopped(self) -> None:
        """Without a stop in all the made-up sweeps, nothing of this suite would have been tried."""
        decided = [one for direction, reports in _sweeps() for one in _decided(self._rule(direction), reports)]
        if not any(one is not None and one.stop for one in decided):
            raise SkipTest("it stopped nothing; choose settings that stop trials of nine epochs")

    def test_the_control_group_is_never_stopped(self) -> None:
        """It shows what stopping costs."""
        for direction, reports in _sweeps():
            for report, decision in zip(reports, _decided(self._rule(direction), reports), strict=True):
                stopped = report.trial == SPARED and decision is not None and decision.stop
                assert not stopped, "a trial whose seat is spared was stopped; compare it and let it go on"

    def test_decisions_can_be_written_down(self) -> None:
        """Each is of the report's epoch, says why in one line, and survives JSON."""
        for direction, reports in _sweeps():
            for report, decision in zip(reports, _decided(self._rule(direction), reports), strict=True):
                if decision is None:
                    continue
                assert decision.epoch == report.epoch, f"{decision} was made after epoch {report.epoch}"
                one_line = decision.why.startswith(f"epoch {decision.epoch}: ") and "\n" not in decision.why
                assert one_line, f"`why` is {decision.why!r}, must be one line, 'epoch {decision.epoch}: ...'"
                again = Decision.parse(json.loads(json.dumps(decision.plain())))
                assert again == decision, f"{decision} is read back as {again}; use plain numbers and texts"

    def test_epochs_gone_by_count_for_nothing(self) -> None:
        """A resumed trial reports again what it had reported; nothing follows, also for others."""
        for direction, reports in _sweeps():
            once, twice, rng = self._rule(direction), self._rule(direction), random.Random(len(reports))
            passed: dict[int, int] = {}
            for report in reports:
                if report.trial in passed and rng.random() < 0.5:
                    epoch = rng.randint(1, passed[report.trial])
                    stale = twice.report(report.trial, epoch, rng.random(), seat_of(report.trial))
                    assert stale is None, f"a report of epoch {epoch}, behind {passed[report.trial]}, led to {stale}"
                one, other = (rule.report(*report, seat_of(report.trial)) for rule in (once, twice))
                assert one == other, "reports of epochs gone by change later decisions; ignore them"
                passed[report.trial] = max(report.epoch, passed.get(report.trial, 0))

    def test_a_restored_rule_decides_as_the_one_that_was_never_lost(self) -> None:
        """Rebuilt half-way from the record in any order of trials, it decides the rest alike."""
        for direction, reports in _sweeps():
            rng = random.Random(len(reports))
            half = rng.randrange(len(reports))
            decided = _decided(self._rule(direction), reports)
            record, stopped = _recorded(reports[:half], decided)
            for order in (sorted(record), sorted(record, key=lambda one: (-one.trial, one.epoch)), record):
                rebuilt = self._rule(direction)
                for one in order:
                    rebuilt.note(*one, seat_of(one.trial))
                again = _decided(rebuilt, reports[half:], stopped)
                assert again == decided[half:], (
                    "a rule that is told of the record by `note` decides differently from the one that was there; "
                    "let decisions follow from the reports, whatever their order among trials"
                )

    def test_a_sweep_killed_after_each_write_decides_as_one_that_never_was(self) -> None:
        """Every process dies once it has written one thing; suggestions and decisions come out the same."""
        outcome = killed_after_each_write(self._sweep())
        assert outcome.killed == outcome.unbroken, "a sweep that was killed at each write decided differently"
        assert outcome.kills == outcome.writes - 1, "a resumed sweep does not write each thing once"

    def test_the_record_of_a_sweep_holds_its_settings(self) -> None:
        """`resume` makes the same rule of it."""
        assert read_from_record(self._sweep()) == self._sweep(), "what is read from the record is another sweep"

    def _sweep(self) -> SweepConfig:
        return SweepConfig.parse(
            {
                "name": "contract",
                "space": SPACE,
                "sampler": {"name": "random"},
                "stopping": self.part,
                "metric": "val_accuracy",
                "trials": self.trials,
            }
        )

    def _rule(self, direction: Literal["maximize", "minimize"]) -> StoppingRule:
        return self.part.rule(Objective("val_accuracy", direction), epochs=EPOCHS)


def seat_of(trial: int) -> Seat:
    """Two groups, rungs at epochs 1, 3 and 6; one trial is spared."""
    return Seat((1, 3, 6), "ab"[trial % 2], spared=trial == SPARED)


def _sweeps() -> Iterator[tuple[Literal["maximize", "minimize"], list[Said]]]:
    """Reports of sweeps in any order of trials: some skip epochs, some come again or are of epochs gone by."""
    directions: tuple[Literal["maximize", "minimize"], ...] = ("maximize", "minimize")
    for seed in range(SWEEPS):
        rng, at = random.Random(seed), dict.fromkeys(range(TRIALS), 0)
        reports = []
        for _ in range(rng.randrange(1, 80)):
            trial = rng.randrange(TRIALS)
            epoch = min(EPOCHS, max(1, at[trial] + rng.choice([1, 1, 1, 2, 3, 0, -3])))
            at[trial] = max(epoch, at[trial])
            reports.append(Said(trial, epoch, rng.choice([0.1, 0.2, rng.random()])))
        for direction in directions:
            yield direction, reports


def _decided(
    rule: StoppingRule, reports: Sequence[Said], stopped: frozenset[int] = frozenset()
) -> list[Decision | None]:
    """What the rule says to each report; a stopped trial reports no more."""
    gone, decisions = set(stopped), list[Decision | None]()
    for trial, epoch, value in reports:
        decision = None if trial in gone else rule.report(trial, epoch, value, seat_of(trial))
        gone |= {trial} if decision is not None and decision.stop else set()
        decisions.append(decision)
    return decisions


def _recorded(reports: Sequence[Said], decided: Sequence[Decision | None]) -> tuple[list[Said], frozenset[int]]:
    """What a session writes down of reports, in their order, and which trials were stopped."""
    latest: dict[int, int] = {}
    record, stopped = [], set[int]()
    for report, decision in zip(reports, decided, strict=False):
        if report.trial not in stopped and report.epoch > latest.get(report.trial, 0):
            latest[report.trial] = report.epoch
            record.append(report)
        stopped |= {report.trial} if decision is not None and decision.stop else set()
    return record, frozenset(stopped)
