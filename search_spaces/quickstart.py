"""Generalized mixup on scikit-learn's real 8x8 digits: the whole service on a laptop's CPU in about a minute.

    tune-mixup sweep quickstart

Nothing is downloaded. The ranges are those of `generalized_mixup`, shortened to a training of twelve epochs.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "digits",
        "data.batches": "stratified",
        "data.validation_fraction": 0.5,  # the digits are easy: fewer to learn from, more to tell settings apart
        "model.name": "tiny_resnet",
        "mixing.name": "generalized_mixup",
        "optimizer.lr": 0.1,
        "training.epochs": 12,
        "training.batch_size": 100,
    },
    free={
        "mixing.alpha": FloatDistribution(0.1, 4.0, log=True),
        "mixing.gamma": FloatDistribution(0.0625, 2.0, log=True),
        "mixing.growth_factor": CategoricalDistribution((1.0, 1.25, 1.5, 2.0)),
        "mixing.step_size": CategoricalDistribution((2, 3, 4)),
        "mixing.mu": FloatDistribution(0.0, 0.95),
    },
    baselines=({"mixing.alpha": 1.0, "mixing.gamma": 0.25, "mixing.growth_factor": 1.0, "mixing.mu": 0.5},),
    conditions={"mixing.step_size": {"mixing.growth_factor": (1.25, 1.5, 2.0)}},  # gamma that never grows has no step
    defaults={"trials": 12},
)
