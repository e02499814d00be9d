"""SmoothMix on CIFAR-10: how wide its Gaussian is, with the optimizer's settings tuned beside it.

    tune-mixup sweep smoothmix --trials 32 --max-epochs 100 --gpus-per-trial 0.25

openmixup's tables come from sigma uniform between 0.25 and 0.5 of a side; the ranges here bracket both ends. On average
0.1 leaves a twentieth of the image and 0.7 three quarters. There, labels weigh the wrong image: `--set
mixing.variant=openmixup` compares with them. Learning rate and weight decay bracket the published 0.1 and
1e-4.
"""

from optuna.distributions import FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "preact_resnet18",
        "mixing.name": "smoothmix",
        "training.epochs": 100,
        "training.batch_size": 125,
    },
    free={
        "mixing.min_sigma": FloatDistribution(0.1, 0.3),
        "mixing.max_sigma": FloatDistribution(0.4, 0.7),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    baselines=(
        {"mixing.min_sigma": 0.25, "mixing.max_sigma": 0.5, "optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4},
    ),
)
