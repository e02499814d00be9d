"""Batches of images on the host, gathered and copied to the device while the device works on the batch before.

There are two places for a batch. A thread gathers images into one, which for a GPU is pinned memory, and has a stream
of its own copy them to the device, while what is in the other is used. Nobody waits for the host longer than a batch
takes to arrive.

Shapes: N images of the split, B batch, C channels, H x W pixels.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from tune_mixup.data.rows import Images, Rows

_PLACES = 2


@final
class _Place:
    """Room for a batch, on the host and on the device."""

    def __init__(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> None:
        on_gpu = device.type == "cuda"
        self.host = torch.empty(*shape, dtype=dtype, pin_memory=on_gpu)
        self.there = torch.empty(*shape, dtype=dtype, device=device) if on_gpu else self.host
        self.copied: torch.cuda.Event | None = None
        """On the GPU: all of `host` is `there`."""
        self.used: torch.cuda.Event | None = None
        """On the GPU: what was `there` is needed no more."""


@final
class Ahead:
    """Hands out the batches that `begin` names, one after another, on the device."""

    def __init__(self, images: Rows, *, batch_size: int, device: torch.device) -> None:
        self._images = images
        self._array: np.ndarray[Any, np.dtype[Any]] = images.stored.numpy()
        self._places = [_Place((batch_size, *images.stored.shape[1:]), images.dtype, device) for _ in range(_PLACES)]
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gathering")
        self._left: Iterator[np.ndarray[Any, np.dtype[np.int64]]] = iter(())
        self._coming: deque[tuple[_Place, Future[int]]] = deque()
        self._in_use: _Place | None = None

    def begin(self, batches: Sequence[Tensor]) -> None:
        """Start on `batches`, each of at most B places in the split, int64 on the CPU; those before are given up."""
        self._give_up()
        if self._side is not None:
            self._side.wait_stream(torch.cuda.current_stream(self._side.device))
        self._left = iter([self._images.places(batch).numpy() for batch in batches])
        for place in self._places:
            place.used = None
            self._fetch(place)

    def next(self) -> Tensor:
        """The next batch, of the images' type [B, C, H, W] on the device; what it held before is overwritten later.

        It holds until the next call. Raises what went wrong while it was gathered, and IndexError after the last one.
        """
        if self._in_use is not None:
            if self._side is not None:
                self._in_use.used = _now(torch.cuda.current_stream(self._side.device))
            self._fetch(self._in_use)
            self._in_use = None
        place, gathered = self._coming.popleft()
        count = gathered.result()
        if self._side is not None and place.copied is not None:
            torch.cuda.current_stream(self._side.device).wait_event(place.copied)
        self._in_use = place
        return self._images.cut(place.there[:count])

    def close(self) -> None:
        """Wait for what the thread is at, and end it."""
        self._give_up()
        self._thread.shutdown()
        if self._side is not None:
            self._side.synchronize()  # the memory that it copies into goes back to torch

    def _give_up(self) -> None:
        self._left = iter(())
        while self._coming:
            _, gathered = self._coming.popleft()
            if not gathered.cancel():
                gathered.exception()  # waits; who asked for the batch does not want it any more
        self._in_use = None

    def _fetch(self, place: _Place) -> None:
        rows = next(self._left, None)
        if rows is not None:
            self._coming.append((place, self._thread.submit(self._gather, place, rows)))

    def _gather(self, place: _Place, rows: np.ndarray[Any, np.dtype[np.int64]]) -> int:
        """In the thread: the stored images `rows` into `place`; how many they are."""
        count = len(rows)
        if place.copied is not None:
            place.copied.synchronize()  # the batch before is still on its way from here
        # By one thread, and without Python's lock; torch would have a second team of threads get in the network's way.
        np.take(self._array, rows, axis=0, out=place.host[:count].numpy(), mode="clip")
        if self._side is not None:
            with torch.cuda.stream(self._side):
                if place.used is not None:
                    self._side.wait_event(place.used)
                place.there[:count].copy_(place.host[:count], non_blocking=True)
                place.copied = _now(self._side)
        return count


def in_parts(images: Images, size: int, *, device: torch.device) -> Iterator[Tensor]:
    """All images [N, C, H, W] on `device`, `size` at a time and in their order; each part holds until the next one."""
    if isinstance(images, Tensor):
        for part in torch.split(images, size):
            yield part.to(device)
        return
    batches = torch.split(torch.arange(len(images)), size)
    with closing(Ahead(images, batch_size=min(size, len(images)), device=device)) as ahead:
        ahead.begin(batches)
        for _ in batches:
            yield ahead.next()


def _now(stream: torch.cuda.Stream) -> torch.cuda.Event:
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(stream)
    return event
