"""AutoMix on CIFAR-10: its strength, how masks are held to it and how fast the encoder follows, with the optimizer's.

    tune-mixup sweep automix --trials 32 --max-epochs 100 --gpus-per-trial 0.25

openmixup's configurations for CIFAR have alpha 2, a mask's loss of weight 0.1 above a margin of 0.1, plain mixup where
lam is within 0.08 of its ends, and a momentum that rises from 0.999 over all of training; alpha from 1 is in use. The
learning rate ends at half of where it begins, as theirs does, for the sake of the encoder; it and the weight decay
bracket the published 0.1 and 1e-4. The head that is trained on mixed images is evaluated; for the other one: `--set
mixing.head=one`.
"""

from optuna.distributions import FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "preact_resnet18",
        "mixing.name": "automix",
        "schedule.name": "cosine",
        "schedule.final_lr_fraction": 0.5,
        "training.epochs": 100,
        "training.batch_size": 125,
    },
    free={
        "mixing.alpha": FloatDistribution(1.0, 2.0),
        "mixing.mask_weight": FloatDistribution(0.05, 0.5, log=True),
        "mixing.mask_margin": FloatDistribution(0.0, 0.2),
        "mixing.lam_margin": FloatDistribution(0.0, 0.1),
        "mixing.momentum": FloatDistribution(0.99, 0.9999),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    baselines=(
        {
            "mixing.alpha": 2.0,
            "mixing.mask_weight": 0.1,
            "mixing.mask_margin": 0.1,
            "mixing.lam_margin": 0.08,
            "mixing.momentum": 0.999,
            "optimizer.lr": 0.1,
            "optimizer.weight_decay": 1e-4,
        },
    ),
)
