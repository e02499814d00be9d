"""AlignMixup on CIFAR-10: its strength, how many batches are aligned and how sharply, with the optimizer's settings.

    tune-mixup sweep alignmixup --trials 32 --max-epochs 100 --gpus-per-trial 0.25

The authors train with alpha 2, half of the batches aligned and a temperature of 0.1 on features as they are
(Venkataramanan et al. 2022), for 2000 epochs; alpha from 1 is in use. They align after the last stage, 4, which on this
network is manifold mixup of that stage (docs/methods.md); hence earlier ones too. Distances of features as they are
depend on the network and on how long it has been trained; normalised ones do not. What their code computes: `--set
mixing.variant=published --set mixing.sweeps=100`. Learning rate and weight decay bracket the published 0.1 and 1e-4.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.search_space import SearchSpace

OPTIMIZER = {"optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4}

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "preact_resnet18",
        "mixing.name": "alignmixup",
        "training.epochs": 100,
        "training.batch_size": 125,
    },
    free={
        "mixing.alpha": FloatDistribution(1.0, 2.0),
        "mixing.aligned": FloatDistribution(0.3, 0.7),
        "mixing.epsilon": FloatDistribution(0.05, 0.5, log=True),
        "mixing.layer": CategoricalDistribution((2, 3, 4)),
        "mixing.normalised": CategoricalDistribution((False, True)),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    baselines=(
        {
            "mixing.alpha": 2.0,
            "mixing.aligned": 0.5,
            "mixing.epsilon": 0.1,
            "mixing.layer": 4,
            "mixing.normalised": False,
            **OPTIMIZER,
        },
    ),
)
