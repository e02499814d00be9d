"""What training sets for its whole process: here and nowhere else, since trials may one day share a process.

- `kernels`, around an epoch: cuDNN's `enabled`, `deterministic`, `benchmark` and `allow_tf32`, and torch's float32
  matmul precision; all as before afterwards.
- `seeding.global_draws`, around an epoch and around the making of a model: the state of torch's global generators, by
  which dropout and first weights are drawn; as before afterwards.
- `set_threads`, once: torch's CPU threads and OMP_NUM_THREADS.
"""

import contextlib
import os
from collections.abc import Iterator

import torch

from tune_mixup.config import Training


@contextlib.contextmanager
def kernels(training: Training, device: torch.device) -> Iterator[None]:
    """Inside, cuDNN takes repeatable or the fastest kernels, and TF32 where fp32 is not asked for."""
    tf32 = training.precision != "fp32"
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        with torch.backends.cudnn.flags(
            enabled=True,
            deterministic=training.deterministic,
            benchmark=not training.deterministic,
            allow_tf32=tf32,
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def set_threads(count: int) -> None:
    """Use `count` CPU threads in this process; more than a trial's share slows its neighbours down.

    For processes that only train: it stays so, also in libraries that are loaded later and in child processes, which
    read the environment.
    """
    torch.set_num_threads(count)
    os.environ["OMP_NUM_THREADS"] = str(count)
