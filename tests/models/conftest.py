import pytest
import torch

from tune_mixup.models import Model, StagedNetwork


@pytest.fixture
def build():
    """Builds a network from a seed and leaves the global generator as it was, as the trainer does."""

    def built(model: Model, *, channels: int = 3, num_classes: int = 10, seed: int = 0) -> StagedNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return model.build(channels=channels, num_classes=num_classes)

    return built
