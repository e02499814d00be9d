"""The network as a trial trains it, validates with it and predicts by it: its layout, precision and normalisation.

Shapes: B batch, N images, C channels, H x W pixels, K outputs.
"""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from typing_extensions import override

from tune_mixup.config import TrialConfig
from tune_mixup.data.ahead import in_parts
from tune_mixup.data.augment import normaliser
from tune_mixup.data.front_ends import full_scale
from tune_mixup.data.loading import TrainingData
from tune_mixup.data.rows import Images
from tune_mixup.models.base import StagedNetwork
from tune_mixup.seeding import global_draws
from tune_mixup.training import process
from tune_mixup.training.batch_counts import BatchCounts
from tune_mixup.training.rounding import RoundedWeights

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Network:
    """A model and how it is fed."""

    def __init__(self, config: TrialConfig, data: TrainingData, device: torch.device) -> None:
        """With its first weights; `data` may hold no image, but knows their mean, deviation and classes."""
        self.config = config
        self.device = device
        self.num_outputs = config.model.outputs(data.num_classes)
        self.layout = torch.channels_last if config.training.channels_last else torch.contiguous_format
        self.dtype = DTYPES[config.training.precision]
        self.model = new_model(config, data, device)
        self.counts = BatchCounts(self.model)
        self.weights = RoundedWeights(self.model, self.dtype)
        self._normalise = full_scale if config.data.mixes_waveforms else normaliser(data.mean, data.std)

    def inputs(self, images: Tensor) -> Tensor:
        """Images of the data [B, C, H, W] as the model takes them: normalised float32, in the layout asked for.

        Of waveforms, it is the pictures that are normalised, within the model.
        """
        return self._normalise(images).contiguous(memory_format=self.layout)

    def autocast(self) -> torch.autocast:
        """The precision of a forward pass. Its cache is off, for what is used twice is rounded by `weights`."""
        return torch.autocast(
            self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32, cache_enabled=False
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Around all that the device does with the model: the process's settings, and no counting of batches."""
        with process.kernels(self.config.training, self.device), self.counts.paused():
            yield

    @torch.no_grad()
    def logits(self, images: Images) -> Tensor:
        """Logits float32 [N, K] of images of the data [N, C, H, W], on the network's device, a batch at a time.

        A batch has `eval_batch_size` images. In evaluation mode and without augmentation; precision and layout are
        those of training. The images may be elsewhere: then one batch at a time is copied, and rows that are stored on
        the host are gathered ahead of the network. On the device it waits for nothing.
        """
        self.model.eval()
        with self.running(), self.autocast(), self.weights.rounded():
            batches = in_parts(images, self.config.training.eval_batch_size, device=self.device)
            return torch.cat([self.model(self.inputs(batch)).float() for batch in batches])


class Seen(nn.Module):
    """Before the stem of a network whose data are mixed before they are pictures: the pictures, normalised."""

    def __init__(
        self, pictures: nn.Module, normalise: Callable[[Tensor], Tensor], memory_format: torch.memory_format
    ) -> None:
        super().__init__()
        self.pictures = pictures
        self.normalise = normalise
        self.memory_format = memory_format

    @override
    def forward(self, mixed: Tensor) -> Tensor:
        """Float32 [B, C, H, W], whatever precision the network has: a transform's small numbers need it."""
        with torch.autocast(mixed.device.type, enabled=False):
            return self.normalise(self.pictures(mixed)).contiguous(memory_format=self.memory_format)


def new_model(config: TrialConfig, data: TrainingData, device: torch.device) -> StagedNetwork:
    """The model with its first weights, on `device`, in the layout that is asked for.

    Where the data are mixed before they are pictures, its stem begins with what makes these.
    """
    with global_draws(config.seed, "init", 0, device):  # no layer knows another generator
        model = config.model.build(channels=data.channels, num_classes=config.model.outputs(data.num_classes))
    layout = torch.channels_last if config.training.channels_last else torch.contiguous_format
    if (pictures := config.data.pictures()) is not None:
        model.stem = nn.Sequential(Seen(pictures, normaliser(data.mean, data.std), layout), model.stem)
    return model.to(device).to(memory_format=layout)
