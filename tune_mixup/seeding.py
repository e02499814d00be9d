"""Random numbers derive from (seed, stream, epoch), so a resumed trial needs no saved generator state."""

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Literal

import torch

Stream = Literal["split", "init", "batches", "augment", "mix", "dropout", "fewer", "labels"]


def generator(seed: int, stream: Stream, epoch: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator on `device`; equal arguments give equal draws, any difference gives unrelated ones.

    `epoch` counts from 0. Draws on the CPU and on a GPU differ for the same arguments.
    """
    made = torch.Generator(device=device)
    reseed(made, seed, stream, epoch)
    return made


def reseed(made: torch.Generator, seed: int, stream: Stream, epoch: int) -> None:
    """Make a generator draw what a fresh one of these arguments would; for one that must stay the same object."""
    digest = hashlib.blake2b(f"{seed}/{stream}/{epoch}".encode(), digest_size=8).digest()
    made.manual_seed(int.from_bytes(digest, "little") >> 1)  # 63 bits: manual_seed takes signed 64


@contextlib.contextmanager
def global_draws(seed: int, stream: Stream, epoch: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for code that knows no other (layers, dropout), and leave them as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(generator(seed, stream, epoch).initial_seed())
        yield
