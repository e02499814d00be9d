"""What an epoch of training hands to the host: its sums and the mixer's state, copied while the device goes on."""

import time

import torch
from torch import Tensor

from tune_mixup.training.step import Step


class HandOver:
    """Made where the epoch's last step was given to the device. Asking it for something waits for that step, only."""

    def __init__(self, step: Step, clock: "Clock", *, num_images: int) -> None:
        self.num_images = num_images
        """Images trained on in the epoch."""
        self._num_steps = step.num_steps
        self._sums = _to_host(step.sums)
        self._mixer_state = {name: _to_host(tensor) for name, tensor in step.mixer_state.items()}
        self._clock = clock
        clock.stop()

    @property
    def mixer_state(self) -> dict[str, Tensor]:
        """The mixer's state after the last step, on the CPU."""
        self._clock.wait()
        return self._mixer_state

    def means(self) -> tuple[float, float]:
        """The mean loss of the epoch and the mean accuracy on its mixed targets."""
        self._clock.wait()
        loss, accuracy = (self._sums / self._num_steps).tolist()
        return loss, accuracy

    def seconds(self) -> float:
        """How long the device took for the epoch's steps, from the first one on."""
        return self._clock.seconds()


class Clock:
    """Measures what a device does from here to another point of its stream; the CPU has done all by that time."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._stopped: torch.cuda.Event | None = None
        self._seconds = 0.0
        if self._on_gpu:
            self._started = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            self._started.record()
        self._began = time.perf_counter()

    def stop(self) -> None:
        """Stop at what the device was given last."""
        self._seconds = time.perf_counter() - self._began
        if self._on_gpu:
            self._stopped = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            self._stopped.record()

    def wait(self) -> None:
        """Wait until the device has come to where the clock was stopped."""
        if self._stopped is not None:
            self._stopped.synchronize()

    def seconds(self) -> float:
        """From start to stop."""
        if self._stopped is None:
            return self._seconds
        self.wait()
        return float(self._started.elapsed_time(self._stopped)) / 1000


def _to_host(tensor: Tensor) -> Tensor:
    """A copy on the CPU that may still be on its way; from a GPU into pinned memory, which torch sees to."""
    return tensor.detach().to("cpu", non_blocking=True, copy=True)
