"""AttentiveMix on CIFAR-10: its strength and how fast its teacher follows, with the optimizer's settings.

    tune-mixup sweep attentivemix --trials 32 --max-epochs 100 --gpus-per-trial 0.25

openmixup's tables have alpha 2, and a teacher that was trained on ImageNet, which this one is not: it is the network
itself, averaged over its last steps. alpha 1 to 4 is in use. A teacher that a trial of the same architecture and data
has become: `--set mixing.teacher.name=tune_mixup.training.teacher:Trained --set mixing.teacher.folder=/DIR`. Learning
rate and weight decay bracket the published 0.1 and 1e-4.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.search_space import SearchSpace

OPTIMIZER = {"optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4}

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "preact_resnet18",
        "mixing.name": "attentivemix",
        "training.epochs": 100,
        "training.batch_size": 125,
    },
    free={
        "mixing.alpha": FloatDistribution(1.0, 4.0, log=True),
        "mixing.teacher.name": CategoricalDistribution(("ema",)),
        "mixing.teacher.momentum": CategoricalDistribution((0.9, 0.99, 0.999)),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    conditions={"mixing.teacher.momentum": {"mixing.teacher.name": ("ema",)}},
    baselines=({"mixing.alpha": 2.0, "mixing.teacher.name": "ema", "mixing.teacher.momentum": 0.99, **OPTIMIZER},),
)
