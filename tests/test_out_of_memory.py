"""Which errors mean that the GPU's memory was too small: messages as torch, cuBLAS and cuDNN give them."""

import pytest
import torch

from tune_mixup import out_of_memory
from tune_mixup.out_of_memory import forget_failures, is_out_of_memory, memory_ran_short

PLAIN = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
HINTS = "\nCUDA kernel errors might be asynchronously reported at some other API call."
NO_MEMORY = f"CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation' for more information.{HINTS}"
SPOILT = f"CUDA error: operation failed due to a previous error during capture{HINTS}"
UNJOINED = f"CUDA error: capturing stream has unjoined work{HINTS}"
ILLEGAL = f"CUDA error: an illegal memory access was encountered{HINTS}"
NO_HANDLE = "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"
NO_ENGINE = "FIND was unable to find an engine to execute this computation after trying 3 plans."


def accelerator_error(words, code=None):
    error = torch.AcceleratorError(words)
    if code is not None:
        error.error_code = code
    return error


def after(first, second):
    """`second` as it is when it was raised while `first` was handled."""
    try:
        try:
            raise first
        finally:
            raise second
    except BaseException as error:
        return error


def because_of(first, second):
    """`second` as it is when it was raised from `first`."""
    try:
        raise second from first
    except BaseException as error:
        return error


def hiding(first, second):
    """`second` as it is when it was raised from None while `first` was handled, as the compiler does."""
    try:
        try:
            raise first
        except BaseException:
            raise second from None
    except BaseException as error:
        return error


def never():
    raise AssertionError("the device was asked for nothing")


@pytest.mark.parametrize(
    "error",
    [
        PLAIN,
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        accelerator_error(NO_MEMORY),
        accelerator_error("any words", code=2),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        after(PLAIN, accelerator_error(SPOILT, code=901)),
        after(after(PLAIN, KeyError("cleaning up")), accelerator_error(SPOILT)),
        after(accelerator_error(NO_MEMORY), RuntimeError(NO_HANDLE)),
        because_of(PLAIN, RuntimeError("the backend compiler failed")),
        hiding(PLAIN, RuntimeError("InductorError: OutOfMemoryError: CUDA out of memory.")),
    ],
)
def test_errors_that_mean_it_whatever_the_device_says(error):
    assert is_out_of_memory(error, ran_short=never)


@pytest.mark.parametrize("words", [NO_HANDLE, NO_ENGINE, "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"])
@pytest.mark.parametrize("ran_short", [True, False])
def test_a_library_that_cannot_begin_means_it_where_memory_was_short(words, ran_short):
    assert is_out_of_memory(RuntimeError(words), ran_short=lambda: ran_short) is ran_short


@pytest.mark.parametrize("words", [SPOILT, "CUDA error: see `cudaErrorStreamCaptureInvalidated'"])
@pytest.mark.parametrize("ran_short", [True, False])
def test_so_does_a_capture_that_was_spoilt(words, ran_short):
    assert is_out_of_memory(accelerator_error(words), ran_short=lambda: ran_short) is ran_short


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shape '[2]' is invalid for input of size 3"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        accelerator_error(ILLEGAL, code=700),
        after(PLAIN, accelerator_error(ILLEGAL, code=700)),
        accelerator_error("CUDA error: too many resources requested for launch", code=701),
        accelerator_error("CUDA error: out of memory in words alone", code=700),
        accelerator_error(UNJOINED, code=904),
        MemoryError(),
        after(PLAIN, ValueError("training.batch_size: is wrong")),
        ValueError("CUDA out of memory"),
        KeyboardInterrupt(),
    ],
)
def test_other_errors_do_not_even_where_memory_was_short(error):
    assert not is_out_of_memory(error, ran_short=lambda: True)


@pytest.fixture
def cuda(monkeypatch):
    """A device whose answers are made up."""

    class Device:
        failed, free = 0, 2**34

        def forget(self):
            self.failed = 0

    device = Device()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "memory_stats", lambda: {"num_ooms": device.failed})
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (device.free, 2**36))
    monkeypatch.setattr(torch.cuda, "reset_accumulated_memory_stats", device.forget)
    return device


def test_memory_was_short_when_an_allocation_failed_since_the_last_trial(cuda):
    assert not memory_ran_short()
    cuda.failed = 1
    assert memory_ran_short() and is_out_of_memory(RuntimeError(NO_HANDLE))
    forget_failures()
    assert not memory_ran_short() and not is_out_of_memory(RuntimeError(NO_HANDLE))


def test_memory_is_short_when_neighbours_hold_it(cuda):
    cuda.free = out_of_memory.SCARCE - 1
    assert memory_ran_short()


def test_a_lost_context_is_no_lack_of_memory(cuda, monkeypatch):
    def lost():
        raise accelerator_error(ILLEGAL)

    monkeypatch.setattr(torch.cuda, "mem_get_info", lost)
    assert not memory_ran_short()


def test_without_a_gpu_nothing_was_short():
    assert not memory_ran_short()
    forget_failures()


def test_a_step_that_reads_on_the_host_while_it_is_captured_is_at_fault_itself():
    """However little memory is free: the end of the capture says what it says after a failed allocation too."""
    reads = accelerator_error(f"CUDA error: operation not permitted when stream is capturing{HINTS}", code=900)
    spoilt = after(reads, accelerator_error(SPOILT, code=901))
    assert not is_out_of_memory(spoilt, ran_short=lambda: True)
    assert not is_out_of_memory(reads, ran_short=lambda: True)
