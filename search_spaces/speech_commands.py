"""mixup on spoken words: its strength, with Adam's settings tuned beside it, by the protocol of COMP8240's study.

    tune-mixup sweep speech_commands --trials 32 --max-epochs 30 --gpus-per-trial 0.25

The study trains the 30 words of v0.01 with VGG-11 for 30 epochs of Adam in batches of 128, at alpha 0.1, a learning
rate of 1e-3 and a weight decay of 1e-4, with drops of the rate after a third and two thirds. Its first four epochs do
not mix, whatever their number; a sweep must have more of them. The ranges bracket these:
alpha from a fifth of it to ten times as much, the others a tenth to ten times. The spectrograms are the study's, with
the frames of a whole second; validation is the official list. For a few recordings of one's own, `spoken_words`.
"""

from optuna.distributions import FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "speech_commands",
        "data.version": "v0.01",
        "data.task": 30,
        "data.front_end": "spectrogram",
        "model.name": "vgg11",
        "model.variant": "speech",
        "mixing.name": "mixup",
        "mixing.warmup_epochs": 4,
        "optimizer.name": "adam",
        "schedule.name": "multistep",
        "schedule.milestones": (1 / 3, 2 / 3),  # of however many epochs there are
        "training.epochs": 30,
        "training.batch_size": 128,
    },
    free={
        "mixing.alpha": FloatDistribution(0.02, 1.0, log=True),
        "optimizer.lr": FloatDistribution(1e-4, 1e-2, log=True),
        "optimizer.weight_decay": FloatDistribution(1e-5, 1e-3, log=True),
    },
    baselines=({"mixing.alpha": 0.1, "optimizer.lr": 1e-3, "optimizer.weight_decay": 1e-4},),
)
