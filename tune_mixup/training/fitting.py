"""Whether a configuration and its data fit together: everything that can be known before a model is built."""

import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data.batches import epoch_batches
from tune_mixup.data.loading import TrainingData, load
from tune_mixup.seeding import generator


def load_fitting(config: TrialConfig, *, device: torch.device, share: float = 1.0) -> TrainingData:
    """The configuration's data for a trial that has `share` of the device, once per process.

    Raises ValueError, naming what came and what to do, for data that is missing, empty or damaged, for more classes
    than the model has outputs, for images too small for the model or the mixer, and for batches that the data can't
    fill.
    """
    data = load(config.data, seed=config.seed, device=device, share=share)
    config.check_shape(data.shape)
    draw_batches(config, data, epoch=0)
    return data


def draw_batches(config: TrialConfig, data: TrainingData, epoch: int) -> torch.Tensor:
    """The epoch's batches: indices into the training split, int64 [num_batches, batch_size], on the data's device."""
    targets = data.train.targets
    fixed = config.data.batches == "fixed"
    return epoch_batches(
        targets,
        batch_size=config.training.batch_size,
        num_classes=data.num_classes,
        stratified=config.data.batches != "shuffled",
        unbalanced=config.data.unbalanced,
        generator=generator(config.seed, "batches", 0 if fixed else epoch, targets.device),
        class_order=torch.tensor(data.class_order, device=targets.device) if fixed else None,
    )
