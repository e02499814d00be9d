"""The tiny search that all faults are tried on: a trial of 9 epochs takes about a second."""

from optuna.distributions import FloatDistribution

from tune_mixup.search_space import SearchSpace

FIXED = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 400,
    "data.num_test": 80,
    "data.size": 8,
    "data.batches": "stratified",
    "model.width": 4,
    "mixing.name": "generalized_mixup",
    "training.epochs": 9,
    "training.batch_size": 40,
}


def space(**fixed):
    """One free parameter; more settings are fixed with `_` for the dot: training_epochs=3."""
    return SearchSpace(
        fixed={**FIXED, **{key.replace("_", ".", 1): value for key, value in fixed.items()}},
        free={"optimizer.lr": FloatDistribution(0.01, 0.2, log=True)},
        baselines=({"optimizer.lr": 0.1},),
    )
