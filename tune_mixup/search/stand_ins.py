"""What a sampler is shown of trials that have a privilege: control trials, and the runs of finalists.

A control trial is COMPLETE, and samplers take any COMPLETE trial for better than all that were stopped, however
promising. Where several rungs let few trials through, the control group would be most of what the sampler takes for
good: so it is shown what such a trial would have been, had it not been spared. Finalists' runs repeat settings that it
knows, on other seeds, whose values do not compare: it is not shown them.
"""

import copy
from typing import Literal

from optuna.trial import FrozenTrial, TrialState

from tune_mixup.record.facts import Decision
from tune_mixup.record.study import facts_of, is_finalist
from tune_mixup.sweep_config import SweepConfig


def shown_instead(trial: FrozenTrial, config: SweepConfig) -> dict[int, FrozenTrial | None]:
    """The trial's number and what is shown instead of it, None for nothing; empty where it is shown as it is."""
    if is_finalist(trial):
        return {trial.number: None}
    if trial.state != TrialState.COMPLETE or not config.sampler.learns_from_stopped:  # before the direction is found
        return {}
    other = stand_in(trial, config.direction)
    return {} if other is None else {trial.number: other}


def stand_in(trial: FrozenTrial, direction: Literal["maximize", "minimize"]) -> FrozenTrial | None:
    """The trial as the first rung would have stopped it that was not let through; None for one that needs none."""
    if trial.state != TrialState.COMPLETE or "decisions" not in trial.user_attrs:
        return None
    failed = next((one for one in facts_of(trial).decisions if _would_have_stopped(one, direction)), None)
    if failed is None:
        return None
    shown = copy.copy(trial)
    shown.state = TrialState.PRUNED
    shown.values = None
    shown.intermediate_values = {
        epoch: value for epoch, value in trial.intermediate_values.items() if epoch <= failed.epoch
    }
    return shown


def _would_have_stopped(decision: Decision, direction: Literal["maximize", "minimize"]) -> bool:
    if decision.by != "rung" or decision.value is None or decision.cutoff is None:
        return False
    return decision.value < decision.cutoff if direction == "maximize" else decision.value > decision.cutoff
