"""Which method? Plain training, mixup and eight of its descendants under one search, each with its own parameters.

    tune-mixup sweep methods --trials 64 --max-epochs 100 --gpus-per-trial 0.25

All methods see stratified batches, so that they differ in mixing only. Learning rate and weight decay are searched for
each, because a method compared at another's best setting is compared unfairly. Ranges as in the methods' own spaces;
gamma is generalized mixup's.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.search_space import SearchSpace

MIXED = (
    "mixup", "cutmix", "alignmixup", "attentivemix", "puzzlemix", "comixup", "automix", "samix", "generalized_mixup",
)  # fmt: skip
ALIGNED = {"mixing.name": ("alignmixup",)}
GENERALIZED = {"mixing.name": ("generalized_mixup",)}
PUZZLE = {"mixing.name": ("puzzlemix",)}
OPTIMIZER = {"optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4}

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "data.batches": "stratified",
        "model.name": "preact_resnet18",
        "training.epochs": 100,
        "training.batch_size": 250,
    },
    free={
        "mixing.name": CategoricalDistribution(("erm", *MIXED)),
        "mixing.alpha": FloatDistribution(0.05, 4.0, log=True),
        "mixing.applied": FloatDistribution(0.3, 1.0),
        "mixing.aligned": FloatDistribution(0.3, 0.7),
        "mixing.epsilon": FloatDistribution(0.05, 0.5, log=True),
        "mixing.beta": FloatDistribution(0.4, 2.4),
        "mixing.tau": FloatDistribution(0.81, 0.84),
        "mixing.eta": FloatDistribution(0.05, 0.5, log=True),
        "mixing.gamma": FloatDistribution(0.0625, 2.0, log=True),
        "mixing.mu": FloatDistribution(0.0, 0.95),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    conditions={
        "mixing.alpha": {"mixing.name": MIXED},
        "mixing.applied": {"mixing.name": ("cutmix",)},
        "mixing.aligned": ALIGNED,
        "mixing.epsilon": ALIGNED,
        "mixing.beta": PUZZLE,
        "mixing.tau": {"mixing.name": ("comixup",)},
        "mixing.eta": PUZZLE,
        "mixing.gamma": GENERALIZED,
        "mixing.mu": GENERALIZED,
    },
    baselines=(
        {"mixing.name": "erm", **OPTIMIZER},
        {"mixing.name": "mixup", "mixing.alpha": 1.0, **OPTIMIZER},
        {"mixing.name": "cutmix", "mixing.alpha": 1.0, "mixing.applied": 0.5, **OPTIMIZER},
        {"mixing.name": "alignmixup", "mixing.alpha": 2.0, "mixing.aligned": 0.5, "mixing.epsilon": 0.1, **OPTIMIZER},
        {"mixing.name": "attentivemix", "mixing.alpha": 2.0, **OPTIMIZER},
        {"mixing.name": "puzzlemix", "mixing.alpha": 1.0, "mixing.beta": 1.2, "mixing.eta": 0.2, **OPTIMIZER},
        {"mixing.name": "comixup", "mixing.alpha": 2.0, "mixing.tau": 0.83, **OPTIMIZER},
        {"mixing.name": "automix", "mixing.alpha": 2.0, **OPTIMIZER},
        {"mixing.name": "samix", "mixing.alpha": 2.0, **OPTIMIZER},
        {
            "mixing.name": "generalized_mixup",
            "mixing.alpha": 1.0,
            "mixing.gamma": 0.25,
            "mixing.mu": 0.5,
            **OPTIMIZER,
        },
    ),
)
