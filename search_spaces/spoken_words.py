"""mixup on any few hundred recordings in a folder for each word: a search for a laptop's CPU.

    tune-mixup sweep spoken_words --set data.path=MY_WORDS

Log-mel pictures, shifted by up to a tenth of a second, and a small network, in small batches, since there are few
recordings. alpha and weight decay have the ranges of `speech_commands`, the learning rate one that is a few times
higher, as the network is smaller.
"""

from optuna.distributions import FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "speech_commands",
        "data.task": "all",
        "data.augment.time_shift": 10,
        "model.name": "tiny_resnet",
        "model.width": 8,
        "mixing.name": "mixup",
        "optimizer.name": "adam",
        "training.epochs": 24,
        "training.batch_size": 16,
    },
    free={
        "mixing.alpha": FloatDistribution(0.02, 1.0, log=True),
        "optimizer.lr": FloatDistribution(5e-4, 2e-2, log=True),
        "optimizer.weight_decay": FloatDistribution(1e-5, 1e-3, log=True),
    },
    baselines=({"mixing.alpha": 0.1, "optimizer.lr": 3e-3, "optimizer.weight_decay": 1e-4},),
    defaults={"trials": 12},
)
