"""GridMix on CIFAR-10: its strength and how fine its grid is, with the optimizer's settings tuned beside it.

    tune-mixup sweep gridmix --trials 32 --max-epochs 100 --gpus-per-trial 0.25

openmixup's tables use alpha 0.2 and 2 to 6 holes across the crop; twice as many are what 32 pixels can show. alpha up
to 2 as for the other methods that cut. The tables come from crops that reach beyond the image: `--set
mixing.variant=openmixup` compares with them. Learning rate and weight decay bracket the published 0.1 and 1e-4.
"""

from optuna.distributions import FloatDistribution, IntDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "preact_resnet18",
        "mixing.name": "gridmix",
        "training.epochs": 100,
        "training.batch_size": 125,
    },
    free={
        "mixing.alpha": FloatDistribution(0.2, 2.0, log=True),
        "mixing.min_holes": IntDistribution(2, 4),
        "mixing.max_holes": IntDistribution(6, 12),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    baselines=(
        {
            "mixing.alpha": 0.2,
            "mixing.min_holes": 2,
            "mixing.max_holes": 6,
            "optimizer.lr": 0.1,
            "optimizer.weight_decay": 1e-4,
        },
    ),
)
