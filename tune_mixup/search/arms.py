"""The arms of an ablation at work: nothing beyond a look begins before the look is in the record.

What a look comes to is a function of the trainings on the seeds up to it, all of which have ended by then. So it is the
same however many run side by side, and whenever a process was killed.
"""

from collections.abc import Iterator

from optuna.trial import FrozenTrial, TrialState

from tune_mixup.ablation import ARM
from tune_mixup.distributions import choices
from tune_mixup.record.facts import Decision, SweepFacts
from tune_mixup.record.study import Outcome
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.arm_rule import ArmRule
from tune_mixup.sweep_config import SweepConfig


class Arms:
    """Which trials of an ablation must wait for a look, and which are not trained after one. None of another sweep."""

    def __init__(self, record: SweepRecord, config: SweepConfig) -> None:
        """Read the record; nothing is written."""
        self.record = record
        self.config = config
        self._looks = record.study.sweep_facts().looks
        self._per_seed = len(arms_of(config))

    def must_wait(self, number: int) -> bool:
        """Whether trial `number`, the next one, must wait for trainings that a look needs.

        Takes the looks that are due. Trials come seed by seed, each seed with all arms.
        """
        if self.config.ablation is None:
            return False
        for look in self.config.ablation.looks[:-1]:
            if number < look * self._per_seed:
                return False
            if look not in {one.seeds for one in self._looks}:
                if not self._take(look):
                    return True
        return False

    def finish(self) -> None:
        """Take the last look, once all trainings have ended, if it was not taken."""
        ablation = self.config.ablation
        if ablation is not None and ablation.looks[-1] not in {one.seeds for one in self._looks}:
            self._take(ablation.looks[-1])

    def spare(self, number: int) -> Outcome | None:
        """End a trial that was begun and whose arm was decided before its seed; None where it is to be trained.

        Repeating it after a kill changes nothing.
        """
        if self.config.ablation is None:
            return None
        arm, seed = self.record.study.trial(number).params[ARM], number // self._per_seed
        decided = (one for one in self._looks if one.arm == arm and one.verdict != "open" and one.seeds <= seed)
        if (look := next(decided, None)) is None:
            return None
        why = f"not trained, since {arm} was decided: {look.why}"
        if self.record.study.stopped(number) is None:
            self.record.decide(number, Decision(epoch=0, stop=True, by="look", why=why))
        outcome = Outcome(TrialState.PRUNED, why)
        self.record.finish(number, outcome)
        return outcome

    def words(self) -> str:
        """What the last look came to, in one line; empty before there is one."""
        latest = max((one.seeds for one in self._looks), default=0)
        said = [f"{one.arm} {one.verdict}" for one in self._looks if one.seeds == latest]
        return f"look after {latest} seeds: {', '.join(said)}" if said else ""

    def _take(self, look: int) -> bool:
        """Decide after `look` seeds and write it down; False where trainings on them have not ended."""
        ablation = self.config.ablation
        assert ablation is not None
        if self._looks and all(one.verdict != "open" for one in {one.arm: one for one in self._looks}.values()):
            return True  # nothing is left to decide
        asked = self.record.study.asked()[: look * self._per_seed]
        if len(asked) < look * self._per_seed or not all(trial.state.is_finished() for trial in asked):
            return False
        reference = ablation.reference
        others = tuple(arm for arm in arms_of(self.config) if arm != reference)
        values = values_of(asked, self.config)
        per_arm = {arm: [values[arm].get(seed) for seed in _seeds(self.config)[:look]] for arm in arms_of(self.config)}
        self._looks = (*self._looks, *ArmRule(ablation, others).look(look, per_arm, self._looks))
        self.record.study.note_sweep(SweepFacts(looks=self._looks))
        return True


def arms_of(config: SweepConfig) -> tuple[str, ...]:
    """The arms, in order; none where the sweep is no ablation."""
    return () if config.ablation is None else tuple(choices(config.space.free[ARM]) or ())


def values_of(trials: list[FrozenTrial], config: SweepConfig) -> dict[str, dict[int, float | None]]:
    """Arm -> seed -> the metric at the end, None where the training failed; those that were not trained are left out.

    Less is better where the sweep minimises: signs stay as they are.
    """
    values: dict[str, dict[int, float | None]] = {arm: {} for arm in arms_of(config)}
    for trial in _trained(trials):
        values[trial.params[ARM]][int(trial.params["seed"])] = (
            trial.value if trial.state == TrialState.COMPLETE else None
        )
    return values


def _trained(trials: list[FrozenTrial]) -> Iterator[FrozenTrial]:
    """The trials that have ended by themselves: not those that a look has spared, or a budget has cut off."""
    return (one for one in trials if one.state in (TrialState.COMPLETE, TrialState.FAIL))


def _seeds(config: SweepConfig) -> list[int]:
    return list(choices(config.space.free["seed"]) or ())
