"""Where the images of a data set lie while a trial trains: on its device, or once on the host for all trials there."""

import os
from typing import Literal, NamedTuple

import torch

Residence = Literal["auto", "device", "host"]
PADDED = 1.7
"""Padding for random crops makes a second copy of the images, of at most about so many times their size: with 4 pixels
around images of 28 it is 1.65."""
SHARE_OF_MEMORY = 0.5
"""Part of a trial's memory that its images may have; the rest is for its network."""


class Memory(NamedTuple):
    """What there is, in bytes."""

    device: int
    """Of the trial's device, its share of it."""
    host: int
    """Of the host, for all trials together."""


class Choice(NamedTuple):
    """Where images lie, and why."""

    on_device: bool
    words: str
    """In one line."""
    short: bool = False
    """Whether it was made because they are too many for the device."""


def memory_of(device: torch.device, *, share: float) -> Memory:
    """The memory of `device`, of which a trial has `share`, and of the host. The CPU's is the host's."""
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    whole = torch.cuda.mem_get_info(device)[1] if device.type == "cuda" else host
    return Memory(int(whole * share), host)


def choose(wanted: Residence, *, num_bytes: int, mapped: bool, on_cpu: bool, memory: Memory) -> Choice:
    """Where `num_bytes` of images lie, as `wanted`, or on the device where they fit.

    Images that a trial on the CPU finds `mapped` into memory are used as they are. Raises ValueError, with the sizes,
    for images that even the host has no memory for.
    """
    room = SHARE_OF_MEMORY * memory.device
    need = (1 + PADDED) * num_bytes
    fit = need <= room
    share = f"{_gb(room)} of the trial's {_gb(memory.device)} of memory there"
    if wanted == "device":
        return Choice(True, f"{_gb(num_bytes)} of images lie on the device (data.residence=device)")
    if wanted == "auto" and fit and not (on_cpu and mapped):
        return Choice(True, f"{_gb(num_bytes)} of images lie on the device: with padding they fit {share}")
    if num_bytes > memory.host:
        neither = "" if on_cpu else f"the {share}, which padded images may have on the device, nor "
        raise ValueError(
            f"data: got {_gb(num_bytes)} of images, which do not fit {neither}this host's {_gb(memory.host)} of "
            "memory; take fewer (data.train_limit) or smaller ones"
        )
    where = f"{_gb(num_bytes)} of images lie on the host, in one copy for all trials"
    if wanted == "host":
        return Choice(False, f"{where} (data.residence=host)")
    if fit:
        return Choice(False, f"{where}: they are mapped from a file already")
    return Choice(False, f"{where}: with padding they need {_gb(need)}, which does not fit {share}", short=True)


def _gb(size: float) -> str:
    return f"{size / 1e9:.3g} GB"
