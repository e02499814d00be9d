"""Manifold mixup on CIFAR-10: its strength and the depths it mixes at, with the optimizer's settings tuned beside it.

    tune-mixup sweep manifold_mixup --trials 32 --max-epochs 100 --gpus-per-trial 0.25

The paper's code uses alpha 2 and the input and the first two stages (Verma et al. 2019), and so do openmixup's tables;
alpha 0.5 to 4 is in use. Its loss is softmax_bce, which needs larger learning rates than these: keep the cross-entropy
or widen the range. Learning rate and weight decay bracket the published 0.1 and 1e-4.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "preact_resnet18",
        "mixing.name": "manifold_mixup",
        "training.epochs": 100,
        "training.batch_size": 125,
    },
    free={
        "mixing.alpha": FloatDistribution(0.5, 4.0, log=True),
        "mixing.layers": CategoricalDistribution(("0 1 2", "0 1 2 3", "1 2")),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    baselines=({"mixing.alpha": 2.0, "mixing.layers": "0 1 2", "optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4},),
)
