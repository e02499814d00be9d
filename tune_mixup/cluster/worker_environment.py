"""Environment variables of the processes that run trials, which must be there before such a process starts."""

from tune_mixup.sweep_config import SweepConfig

KEPT_HEAP = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**26),
}
"""glibc keeps the memory that a step frees for the next step, instead of giving it back and zeroing it again.

By default it maps tensors of more than 128 KiB (up to 32 MiB, as it adapts) afresh and trims the top of its heap, and
the kernel zeroes each page that comes back. Costs nothing but what the largest step has needed, kept to the end of the
process. Other C libraries ignore it.
"""


def worker_environment(config: SweepConfig) -> dict[str, str]:
    """What the workers of a sweep need beside what they have.

    On the CPU the kept heap; on a GPU the tensors live in torch's own cache, and the host's memory would grow for
    nothing. And the threads of a trial, where they are known; OpenBLAS and MKL follow OMP_NUM_THREADS. Torch is told
    again by each trial (`set_threads`), for the workers of a Ray that was not started here.
    """
    heap = {} if config.gpus_per_trial else KEPT_HEAP
    threads = {} if config.cpus_per_trial == "auto" else {"OMP_NUM_THREADS": str(config.threads)}
    return {**heap, **threads}
