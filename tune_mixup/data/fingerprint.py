"""What data are, told from their content: the same on every host and under every path."""

import hashlib
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

DIGITS = 16
"""Hexadecimal digits of a fingerprint."""


def of_parts(parts: Iterable[str | bytes]) -> str:
    """The fingerprint of texts and bytes, in their order."""
    digest = hashlib.blake2b(digest_size=DIGITS // 2)
    for part in parts:
        content = part.encode(errors="surrogateescape") if isinstance(part, str) else part
        digest.update(b"%d:" % len(content))
        digest.update(content)
    return digest.hexdigest()


def of_tensors(tensors: Sequence[Tensor], class_names: Sequence[str]) -> str:
    """The fingerprint of images and targets, each element of which counts, and of the names of the classes."""
    digest = hashlib.blake2b(digest_size=DIGITS // 2)
    digest.update(of_parts(class_names).encode())
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
