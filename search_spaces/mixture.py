"""Which mixture of mixup, CutMix and ResizeMix on CIFAR-10: how often each is drawn, and each one's strength.

    tune-mixup sweep mixture --trials 64 --max-epochs 100 --gpus-per-trial 0.25

Weights are relative: mixup's is 1, and the others are drawn up to 16 times as often as it, which covers the simplex
with one parameter less than there are methods, but for the edge without mixup, which it comes near to: 1 in 17. 0 takes
a method out, whose other parameters then do not exist. The baselines are openmixup's example, mixup and CutMix at 0.4
to 0.6 with alpha 0.1 and 1, and mixup alone. Ranges of alpha are those of the methods' own spaces. Learning rate and
weight decay bracket the published 0.1 and 1e-4.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.search_space import SearchSpace

WEIGHTS = (0.0, 0.25, 0.5, 1.0, 1.5, 4.0, 16.0)
OPTIMIZER = {"optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4}

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "preact_resnet18",
        "mixing.name": "mixture",
        "mixing.members.mixup.name": "mixup",
        "mixing.members.cutmix.name": "cutmix",
        "mixing.members.resizemix.name": "resizemix",
        "mixing.weights.mixup": 1.0,
        "training.epochs": 100,
        "training.batch_size": 125,
    },
    free={
        "mixing.per": CategoricalDistribution(("batch", "sample")),
        "mixing.weights.cutmix": CategoricalDistribution(WEIGHTS),
        "mixing.weights.resizemix": CategoricalDistribution(WEIGHTS),
        "mixing.members.mixup.alpha": FloatDistribution(0.05, 4.0, log=True),
        "mixing.members.cutmix.alpha": FloatDistribution(0.1, 2.0, log=True),
        "mixing.members.resizemix.alpha": FloatDistribution(0.2, 4.0, log=True),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    conditions={
        "mixing.members.cutmix.alpha": {"mixing.weights.cutmix": WEIGHTS[1:]},
        "mixing.members.resizemix.alpha": {"mixing.weights.resizemix": WEIGHTS[1:]},
    },
    baselines=(
        {
            "mixing.per": "batch",
            "mixing.weights.cutmix": 1.5,
            "mixing.weights.resizemix": 0.0,
            "mixing.members.mixup.alpha": 0.1,
            "mixing.members.cutmix.alpha": 1.0,
            **OPTIMIZER,
        },
        {
            "mixing.per": "batch",
            "mixing.weights.cutmix": 0.0,
            "mixing.weights.resizemix": 0.0,
            "mixing.members.mixup.alpha": 1.0,
            **OPTIMIZER,
        },
    ),
)
