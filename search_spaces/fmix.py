"""FMix on CIFAR-10: its strength and how smooth its shapes are, with the optimizer's settings tuned beside it.

    tune-mixup sweep fmix --trials 32 --max-epochs 100 --gpus-per-trial 0.25

The paper uses alpha 1 and decay 3 (Harris et al. 2020), openmixup's tables alpha 0.2. Both made their masks with the
released code: `--set mixing.variant=official` compares with them. Learning rate and weight decay bracket the published
0.1 and 1e-4.
"""

from optuna.distributions import FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "preact_resnet18",
        "mixing.name": "fmix",
        "training.epochs": 100,
        "training.batch_size": 125,
    },
    free={
        "mixing.alpha": FloatDistribution(0.2, 2.0, log=True),
        "mixing.decay": FloatDistribution(1.5, 5.0),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    baselines=(
        {"mixing.alpha": 1.0, "mixing.decay": 3.0, "optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4},
        {"mixing.alpha": 0.2, "mixing.decay": 3.0, "optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4},
    ),
)
