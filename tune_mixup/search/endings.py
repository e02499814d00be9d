"""How a trial has ended, in the words of its record."""

import math

from optuna.trial import FrozenTrial, TrialState

from tune_mixup.record.study import Outcome, facts_of
from tune_mixup.record.trial_folder import Epoch
from tune_mixup.training.divergence import why_diverged


def fault_of(row: Epoch, metric: str) -> str | None:
    """What is wrong with a report that ends its trial without a value; None when nothing is."""
    if not row.get("diverged") and (metric not in row or math.isfinite(row[metric])):
        return None
    return f"epoch {row['epoch']}: diverged, {why_diverged(row)}"


def is_at_end(trial: FrozenTrial, epochs: int) -> bool:
    """Whether a trial has reported the last one of its `epochs`."""
    return (trial.last_step or 0) >= epochs


def outcome_of(trial: FrozenTrial, *, epochs: int, failed: str | None, fault: str | None) -> Outcome:
    """COMPLETE at its full budget, PRUNED when it was stopped before, else FAIL.

    `failed` says what it failed by, `fault` what is wrong with its last report.
    """
    if failed is not None or fault is not None:
        return Outcome(TrialState.FAIL, str(failed if failed is not None else fault))
    if is_at_end(trial, epochs):
        return Outcome(TrialState.COMPLETE, f"epoch {trial.last_step}: trained to the full budget")
    facts = facts_of(trial)
    if facts.stopped is not None:
        return Outcome(TrialState.PRUNED, facts.stopped)
    return Outcome(TrialState.FAIL, facts.reason or "ended without a report of its last epoch")
