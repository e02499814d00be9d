"""CutMix on CIFAR-10: its strength and how many batches are cut, with the optimizer's settings tuned beside it.

    tune-mixup sweep cutmix --trials 32 --max-epochs 100 --gpus-per-trial 0.25

The paper's CIFAR setting is alpha 1 on half of the batches (Yun et al. 2019); openmixup's tables use alpha 0.2 on all;
both ranges hold both. Learning rate and weight decay bracket the published 0.1 and 1e-4.
"""

from optuna.distributions import FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "preact_resnet18",
        "mixing.name": "cutmix",
        "training.epochs": 100,
        "training.batch_size": 125,
    },
    free={
        "mixing.alpha": FloatDistribution(0.1, 2.0, log=True),
        "mixing.applied": FloatDistribution(0.3, 1.0),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    baselines=(
        {"mixing.alpha": 1.0, "mixing.applied": 0.5, "optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4},
        {"mixing.alpha": 0.2, "mixing.applied": 1.0, "optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4},
    ),
)
