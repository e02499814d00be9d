"""mixup on any few hundred recordings in a folder for each word: a search for a laptop's CPU.

    tune-mixup sweep spoken_words --set data.path=MY_WORDS

Log-mel pictures, shifted by up to a tenth of a second, and a small network. alpha has the range of `speech_commands`;
learning rate and weight decay are searched as in `mixup`, in small batches, since there are few recordings.
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
        "training.epochs": 24,
        "training.batch_size": 16,
    },
    free={
        "mixing.alpha": FloatDistribution(0.02, 1.0, log=True),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    baselines=({"mixing.alpha": 0.1, "optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4},),
    defaults={"trials": 12},
)
