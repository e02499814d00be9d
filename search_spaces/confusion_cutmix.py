"""CutMix whose partners are drawn by the model's own confusions, beside CutMix with random ones, on CIFAR-10.

    tune-mixup sweep confusion_cutmix --trials 64 --max-epochs 100 --gpus-per-trial 0.25

Nobody has published this combination, so there is no value to start from: CutMix's ranges are those of the space
`cutmix`, and the pairing's those of `generalized_mixup`. Both arms see stratified batches, so that they differ in who
meets whom only. `mixing.partners.name = confusion` does the same for every other method that takes partners.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.search_space import SearchSpace

CONFUSION = {"mixing.partners.name": ("confusion",)}
CUTMIX = {"mixing.alpha": 1.0, "mixing.applied": 0.5, "optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4}

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "data.batches": "stratified",
        "model.name": "preact_resnet18",
        "mixing.name": "cutmix",
        "training.epochs": 100,
        "training.batch_size": 250,
    },
    free={
        "mixing.partners.name": CategoricalDistribution(("random", "confusion")),
        "mixing.partners.gamma": FloatDistribution(0.0625, 2.0, log=True),
        "mixing.partners.mu": FloatDistribution(0.0, 0.95),
        "mixing.alpha": FloatDistribution(0.1, 2.0, log=True),
        "mixing.applied": FloatDistribution(0.3, 1.0),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    conditions={"mixing.partners.gamma": CONFUSION, "mixing.partners.mu": CONFUSION},
    baselines=(
        {"mixing.partners.name": "random", **CUTMIX},
        {"mixing.partners.name": "confusion", "mixing.partners.gamma": 0.25, "mixing.partners.mu": 0.5, **CUTMIX},
    ),
)
