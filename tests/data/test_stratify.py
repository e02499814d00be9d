from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.data.stratify import apportion, shuffle_by_class, split


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def make_targets(counts, seed=0):
    targets = torch.tensor([k for k, count in enumerate(counts) for _ in range(count)], dtype=torch.int64)
    return targets[torch.randperm(len(targets), generator=seeded(seed))]


def do_split(targets, num_classes, seed=0, fraction=0.1, limit=None):
    names = tuple(f"class {k}" for k in range(num_classes))
    return split(targets, fraction=fraction, limit=limit, class_names=names, generator=seeded(seed))


counts_of_two_or_more = st.lists(st.integers(2, 40), min_size=1, max_size=6)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 999))
@settings(deadline=None, max_examples=40)
def test_shuffle_by_class_orders_classes_and_uses_everybody_once(counts, seed):
    targets = make_targets(counts, seed)
    order = shuffle_by_class(targets, generator=seeded(seed))
    assert sorted(order.tolist()) == list(range(len(targets)))
    assert targets[order].tolist() == sorted(targets.tolist())


def slow_apportion(counts, total):
    shares = [Fraction(count * total, sum(counts)) for count in counts]
    seats = [int(share) for share in shares]
    by_remainder = sorted(range(len(counts)), key=lambda k: (seats[k] - shares[k], k))
    for k in by_remainder[: total - sum(seats)]:
        seats[k] += 1
    return seats


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any), st.data())
@settings(deadline=None, max_examples=60)
def test_apportion_gives_the_largest_remainders_one_more(counts, data):
    total = data.draw(st.integers(0, sum(counts)))
    assert apportion(torch.tensor(counts), total).tolist() == slow_apportion(counts, total)


@given(counts_of_two_or_more, st.floats(0.01, 0.99), st.integers(0, 999))
@settings(deadline=None, max_examples=60)
def test_split_is_disjoint_complete_and_stratified(counts, fraction, seed):
    targets = make_targets(counts)
    train, validation = do_split(targets, len(counts), seed, fraction)
    assert sorted(train.tolist() + validation.tolist()) == list(range(len(targets)))
    assert train.tolist() == sorted(train.tolist())
    for k, count in enumerate(counts):
        held_out = int((targets[validation] == k).sum())
        assert 1 <= held_out <= count - 1
        assert abs(held_out - fraction * count) <= 0.5 + 1e-9 or held_out in (1, count - 1)


def test_the_seed_decides_the_split():
    targets = make_targets([50, 50])
    first, again, other = (do_split(targets, 2, seed)[1] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_balanced_classes_stay_balanced():
    train, validation = do_split(make_targets([25] * 4), 4)
    assert len(validation) % 4 == 0
    assert len(train) + len(validation) == 100


@given(counts_of_two_or_more, st.data())
@settings(deadline=None, max_examples=40)
def test_a_limit_keeps_exactly_so_many_in_proportion(counts, data):
    targets = make_targets(counts)
    limit = data.draw(st.integers(1, len(targets)))
    expected = slow_apportion(counts, limit)
    if min(expected) < 2:
        with pytest.raises(ValueError, match=f"after data.train_limit = {limit}"):
            do_split(targets, len(counts), limit=limit)
        return
    train, validation = do_split(targets, len(counts), limit=limit)
    kept = torch.cat([train, validation])
    assert len(set(kept.tolist())) == len(kept) == limit
    assert torch.bincount(targets[kept], minlength=len(counts)).tolist() == expected


def test_a_smaller_limit_keeps_a_part_of_a_larger_one():
    targets = make_targets([30, 30])
    small, large = (set(torch.cat(do_split(targets, 2, limit=limit)).tolist()) for limit in (20, 40))
    assert small < large


def test_a_fraction_of_zero_holds_out_nothing():
    train, validation = do_split(make_targets([1, 3]), 2, fraction=0)
    assert (len(train), len(validation)) == (4, 0)


@pytest.mark.parametrize(
    ("counts", "options", "words"),
    [
        ([5, 1], {}, ["'class 1' has 1 training example,", "one to validate on", "add examples"]),
        ([5, 0], {}, ["'class 1' has 0 training examples,", "one to validate on"]),
        ([5, 0], {"fraction": 0}, ["'class 1' has 0 training examples,", "one to train on is needed"]),
        ([50, 2], {"limit": 20}, ["'class 1' has 1 training example after data.train_limit = 20", "raise"]),
        ([5, 5], {"limit": 11}, ["train_limit is 11", "has 10 examples"]),
    ],
)
def test_classes_with_too_few_examples_are_named(counts, options, words):
    with pytest.raises(ValueError) as caught:
        do_split(make_targets(counts), len(counts), **options)
    for word in words:
        assert word in str(caught.value)
