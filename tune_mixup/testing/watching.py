"""What the suites watch while a part works: the global generators, and reads of a device's values on the host."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from tune_mixup.torch_internals import OperatorSpy

WAITING_METHODS = ("item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__int__", "__float__", "__index__")
"""Methods of a tensor whose answer the host has to wait for."""
WAITING_OPERATORS = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::equal",
    "aten::is_nonzero",
    "aten::masked_select",
    "aten::bincount",
    "aten::_unique2",
    "aten::repeat_interleave",
}
"""Operators that give a number, or a tensor whose size depends on values."""
INDEXING = ("aten::index", "aten::index_put", "aten::index_put_")


@contextmanager
def global_generators_untouched(*, torchs_own: bool = True) -> Iterator[None]:
    """Raise AssertionError at the end of the block if it drew from a global generator of Python, NumPy or torch.

    Without `torchs_own`, torch's may be drawn from.
    """
    before = random.getstate(), _numpys(), torch.get_rng_state()
    yield
    advice = "draw from the generator that is passed in"
    assert random.getstate() == before[0], f"Python's global generator (random) was used; {advice}"
    assert _numpys() == before[1], f"NumPy's global generator was used; {advice}"
    same = torch.equal(torch.get_rng_state(), before[2])
    assert same or not torchs_own, f"torch's global generator was used; {advice}"


def _numpys() -> str:
    state = np.random.get_state(legacy=False)
    return repr({**state, "state": {key: np.asarray(value).tolist() for key, value in state["state"].items()}})


@contextmanager
def no_reads_on_the_host() -> Iterator[None]:
    """Within it, whatever would make the host wait for a value of the device raises AssertionError, on CPUs too."""

    def seen(name: str, arguments: tuple[Any, ...]) -> None:
        indices = arguments[1] if name in INDEXING else ()
        by_mask = any(isinstance(index, Tensor) and index.dtype == torch.bool for index in indices)
        if name in WAITING_OPERATORS or by_mask:
            what = "indexing with a boolean mask" if by_mask else name
            raise AssertionError(f"{what} reads a value on the host, so that the device waits; use tensor operations")

    def refusing(name: str) -> Callable[..., Any]:
        def refused(*_: Any, **__: Any) -> Any:
            raise AssertionError(
                f"Tensor.{name} reads a value on the host, so that the device waits; use tensor operations"
            )

        return refused

    with ExitStack() as stack, OperatorSpy(seen):
        for name in WAITING_METHODS:
            stack.enter_context(mock.patch.object(Tensor, name, refusing(name)))
        yield


@contextmanager
def operators_noted(notes: list[tuple[str, tuple[tuple[int, ...], ...]]]) -> Iterator[None]:
    """Add to `notes` each operator of the block with the shapes of its tensors, in order."""

    def seen(name: str, arguments: tuple[Any, ...]) -> None:
        notes.append((name, tuple(tuple(one.shape) for one in arguments if isinstance(one, Tensor))))

    with OperatorSpy(seen):
        yield
