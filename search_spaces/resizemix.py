"""ResizeMix on CIFAR-10: how large the pasted image is, with the optimizer's settings tuned beside it.

    tune-mixup sweep resizemix --trials 32 --max-epochs 100 --gpus-per-trial 0.25

The paper draws tau uniformly between 0.1 and 0.8 (Qin et al. 2020), which is alpha 1, as in openmixup's tables; alpha
0.2 prefers the ends of that range and 4 its middle, and both ends are searched too. The smallest box needs 2 pixels a
side, so on 32 pixels tau can't start below 0.0625; the range keeps clear of it. Learning rate and weight decay bracket
the published 0.1 and 1e-4.
"""

from optuna.distributions import FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "preact_resnet18",
        "mixing.name": "resizemix",
        "training.epochs": 100,
        "training.batch_size": 125,
    },
    free={
        "mixing.alpha": FloatDistribution(0.2, 4.0, log=True),
        "mixing.min_tau": FloatDistribution(0.07, 0.3),
        "mixing.max_tau": FloatDistribution(0.6, 0.9),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    baselines=(
        {
            "mixing.alpha": 1.0,
            "mixing.min_tau": 0.1,
            "mixing.max_tau": 0.8,
            "optimizer.lr": 0.1,
            "optimizer.weight_decay": 1e-4,
        },
    ),
)
