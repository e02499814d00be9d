"""Every method on CIFAR-10 under the protocol of openmixup's published table (ResNet-18, 200 epochs).

    tune-mixup sweep benchmark_cifar10 --trials 60 --gpus-per-trial 0.25

The protocol: SGD with momentum 0.9, learning rate 0.1 along a cosine to zero (automix, samix: to 0.05) that changes per
epoch, batches of 100, weight decay 1e-4, the median accuracy of the last ten epochs. A sweep differs from it in these:

- A tenth of the training images is held out for validation, and ranks trials; the table's are trained on all of them,
  and chosen and reported on test. Afterwards the best settings get the table's number, on all training images, the
  median of the last ten epochs' test accuracies, by

      tune-mixup evaluate benchmark_cifar10 --set data.validation_fraction=0

  and one setting of the table gets it by a recipe, `recipes/openmixup_cifar10_resnet18.yaml`.
- Poor trials are stopped early, baselines too, unless `--scheduler none` is given; `evaluate` stops none.
- Methods are what their papers say where openmixup's code is not. The published semantics, one method at a time:
  `--set mixing.name=fmix --set mixing.variant=official`, likewise `saliencymix`, `openmixup` for `smoothmix` and
  `gridmix`, `published` for `puzzlemix` and, with `mixing.sweeps=100`, for `alignmixup`; CutMix and FMix also with
  `--set mixing.partners.name=deranged`.
- Each method's own settings are searched, in the ranges of its own space, where the table has one value. alpha's are
  one range for all of them, since a search space has one range for each key: 0.1 to 4 holds every published value.
- generalized_mixup, alignmixup and comixup are not in the table; their values are their authors', but comixup trains on
  no clean images, and generalized_mixup's batches hold every class equally often.

Baselines are the table's settings; its accuracies on test, in percent: none 94.87, mixup (alpha 1) 95.70, cutmix (0.2)
96.11, manifold_mixup (2) 96.04, smoothmix 95.29, saliencymix (0.2) 96.05, attentivemix (2) 96.21 with a teacher
that has seen ImageNet, fmix (0.2) 96.17, gridmix (0.2) 95.89, resizemix (1) 96.16, puzzlemix (1) 96.42,
automix (2) 96.59, samix (2) 96.67. The last two are those of the best of four heads, and of a momentum that rises; a
number of steps, `mixing.momentum_steps`, lets it rise here.
"""

from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tune_mixup.search_space import SearchSpace

ALPHAS = {
    "mixup": 1.0,
    "cutmix": 0.2,
    "manifold_mixup": 2.0,
    "alignmixup": 2.0,
    "saliencymix": 0.2,
    "attentivemix": 2.0,
    "gridmix": 0.2,
    "resizemix": 1.0,
    "fmix": 0.2,
    "puzzlemix": 1.0,
    "comixup": 2.0,
    "automix": 2.0,
    "samix": 2.0,
    "generalized_mixup": 1.0,
}
OWN: dict[str, dict[str, Any]] = {
    "smoothmix": {"mixing.min_sigma": 0.25, "mixing.max_sigma": 0.5},
    "gridmix": {"mixing.min_holes": 2, "mixing.max_holes": 6},
    "resizemix": {"mixing.min_tau": 0.1, "mixing.max_tau": 0.8},
    "manifold_mixup": {"mixing.layers": "0 1 2"},
    "alignmixup": {"mixing.aligned": 0.5, "mixing.epsilon": 0.1},
    "fmix": {"mixing.decay": 3.0},
    "generalized_mixup": {"mixing.gamma": 0.25, "mixing.mu": 0.5, "data.batches": "stratified"},
}
"""What only one method has."""
LEARNED = ("automix", "samix")
ENDING = {"schedule.final_lr_fraction": 0.5}
"""Where the learning rate of the methods that learn masks ends, in shares of its beginning."""

SPACE = SearchSpace(
    fixed={
        "data.name": "cifar10",
        "model.name": "resnet18",
        "optimizer.name": "sgd",
        "optimizer.lr": 0.1,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 1e-4,
        "schedule.name": "cosine",
        "schedule.per": "epoch",
        "training.epochs": 200,
        "training.batch_size": 100,
        "training.median_epochs": 10,
    },
    free={
        "mixing.name": CategoricalDistribution(("erm", *ALPHAS, "smoothmix")),
        "mixing.alpha": FloatDistribution(0.1, 4.0, log=True),
        "mixing.min_sigma": FloatDistribution(0.1, 0.3),
        "mixing.max_sigma": FloatDistribution(0.4, 0.7),
        "mixing.min_holes": IntDistribution(2, 4),
        "mixing.max_holes": IntDistribution(6, 12),
        "mixing.min_tau": FloatDistribution(0.07, 0.3),
        "mixing.max_tau": FloatDistribution(0.6, 0.9),
        "mixing.layers": CategoricalDistribution(("0 1 2", "0 1 2 3", "1 2")),
        "mixing.aligned": FloatDistribution(0.3, 0.7),
        "mixing.epsilon": FloatDistribution(0.05, 0.5, log=True),
        "mixing.decay": FloatDistribution(1.5, 5.0),
        "mixing.gamma": FloatDistribution(0.0625, 2.0, log=True),
        "mixing.mu": FloatDistribution(0.0, 0.95),
        "schedule.final_lr_fraction": CategoricalDistribution((0.5,)),  # as the table's, for the encoder's sake
        "data.batches": CategoricalDistribution(("stratified",)),  # pairing classes needs equal numbers of each
    },
    conditions={
        "mixing.alpha": {"mixing.name": tuple(ALPHAS)},
        "schedule.final_lr_fraction": {"mixing.name": LEARNED},
        **{key: {"mixing.name": (method,)} for method, settings in OWN.items() for key in settings},
    },
    baselines=(
        {"mixing.name": "erm"},
        *(
            {"mixing.name": name, "mixing.alpha": alpha, **OWN.get(name, {}), **(ENDING if name in LEARNED else {})}
            for name, alpha in ALPHAS.items()
        ),
        {"mixing.name": "smoothmix", **OWN["smoothmix"]},
    ),
    defaults={"trials": 60},
)
