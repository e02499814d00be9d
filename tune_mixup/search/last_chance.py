"""No sweep ends without a COMPLETE trial because its rule stopped all of them: the last that could be one goes on."""

import dataclasses

from optuna.trial import TrialState

from tune_mixup.record.facts import Decision
from tune_mixup.record.study import SweepStudy
from tune_mixup.search.tally import Tally


def on_last_chance(decision: Decision) -> Decision:
    """What is recorded where the rule would stop the last trial that could be COMPLETE."""
    why = f"{decision.why}; it goes on, for no trial is COMPLETE and no other can be"
    return dataclasses.replace(decision, stop=False, by="last", why=why)


def unless_last(
    decision: Decision | None, number: int, study: SweepStudy, tally: Tally, *, promised: int
) -> Decision | None:
    """The rule's decision on trial `number`, turned round where a stop would leave a sweep without a COMPLETE trial.

    A trial of the `promised` ones that is still to come could be COMPLETE, and so could an unfinished one that nothing
    has stopped. All this is in the record, which the `tally` counts, so a resumed sweep decides alike.
    """
    if decision is None or not decision.stop:
        return decision
    if tally.begun() < promised or tally.states[TrialState.COMPLETE]:
        return decision
    if any(study.stopped(other) is None for other in tally.unfinished() if other != number):
        return decision
    return on_last_chance(decision)
