"""A search space of one's own, over parts of one's own that lie beside it.

tune-mixup sweep examples/my_space.py --trials 6
"""

from optuna.distributions import FloatDistribution, IntDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "my_dataset:Bars",
        "data.per_class": 60,
        "model.name": "my_model:SmallNet",
        "model.width": 4,
        "mixing.name": "my_mixer:Stripes",
        "optimizer.lr": 0.05,
        "training.epochs": 6,
        "training.batch_size": 30,
    },
    free={"mixing.alpha": FloatDistribution(0.1, 4.0, log=True), "mixing.period": IntDistribution(2, 6)},
    baselines=({"mixing.alpha": 1.0, "mixing.period": 4},),
    defaults={"trials": 6, "stopping.name": "my_stopping_rule:Patience", "stopping.patience": 2},
)
