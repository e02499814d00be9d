"""Studies in memory, of trials that were written by hand."""

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from tune_mixup.record.facts import TrialFacts

FREE = {"mixing.alpha": FloatDistribution(0, 1), "optimizer.lr": FloatDistribution(0, 1)}


def study_of(trials):
    """One trial for each state, values by epoch and decisions; its point is a function of its number."""
    study = optuna.create_study(direction="maximize")
    for number, (state, values, decisions) in enumerate(trials):
        study.add_trial(
            create_trial(
                state=state,
                value=values[max(values)] if state == TrialState.COMPLETE else None,
                params={"mixing.alpha": number * 37 % 100 / 100, "optimizer.lr": number * 61 % 100 / 100},
                distributions=FREE,
                intermediate_values=values,
                user_attrs=TrialFacts(decisions=decisions).plain(),
            )
        )
    return study
