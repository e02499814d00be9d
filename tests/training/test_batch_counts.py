import pytest
import torch
from torch import nn

from tune_mixup.training.batch_counts import BatchCounts


@pytest.fixture(autouse=True)
def global_generator_untouched():
    """torch's layers draw their first weights from the global generator, which is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def test_counts_are_those_of_training_in_torchs_own_way():
    ours, theirs = (nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3), nn.BatchNorm1d(3)) for _ in range(2))
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    counts = BatchCounts(ours)
    theirs.load_state_dict(ours.state_dict())
    with counts.paused():
        for _ in range(4):
            ours(inputs)
    counts.add(4)
    for _ in range(4):
        theirs(inputs)
    for (name, one), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    assert ours[0].num_batches_tracked.item() == 4


def test_a_batch_norm_that_needs_its_count_goes_on_counting():
    """Without a momentum the running mean is that of all batches, each weighed by the count."""
    layer = nn.BatchNorm1d(3, momentum=None)
    counts = BatchCounts(layer)
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    with counts.paused():
        layer(inputs)
        layer(3 * inputs)
    counts.add(2)
    assert layer.num_batches_tracked.item() == 2
    torch.testing.assert_close(layer.running_mean, 2 * inputs.mean(0))


def test_models_without_batch_norms_have_nothing_to_count():
    counts = BatchCounts(nn.Linear(2, 2))
    with counts.paused():
        pass
    counts.add(3)


class Warming(nn.BatchNorm1d):
    """Reads its count, as batch norms with a warm-up do."""

    def forward(self, inputs):
        self.early = self.num_batches_tracked < 2
        return super().forward(inputs)


def test_a_class_that_may_read_its_count_keeps_it():
    layer = Warming(3)
    with BatchCounts(layer).paused():
        layer(torch.ones(4, 3))
    assert layer.num_batches_tracked.item() == 1 and layer.early
