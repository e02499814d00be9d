"""mixup on CIFAR-10: its strength, with the optimizer's settings tuned beside it.

    tune-mixup sweep mixup --trials 32 --max-epochs 100 --gpus-per-trial 0.25

alpha: the values in use are 0.1 to 2 (Zhang et al. 2018; openmixup's CIFAR tables use 1); the range reaches twice as
far on either side, so that the best one does not lie at its end. Learning rate and weight decay bracket the published
0.1 and 1e-4; they are searched too because a fair comparison tunes them for each alpha.
"""

from optuna.distributions import FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "preact_resnet18",
        "mixing.name": "mixup",
        "training.epochs": 100,
        "training.batch_size": 125,
    },
    free={
        "mixing.alpha": FloatDistribution(0.05, 4.0, log=True),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    baselines=({"mixing.alpha": 1.0, "optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4},),
)
