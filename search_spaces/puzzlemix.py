"""Puzzle Mix on CIFAR-10: the weights of its energy and of the transport, and the optimizer's settings.

    tune-mixup sweep puzzlemix --trials 48 --max-epochs 100 --gpus-per-trial 0.25

The first baseline is the authors' CIFAR setting (Kim, Choo, Song 2020) with our loss and learning rate; ranges are
around it. They train with `--set loss.name=softmax_bce`, which wants another learning rate. A step takes one more pass
through the network. `--set mixing.variant=published` moves patches as the released code does.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "preact_resnet18",
        "mixing.name": "puzzlemix",
        "training.epochs": 100,
        "training.batch_size": 100,
    },
    free={
        "mixing.alpha": FloatDistribution(0.2, 4.0, log=True),
        "mixing.beta": FloatDistribution(0.4, 2.4),
        "mixing.gamma": FloatDistribution(0.0, 1.0),
        "mixing.eta": FloatDistribution(0.05, 0.5, log=True),
        "mixing.t_eps": FloatDistribution(0.2, 2.0, log=True),
        "mixing.num_labels": CategoricalDistribution((2, 3, 4)),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    baselines=(
        {
            "mixing.alpha": 1.0,
            "mixing.beta": 1.2,
            "mixing.gamma": 0.5,
            "mixing.eta": 0.2,
            "mixing.t_eps": 0.8,
            "mixing.num_labels": 3,
            "optimizer.lr": 0.1,
            "optimizer.weight_decay": 1e-4,
        },
    ),
)
