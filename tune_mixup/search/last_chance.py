"""No sweep ends without a COMPLETE trial because its rule stopped all of them: the last that could be one goes on."""

import dataclasses

from optuna.trial import FrozenTrial, TrialState

from tune_mixup.record.facts import Decision
from tune_mixup.record.study import facts_of
from tune_mixup.record.sweep_record import SweepRecord


def on_last_chance(decision: Decision) -> Decision:
    """What is recorded where the rule would stop the last trial that could be COMPLETE."""
    why = f"{decision.why}; it goes on, for no trial is COMPLETE and no other can be"
    return dataclasses.replace(decision, stop=False, by="last", why=why)


def unless_last(decision: Decision | None, number: int, record: SweepRecord, *, promised: int) -> Decision | None:
    """The rule's decision on trial `number`, turned round where a stop would leave a sweep without a COMPLETE trial.

    A trial of the `promised` ones that is still to come could be COMPLETE, and so could an unfinished one that nothing
    has stopped. All this is read from the record, so a resumed sweep decides alike.
    """
    if decision is None or not decision.stop:
        return decision
    asked = record.study.asked()
    if len(asked) < promised or any(_could_be_complete(trial) for trial in asked if trial.number != number):
        return decision
    return on_last_chance(decision)


def _could_be_complete(trial: FrozenTrial) -> bool:
    """Whether a trial is COMPLETE, or may be one day."""
    if trial.state.is_finished():
        return trial.state == TrialState.COMPLETE
    return facts_of(trial).stopped is None
