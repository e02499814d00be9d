"""How many CPU threads a process trains with."""

import os

import torch


def set_threads(count: int) -> None:
    """Use `count` CPU threads in this process; more than a trial's share slows its neighbours down.

    For processes that only train: it stays so, also in libraries that are loaded later and in child processes, which
    read the environment.
    """
    torch.set_num_threads(count)
    os.environ["OMP_NUM_THREADS"] = str(count)
