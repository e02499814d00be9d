"""Co-Mixup on CIFAR-10: the weights of its objective, a loss of clean images or none, and the optimizer's settings.

    tune-mixup sweep comixup --trials 48 --max-epochs 100 --gpus-per-trial 0.25

The first baseline is the authors' CIFAR setting (Kim, Choo, Jeong, Song 2021) with our loss and learning rate; beta and
tau have the ranges of their README. They train with `--set loss.name=softmax_bce`, which wants another learning rate,
and say that alpha should be lower where no clean images are trained on. A step takes one more pass through the network.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "preact_resnet18",
        "mixing.name": "comixup",
        "training.epochs": 100,
        "training.batch_size": 100,
    },
    free={
        "mixing.alpha": FloatDistribution(0.2, 4.0, log=True),
        "mixing.beta": FloatDistribution(0.16, 0.48),
        "mixing.tau": FloatDistribution(0.81, 0.84),
        "mixing.eta": FloatDistribution(0.01, 0.2, log=True),
        "mixing.clean_lam": CategoricalDistribution((0.0, 1.0)),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    baselines=(
        {
            "mixing.alpha": 2.0,
            "mixing.beta": 0.32,
            "mixing.tau": 0.83,
            "mixing.eta": 0.05,
            "mixing.clean_lam": 1.0,
            "optimizer.lr": 0.1,
            "optimizer.weight_decay": 1e-4,
        },
    ),
)
