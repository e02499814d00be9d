"""Random numbers derive from (seed, stream, epoch), so a resumed trial needs no saved generator state."""

import hashlib
from typing import Literal

import torch

Stream = Literal["split", "init", "batches", "augment", "mix", "dropout"]


def generator(seed: int, stream: Stream, epoch: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator on `device`; equal arguments give equal draws, any difference gives unrelated ones.

    `epoch` counts from 0. Draws on the CPU and on a GPU differ for the same arguments.
    """
    digest = hashlib.blake2b(f"{seed}/{stream}/{epoch}".encode(), digest_size=8).digest()
    made = torch.Generator(device=device)
    made.manual_seed(int.from_bytes(digest, "little") >> 1)  # 63 bits: manual_seed takes signed 64
    return made
