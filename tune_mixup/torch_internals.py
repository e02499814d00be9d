"""What we use of torch and torch does not document; `tests/test_torch_internals.py` holds a test for each."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

Optimizer = TypeVar("Optimizer", bound=torch.optim.Optimizer)


def standard_gamma(shape: Tensor, *, generator: Generator) -> Tensor:
    """Gamma(a, 1) for each a of `shape`, floating point [...], all > 0.

    `torch.distributions.Gamma` draws by the same kernel, but from the global generator only.
    """
    return torch._standard_gamma(shape, generator=generator)


def scale_(tensors: Sequence[Tensor], factor: Tensor) -> None:
    """Multiply each tensor in place by `factor`, float32 [], with one kernel for all where there is one."""
    torch._foreach_mul_([*tensors], factor)


def add_scaled_(tensors: Sequence[Tensor], others: Sequence[Tensor], factor: Tensor) -> None:
    """Add `factor`, float32 [], times the tensor of the same place in `others` to each tensor, in place."""
    torch._foreach_add_([*tensors], torch._foreach_mul([*others], factor))


def copy_(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> None:
    """Copy the tensors of `others`, of any type, into those of the same place, in place."""
    if tensors:
        torch._foreach_copy_([*tensors], [*others])


def increase_(tensors: Sequence[Tensor], number: int) -> None:
    """Add a number to each tensor, in place."""
    if tensors:
        torch._foreach_add_([*tensors], number)


def without_compiler(kind: type[Optimizer]) -> type[Optimizer]:
    """A class of torch's optimizers that leaves torch's compiler alone.

    torch guards the methods of optimizers against being compiled, and to do so imports its compiler at the first call:
    seconds, and 79 MB for each worker. What is called here is inside of the guards.
    """
    guarded = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    members: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in guarded}
    members["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), members)


class OperatorSpy(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within its `with` block, `seen` is told of each operator, such as `aten::add`, with its arguments, and may raise.

    Operators are what is left of a call when autograd and autocast have done their part.
    """

    def __init__(self, seen: Callable[[str, tuple[Any, ...]], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._seen = seen

    @override
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self._seen(func.name().partition(".")[0], args)
        return func(*args, **(kwargs or {}))
