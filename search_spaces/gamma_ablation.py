"""What does gamma buy? Every gamma of the report's Table 1, with and without aligned rows, on five paired seeds.

    tune-mixup sweep gamma_ablation --max-epochs 100 --gpus-per-trial 0.25

A grid: nothing else varies and nothing is stopped early. gamma 0 is standard mixup on the same stratified batches;
`rows: permuted` is a control, not the released code's own map of rows: what confusion guides can be told from what any
uneven pairing does. At gamma 0 the rows are all alike and the control is left out.
"""

from optuna.distributions import CategoricalDistribution

from tune_mixup.search_space import SearchSpace

GAMMAS = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0)

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "data.batches": "stratified",
        "model.name": "preact_resnet18",
        "mixing.name": "generalized_mixup",
        "mixing.alpha": 1.0,
        "mixing.growth_factor": 1.0,
        "mixing.mu": 0.5,
        "optimizer.lr": 0.1,
        "optimizer.weight_decay": 1e-4,
        "schedule.name": "multistep",
        "training.epochs": 100,
        "training.batch_size": 250,
    },
    free={
        "seed": CategoricalDistribution((0, 1, 2, 3, 4)),
        "mixing.gamma": CategoricalDistribution((0.0, *GAMMAS)),
        "mixing.rows": CategoricalDistribution(("aligned", "permuted")),
    },
    conditions={"mixing.rows": {"mixing.gamma": GAMMAS}},
    defaults={"sampler.name": "grid", "stopping.name": "none"},
)
