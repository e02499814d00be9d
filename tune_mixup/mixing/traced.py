"""Settings as tensors, so that one compiled or captured step serves every trial of the same structure.

Only alpha is a number inside of a step. Gamma and its growth act between epochs, on the state; the other settings
choose what is computed.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from tune_mixup.mixing.base import Mixer
from tune_mixup.mixing.partners import Partners
from tune_mixup.pydantic_internals import stored_values
from tune_mixup.schema import Schema

M = TypeVar("M", bound=Mixer)
TRACED = "alpha"
"""The setting that becomes a tensor, in a mixer and in the members of a mixture."""


def trace(mixer: M, device: torch.device) -> M:
    """A copy of a canonical mixer whose alphas are tensors, float64 [] on `device`, for `fill` to change."""
    traced: M = _replaced(mixer, lambda alpha: torch.tensor(alpha, dtype=torch.float64, device=device))
    return traced


def fill(traced: Mixer, mixer: Mixer) -> None:
    """Copy the alphas of `mixer`, canonical and of the same structure, into the tensors of `traced`."""
    for tensor, alpha in zip(_alphas(traced), _alphas(mixer), strict=True):
        tensor.fill_(alpha)


def structure(settings: Any) -> Any:
    """What canonical mixers have in common when one step serves both: their settings less those that it need not know.

    That is, all but the alphas and what acts `between_epochs`. Nested tuples, which can be compared and hashed.
    """
    match settings:
        case Mixer() | Partners():
            left_out = {TRACED, *settings.between_epochs}
            parts = tuple((key, structure(part)) for key, part in settings if key not in left_out)
            return (type(settings), *parts)  # names from outside need not differ
        case Mapping():
            return tuple((key, structure(part)) for key, part in settings.items())
    return settings


def _alphas(value: Any) -> Iterator[Any]:
    if isinstance(value, Schema):
        fields, private = stored_values(value)  # a mixture's members are private
        parts = {**fields, **private}
        if TRACED in parts:
            yield parts.pop(TRACED)
        value = parts
    if isinstance(value, dict):
        for part in value.values():
            yield from _alphas(part)


def _replaced(value: Any, number: Callable[[float], Tensor]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(part, number) for key, part in value.items()}
    if not isinstance(value, Schema):
        return value
    copied = value.model_copy()
    for parts in stored_values(copied):
        for key, part in parts.items():
            parts[key] = number(part) if key == TRACED else _replaced(part, number)
    return copied
