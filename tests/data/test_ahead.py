"""Batches that are gathered ahead, against the rows themselves."""

import gc
import threading

import pytest
import torch

from tune_mixup.data import ahead
from tune_mixup.data.ahead import Ahead, in_parts
from tune_mixup.data.rows import Rows

CPU = torch.device("cpu")
INDEX = [5, 0, 3, 2, 6, 1]


@pytest.fixture
def rows():
    return Rows(torch.arange(7 * 12, dtype=torch.uint8).reshape(7, 1, 3, 4), torch.tensor(INDEX))


def expected(rows, batch):
    return [rows.stored[INDEX[i]].tolist() for i in batch]


@pytest.fixture
def batches():
    draws = torch.Generator().manual_seed(0)
    return [torch.randperm(6, generator=draws)[:4] for _ in range(7)]


def test_batches_come_in_their_order(rows, batches):
    stream = Ahead(rows, batch_size=4, device=CPU)
    for _ in range(2):  # a second epoch by the same thread
        stream.begin(batches)
        for batch in batches:
            assert stream.next().tolist() == expected(rows, batch.tolist())
        with pytest.raises(IndexError):
            stream.next()
    stream.close()


def test_a_batch_holds_until_the_next_one_is_asked_for(rows, batches, monkeypatch):
    """Whatever the thread has gathered by then, of which it says so."""
    gathered = threading.Semaphore(0)
    take = ahead.np.take

    def said(*args, **named):
        take(*args, **named)
        gathered.release()

    monkeypatch.setattr(ahead.np, "take", said)
    stream = Ahead(rows, batch_size=4, device=CPU)
    stream.begin(batches)
    for number, batch in enumerate(batches):
        images = stream.next()
        if number < len(batches) - 1:
            for _ in range(2 if number == 0 else 1):
                assert gathered.acquire(timeout=30)  # the next batch is there, while this one is in use
        assert images.tolist() == expected(rows, batch.tolist())
    stream.close()


def test_an_epoch_that_was_given_up_leaves_nothing_behind(rows, batches):
    stream = Ahead(rows, batch_size=4, device=CPU)
    for taken in (0, 1, 3):
        stream.begin(batches)
        for _ in range(taken):
            stream.next()
        stream.begin(batches[::-1])
        for batch in batches[::-1]:
            assert stream.next().tolist() == expected(rows, batch.tolist())
    stream.close()


def test_what_goes_wrong_in_the_thread_is_raised_where_the_batch_is_asked_for(rows, batches, monkeypatch):
    def fails(*args, **named):
        raise OSError("the disk is gone")

    stream = Ahead(rows, batch_size=4, device=CPU)
    with monkeypatch.context() as broken:
        broken.setattr(ahead.np, "take", fails)
        stream.begin(batches)
        with pytest.raises(OSError, match="the disk is gone"):
            stream.next()
        stream.begin(batches[:0])  # waits for what the thread is at
    stream.begin(batches)
    assert stream.next().tolist() == expected(rows, batches[0].tolist())
    stream.close()


def gathering():
    return [thread for thread in threading.enumerate() if thread.name.startswith("gathering")]


def test_no_thread_is_left_when_it_is_closed_or_gone(rows, batches):
    before = len(gathering())
    stream = Ahead(rows, batch_size=4, device=CPU)
    stream.begin(batches)
    assert len(gathering()) == before + 1
    stream.close()
    assert len(gathering()) == before
    forgotten = Ahead(rows, batch_size=4, device=CPU)
    forgotten.begin(batches)
    forgotten.next()
    left = [thread for thread in gathering()]
    del forgotten
    gc.collect()
    for thread in left:
        thread.join(timeout=30)
    assert len(gathering()) == before


@pytest.mark.parametrize("size", [1, 4, 6, 100])
@pytest.mark.parametrize("kind", ["rows", "tensor"])
def test_all_images_in_parts(size, kind, rows):
    images = rows if kind == "rows" else rows[:]
    parts = [part.tolist() for part in in_parts(images, size, device=CPU)]
    assert [len(part) for part in parts] == {1: [1] * 6, 4: [4, 2], 6: [6], 100: [6]}[size]
    assert [image for part in parts for image in part] == expected(rows, range(6))
    assert not gathering()


def test_parts_that_nobody_wants_any_more_end_the_thread(rows):
    parts = in_parts(rows, 2, device=CPU)
    next(parts)
    parts.close()
    assert not gathering()
