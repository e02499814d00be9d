"""What we use of torch and torch does not document; `tests/test_torch_internals.py` holds a test for each."""

import inspect
from collections.abc import Callable, Iterable, Sequence
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


def register_generators(graph: torch.cuda.CUDAGraph, generators: Iterable[Generator]) -> None:
    """Let replays of a graph go on with the draws of generators that its capture draws from.

    From torch 2.14 on the capture finds them by itself, and the call does nothing but warn.
    """
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 14):
        for generator in generators:
            graph.register_generator_state(generator)


def without_compiler(kind: type[Optimizer]) -> type[Optimizer]:
    """A class of torch's optimizers that leaves torch's compiler alone.

    torch guards the methods of optimizers against being compiled, and to do so imports its compiler at the first call:
    seconds, and 79 MB for each worker. What is called here is inside of the guards.
    """
    guarded = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    members: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in guarded}
    members["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), members)


def updated_quietly(build: Callable[[], torch.optim.Optimizer]) -> torch.optim.Optimizer:
    """The optimizer that `build` makes, after an update of its parameters, which are on the CPU and have gradients.

    Without what torch does around both: it would import its compiler (79 MB, seconds), and ask whether a graph is being
    captured, which makes a CUDA context where there is a GPU. Hooks are left out too. Not for several threads: while it
    builds, the class of all optimizers is another.
    """
    wrapped = torch.optim.Optimizer.add_param_group
    torch.optim.Optimizer.add_param_group = inspect.unwrap(wrapped)  # type: ignore[method-assign]
    try:
        optimizer = build()
    finally:
        torch.optim.Optimizer.add_param_group = wrapped  # type: ignore[method-assign]
    for check in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
        vars(optimizer)[check] = lambda: None
    with torch.no_grad():
        inspect.unwrap(type(optimizer).step)(optimizer)
    return optimizer


def error_code(error: torch.AcceleratorError) -> int | None:
    """The number of CUDA's error, 2 for `cudaErrorMemoryAllocation`; None for an error that torch has not made."""
    code = vars(error).get("error_code")
    return None if code is None else int(code)


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
