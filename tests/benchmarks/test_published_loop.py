import collections

import numpy as np
import pytest
import torch

from benchmarks.baselines import confusion_loops
from benchmarks.baselines.published_loop import OneByOne, PublishedLoop, pipeline
from tune_mixup.config import TrialConfig
from tune_mixup.data.augment import Augment, augment_batch, normalise, prepare
from tune_mixup.data.base import Split
from tune_mixup.mixing.confusion import pairing_matrix, row_stochastic, soft_counts
from tune_mixup.training.fitting import load_fitting

SETTINGS = {
    "data.name": "synthetic",
    "data.num_train": 120,
    "data.num_classes": 4,
    "data.size": 8,
    "data.batches": "stratified",
    "model.width": 2,
    "training.batch_size": 20,
    "training.epochs": 3,
    "mixing.name": "generalized_mixup",
}


def confusion_of(num_classes):
    made = torch.Generator().manual_seed(1)
    return row_stochastic(torch.rand(num_classes, num_classes, generator=made).double().fill_diagonal_(0), 0.2)


def test_the_matrix_is_ours():
    confusion = confusion_of(5)
    ours = pairing_matrix(confusion, 0.7, diagonal=0.2, power_diagonal=True)
    torch.testing.assert_close(confusion_loops.balance(confusion, 0.7), ours, atol=1e-9, rtol=0)


def test_counts_and_the_next_confusion_are_ours():
    made = torch.Generator().manual_seed(0)
    logits = torch.randn(30, 5, generator=made)
    own, other = (torch.randint(5, (30,), generator=made) for _ in range(2))
    counts = confusion_loops.count_confusions(logits, own, other, 0.3)
    torch.testing.assert_close(counts.double(), soft_counts(logits, own, other, torch.tensor(0.3)), atol=1e-5, rtol=0)
    old = confusion_of(5)
    mixed = 0.4 * old + 0.6 * row_stochastic(counts.double(), 0.2)
    torch.testing.assert_close(confusion_loops.end_epoch(old, counts.double(), mu=0.4, diagonal=0.2), mixed)


def test_partners_are_a_permutation_and_classes_meet_as_the_matrix_says():
    matrix = confusion_loops.balance(confusion_of(4), 1.0)
    classes = torch.arange(4).repeat(5)
    rng = np.random.default_rng(0)
    met = collections.Counter()
    draws = 600
    for _ in range(draws):
        partner = confusion_loops.draw_partners(matrix, classes, rng)
        assert sorted(partner.tolist()) == list(range(20))
        met.update(zip(classes.tolist(), classes[partner].tolist(), strict=True))
    share = torch.tensor([[met[a, b] / (5 * draws) for b in range(4)] for a in range(4)])
    # drawing without replacement keeps to the rows roughly, and 3,000 draws of a class to 0.01
    assert float((share - matrix).abs().max()) < 0.06
    assert float(torch.corrcoef(torch.stack([share.flatten(), matrix.flatten()]))[0, 1]) > 0.95


def test_a_first_class_draws_by_its_row():
    matrix = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    classes = torch.tensor([0, 1, 1, 0])
    partner = confusion_loops.draw_partners(matrix, classes, np.random.default_rng(0))
    assert classes[partner].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("channels", [1, 3])
def test_without_random_changes_images_are_ours(channels):
    made = torch.Generator().manual_seed(0)
    images = torch.randint(256, (6, channels, 8, 8), dtype=torch.uint8, generator=made)
    mean, std = torch.full((channels, 1, 1), 0.4), torch.full((channels, 1, 1), 0.3)
    plain = pipeline([0.4] * channels, [0.3] * channels, size=(8, 8), augment=Augment())
    theirs = OneByOne(Split(images, torch.arange(6)), plain)
    torch.testing.assert_close(torch.stack([theirs[i][0] for i in range(6)]), normalise(images, mean, std))
    assert [theirs[i][1] for i in range(6)] == list(range(6))


def test_random_crops_and_flips_are_the_same_transform():
    """Over many draws, both give every window of the padded image in both directions, and nothing else."""
    image = torch.arange(1, 17, dtype=torch.uint8).reshape(1, 1, 4, 4)
    augment = Augment(crop_padding=1, flip=True)
    index = torch.zeros(600, dtype=torch.int64)
    made = torch.Generator().manual_seed(0)
    ours = augment_batch(prepare(image, augment), index, size=(4, 4), augment=augment, generator=made)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = OneByOne(Split(image, torch.zeros(1)), pipeline([0.0], [1.0], size=(4, 4), augment=augment))
        drawn = [(theirs[0][0] * 255).round().byte() for _ in range(600)]
    windows = [{bytes(one.flatten().tolist()) for one in many} for many in (ours, drawn)]
    assert windows[0] == windows[1] and len(windows[0]) == 18


@pytest.mark.parametrize("mixing", [{}, {"mixing.name": "mixup", "data.batches": "shuffled"}])
def test_a_trial_learns_and_reports(mixing):
    config = TrialConfig.from_dotted({**SETTINGS, **mixing, "optimizer.lr": 0.05})
    data = load_fitting(config, device=torch.device("cpu"))
    with torch.random.fork_rng(devices=[]):
        loop = PublishedLoop(config, data, workers=0)
        reports = [loop.train_epoch() for _ in range(3)]
    assert [report["epoch"] for report in reports] == [1, 2, 3]
    assert reports[-1]["train_loss"] < reports[0]["train_loss"]
    assert 0 <= reports[-1]["val_accuracy"] <= 1 and reports[-1]["images_per_s"] > 0
    assert loop.state_dict()["epoch"] == 3


def test_rates_and_batches_are_ours():
    config = TrialConfig.from_dotted({**SETTINGS, "schedule.name": "cosine"})
    data = load_fitting(config, device=torch.device("cpu"))
    with torch.random.fork_rng(devices=[]):
        loop = PublishedLoop(config, data, workers=0)
        rates = []
        for _ in range(3):
            rates.append(loop.optimizer.param_groups[0]["lr"])
            loop.train_epoch()
    expected = [config.optimizer.lr * config.schedule.lr_factor(epoch, 3) for epoch in range(3)]
    assert rates == pytest.approx(expected)
    for batch in loop.batches:  # stratified: 5 of each of the 4 classes
        assert torch.bincount(data.train.targets[batch]).tolist() == [5, 5, 5, 5]
