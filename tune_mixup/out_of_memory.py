"""Whether an error means that the GPU's memory was too small, in all the forms in which torch says so."""

from collections.abc import Callable, Iterator

import torch

from tune_mixup.torch_internals import error_code
from tune_mixup.words import text_of

MEMORY_ALLOCATION = 2
"""`cudaErrorMemoryAllocation`, by CUDA's number."""
SAYS_SO = (
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
)
"""What a library of CUDA says when it gets no memory, and at no other time."""
MAY_MEAN_IT = (
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "unable to find an engine",
    "cudaErrorStreamCaptureInvalidated",
    "due to a previous error during capture",
)
"""What follows when memory was short: a library that could not begin, cuDNN without room for any of its kernels, a
capture that a failed allocation has spoilt (PyTorch pull request 187795). Each has other causes too."""
NOT_IN_A_CAPTURE = "operation not permitted when stream is capturing"
"""What CUDA says to a step that reads a value on the host while it is captured: a fault of the step."""
SCARCE = 256 * 2**20
"""Bytes: cuBLAS and cuDNN need about as much to begin. Where less is free, neighbours may hold the memory."""


def memory_ran_short() -> bool:
    """Whether memory was short in this process: an allocation of torch has failed, or hardly any memory is free.

    False without CUDA. Failed allocations are counted from the start of the process or from `forget_failures`.
    """
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    if torch.cuda.memory_stats().get("num_ooms", 0) > 0:
        return True
    try:
        return torch.cuda.mem_get_info()[0] < SCARCE
    except RuntimeError:  # the context is lost, which is no lack of memory
        return False


def forget_failures() -> None:
    """Count failed allocations from here on, as befits a process that goes on with another trial."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.reset_accumulated_memory_stats()


def is_out_of_memory(error: BaseException, *, ran_short: Callable[[], bool] = memory_ran_short) -> bool:
    """Whether the GPU's memory was too small. The host's is another matter: `MemoryError` is none.

    Some errors mean it only sometimes (`MAY_MEAN_IT`). They count where an error that says it plainly is their cause or
    was being handled when they were raised, as when the end of a capture fails after an allocation in it, and where
    `ran_short()`. So does any other RuntimeError that came of a plain one, such as the compiler's.
    """
    if not isinstance(error, RuntimeError) or any(NOT_IN_A_CAPTURE in text_of(one) for one in (error, *_before(error))):
        return False
    if _plainly(error):
        return True
    ambiguous = any(words in text_of(error) for words in MAY_MEAN_IT)
    if isinstance(error, torch.AcceleratorError) and not ambiguous:
        return False  # a lost context stays lost, whatever came before it
    return any(_plainly(earlier) for earlier in _before(error)) or (ambiguous and ran_short())


def _plainly(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError):
        return True
    if isinstance(error, torch.AcceleratorError):
        code = error_code(error)
        return code == MEMORY_ALLOCATION if code is not None else "error: out of memory" in text_of(error)
    return isinstance(error, RuntimeError) and any(words in text_of(error) for words in SAYS_SO)


def _before(error: BaseException) -> Iterator[BaseException]:
    """The errors that this one came of, hidden ones too."""
    seen = {id(error)}
    waiting = [error.__cause__, error.__context__]
    while waiting:
        earlier = waiting.pop()
        if earlier is not None and id(earlier) not in seen:
            seen.add(id(earlier))
            waiting += [earlier.__cause__, earlier.__context__]
            yield earlier
