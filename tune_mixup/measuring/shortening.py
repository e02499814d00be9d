"""A part of a trial's data, for those who time training and need no whole epoch."""

import math

from tune_mixup.config import TrialConfig
from tune_mixup.data.loading import TrainingData
from tune_mixup.training import fitting


def few_batches(config: TrialConfig, whole: TrainingData, *, num_batches: int) -> TrialConfig:
    """The same trial on a part of its data `whole` that has about `num_batches` batches, or on all where it has fewer.

    A part that could not fill a batch of a rare class is not taken either.
    """
    limit = math.ceil(num_batches * config.training.batch_size / (1 - config.data.validation_fraction))
    limit += whole.num_classes
    if limit >= len(whole.train.targets):
        return config
    # What is left of a part of the images, once most of them are taken away, would be too little to time.
    short = config.replace(data=config.data.replace(train_limit=limit, samples_per_class=None, imbalance=1.0))
    try:
        fitting.load_fitting(short, device=whole.train.targets.device)
    except ValueError:
        return config
    return short
