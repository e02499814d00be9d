import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.data.batches import check_batches, epoch_batches, order_of_appearance


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def draw(targets, seed=0, **options):
    given_options = {"batch_size": 10, "num_classes": 5, "stratified": False, "unbalanced": "drop", **options}
    return epoch_batches(targets, generator=seeded(seed), **given_options)


@st.composite
def labelled(draw_value):
    """Targets in random order with 1 to 30 examples per class, and a per-class share of the batch that fits all."""
    counts = draw_value(st.lists(st.integers(1, 30), min_size=2, max_size=6))
    targets = torch.tensor([k for k, count in enumerate(counts) for _ in range(count)])
    shuffled = targets[torch.randperm(len(targets), generator=seeded(draw_value(st.integers(0, 99))))]
    return shuffled, counts, draw_value(st.integers(1, min(counts)))


@given(labelled(), st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_shuffled_batches_use_every_example_at_most_once(data, seed):
    targets, counts, batch_size = data
    batches = draw(targets, seed, batch_size=batch_size, num_classes=len(counts))
    assert batches.dtype == torch.int64
    assert batches.shape == (len(targets) // batch_size, batch_size)
    assert len(set(batches.flatten().tolist())) == batches.numel()
    assert set(batches.flatten().tolist()) <= set(range(len(targets)))


@given(labelled(), st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_stratified_batches_hold_each_class_equally_often(data, seed):
    targets, counts, per_class = data
    num_classes = len(counts)
    batches = draw(targets, seed, batch_size=per_class * num_classes, num_classes=num_classes, stratified=True)
    assert len(batches) == min(counts) // per_class
    assert len(set(batches.flatten().tolist())) == batches.numel()
    for batch in batches:
        assert torch.bincount(targets[batch], minlength=num_classes).tolist() == [per_class] * num_classes


@given(labelled(), st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_batches_sorted_by_class_hold_what_stratified_ones_do(data, seed):
    targets, counts, per_class = data
    order = torch.randperm(len(counts), generator=seeded(seed + 1))
    options = {"batch_size": per_class * len(counts), "num_classes": len(counts), "stratified": True}
    batches = draw(targets, seed, **options, class_order=order)
    assert len(batches) == min(counts) // per_class
    assert len(set(batches.flatten().tolist())) == batches.numel()
    for batch in batches:
        assert targets[batch].tolist() == [label for label in order.tolist() for _ in range(per_class)]
    mixed = draw(targets, seed, **options)
    assert torch.equal(mixed.sort(1).values, batches.sort(1).values)


def test_classes_are_ordered_by_their_first_example():
    assert order_of_appearance(torch.tensor([3, 3, 0, 4, 0, 1, 3]), 6).tolist() == [3, 0, 4, 1, 2, 5]


@given(labelled(), st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_cycled_batches_reach_the_largest_class_and_draw_evenly(data, seed):
    targets, counts, per_class = data
    num_classes = len(counts)
    batches = draw(
        targets,
        seed,
        batch_size=per_class * num_classes,
        num_classes=num_classes,
        stratified=True,
        unbalanced="cycle",
    )
    assert len(batches) == max(counts) // per_class
    for batch in batches:
        assert torch.bincount(targets[batch], minlength=num_classes).tolist() == [per_class] * num_classes
        assert len(set(batch.tolist())) == len(batch)
    uses = torch.bincount(batches.flatten(), minlength=len(targets))
    for k in range(num_classes):
        assert uses[targets == k].max() - uses[targets == k].min() <= 1


def test_cycle_repeats_an_example_within_a_batch_only_when_the_class_is_too_small():
    targets = torch.tensor([0] * 12 + [1] * 2)
    batches = draw(targets, batch_size=6, num_classes=2, stratified=True, unbalanced="cycle")
    assert len(batches) == 4
    for batch in batches:
        assert sorted(targets[batch].tolist()) == [0, 0, 0, 1, 1, 1]
        assert set(batch[targets[batch] == 1].tolist()) == {12, 13}


@pytest.mark.parametrize("stratified", [False, True])
def test_the_seed_decides_and_another_epoch_meets_other_partners(stratified):
    targets = torch.arange(200) % 5
    first, again, other = (draw(targets, seed, stratified=stratified) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    meetings = [{frozenset(batch.tolist()) for batch in batches} for batches in (first, other)]
    assert not meetings[0] & meetings[1]


def test_classes_stand_in_random_places_of_a_stratified_batch():
    targets = torch.arange(1000) % 2
    batches = draw(targets, batch_size=10, num_classes=2, stratified=True)
    share = targets[batches].double().mean(0)
    assert (share - 0.5).abs().max() < 0.25  # 5 standard deviations of a mean of 100 draws


def test_every_example_comes_equally_often_over_many_epochs():
    targets = torch.tensor([0] * 10 + [1] * 14)
    uses = sum(
        torch.bincount(draw(targets, seed, batch_size=4, num_classes=2, stratified=True).flatten(), minlength=24)
        for seed in range(400)
    )
    assert (uses[:10] == 400).all()  # the smallest class is used up
    expected = 400 * 10 / 14
    chi_square = float(((uses[10:] - expected) ** 2 / expected).sum())
    assert chi_square < 34.5  # 0.1 % point of chi-square with 13 degrees of freedom


TEN_EACH = torch.arange(50) % 5
UNEQUAL = torch.tensor([0] * 12 + [1] * 3)


@pytest.mark.parametrize(
    ("targets", "options", "words"),
    [
        (torch.arange(1437) % 10, {"batch_size": 5000}, ["5000", "1437 training images", "at most 1437"]),
        (
            torch.arange(1437) % 10,
            {"batch_size": 128, "num_classes": 10, "stratified": True},
            ["128", "10 classes", "120 or 130"],
        ),
        (TEN_EACH, {"batch_size": 3, "stratified": True}, ["3", "5 classes", "use 5"]),
        (TEN_EACH, {"batch_size": 48, "stratified": True}, ["48", "5 classes", "use 45 or 50"]),
        (torch.arange(4), {"batch_size": 4, "stratified": True}, ["4", "5 classes", "use shuffled batches"]),
        (
            UNEQUAL,
            {"batch_size": 8, "num_classes": 2, "stratified": True},
            ["8", "4 training images", "2 classes", "smallest class has 3", "at most 6 or data.unbalanced = cycle"],
        ),
        (
            torch.tensor([0] * 3 + [1] * 3 + [2] * 6),
            {"batch_size": 12, "num_classes": 3, "stratified": True},
            ["12", "4 training images", "smallest class has 3", "at most 9"],
        ),
        (
            torch.tensor([0] * 4 + [1] * 4 + [2] * 4),
            {"batch_size": 12, "num_classes": 4, "stratified": True},
            ["class 3 of 4", "no training images"],
        ),
    ],
)
def test_batch_sizes_that_the_data_cannot_fill_are_refused_with_ones_that_fit(targets, options, words):
    given_options = {"num_classes": 5, "stratified": False, "unbalanced": "drop", **options}
    for attempt in (check_batches, lambda *args, **kwargs: epoch_batches(*args, generator=seeded(0), **kwargs)):
        with pytest.raises(ValueError) as caught:
            attempt(targets, **given_options)
        message = str(caught.value)
        assert "\n" not in message
        for word in words:
            assert word in message


def test_the_suggested_batch_sizes_work():
    for size in (45, 50):
        assert check_batches(TEN_EACH, batch_size=size, num_classes=5, stratified=True, unbalanced="drop") == 1
    assert check_batches(UNEQUAL, batch_size=6, num_classes=2, stratified=True, unbalanced="drop") == 1
    assert check_batches(UNEQUAL, batch_size=8, num_classes=2, stratified=True, unbalanced="cycle") == 3
