"""Where a worker trains: on the CPU, or on the GPU of which it has a share and which must then be there."""

import os
import socket

import torch

LOGICAL_GPUS = "TUNE_MIXUP_LOGICAL_GPUS"
"""An environment variable for tests. Where it is 1, GPUs that only Ray counts will do, and trials train on the CPU.

A variable, since all workers of a Ray inherit it; an argument would have to pass through a trial's record."""


def device_for(gpus: float) -> torch.device:
    """The device of a worker that has `gpus` of a GPU.

    Raises ValueError, naming the host, for a share of a GPU without CUDA: on the CPU a trial would take many times as
    long and hold a GPU meanwhile.
    """
    if not gpus:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if os.environ.get(LOGICAL_GPUS) == "1":
        return torch.device("cpu")
    raise ValueError(
        f"gpus_per_trial: got {gpus:g} of a GPU on host {socket.gethostname()}, but CUDA is not available there: "
        f"{_why()}; mend that, take the host's GPUs out of Ray, or give --gpus-per-trial 0"
    )


def _why() -> str:
    if torch.version.cuda is None:
        return "its torch is built without CUDA"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return "torch finds no driver or no GPU"
    return f"torch finds no driver, or none of CUDA_VISIBLE_DEVICES={visible or 'nothing'}"
