"""Generalized mixup on CIFAR-10: partners drawn by the model's own confusions, gamma grown while training.

    tune-mixup sweep generalized_mixup --trials 64 --max-epochs 100 --gpus-per-trial 0.25

gamma: the report "From Confusion to Clarity: Generalized mixup" tries 2^-4 to 2 and finds 0.125 to 0.25 best (Table 1).
growth_factor and step_size: its code documents growth by 1.5 every 20 epochs but applies it in single epochs only; the
values here are what its authors meant to run. mu: the report uses 0.5, its code 0.9. The optimizer is the report's.
With 100 classes set training.batch_size to a multiple of 100.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "data.batches": "stratified",
        "model.name": "preact_resnet18",
        "mixing.name": "generalized_mixup",
        "optimizer.lr": 0.1,
        "optimizer.weight_decay": 1e-4,
        "training.epochs": 100,
        "training.batch_size": 250,
    },
    free={
        "mixing.alpha": FloatDistribution(0.1, 4.0, log=True),  # lam ~ Beta(alpha, alpha)
        "mixing.gamma": FloatDistribution(0.0625, 2.0, log=True),  # exponent of the confusion matrix
        "mixing.growth_factor": CategoricalDistribution((1.0, 1.25, 1.5, 2.0)),  # 1 keeps gamma constant
        "mixing.step_size": IntDistribution(5, 50, step=5),  # epochs between two growths
        "mixing.mu": FloatDistribution(0.0, 0.95),  # weight of the old confusion matrix
    },
    baselines=({"mixing.alpha": 1.0, "mixing.gamma": 0.25, "mixing.growth_factor": 1.0, "mixing.mu": 0.5},),
    conditions={"mixing.step_size": {"mixing.growth_factor": (1.25, 1.5, 2.0)}},  # gamma that never grows has no step
)
