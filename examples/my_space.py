"""A search space of your own over the parts in this folder.

    tune-mixup check my_space.py
    tune-mixup sweep my_space.py --trials 8

A part is named by the module and the class: `my_mixer:Stripe`. The modules are found beside this file.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "my_dataset:Shapes",
        "model.name": "my_model:PlainNet",
        "training.epochs": 12,
        "training.batch_size": 50,
    },
    free={
        "mixing.name": CategoricalDistribution(("my_mixer:Stripe", "mixup", "erm")),
        "mixing.alpha": FloatDistribution(0.1, 2.0, log=True),
        "mixing.softness": FloatDistribution(0.0, 0.9),
        "optimizer.lr": FloatDistribution(0.01, 0.3, log=True),
    },
    conditions={
        "mixing.alpha": {"mixing.name": ("my_mixer:Stripe", "mixup")},
        "mixing.softness": {"mixing.name": ("my_mixer:Stripe",)},
    },
    baselines=({"mixing.name": "erm", "optimizer.lr": 0.1},),
    defaults={"stopping.name": "my_stopping_rule:Patience", "stopping.patience": 4},
)
