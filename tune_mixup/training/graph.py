"""A CUDA graph of a whole training step: one launch from the host where there were some two hundred.

NVIDIA, "Accelerating PyTorch with CUDA Graphs" (PyTorch blog, 2021): everything that a graph reads or writes stays in
its place, so a batch, a rate or a trial's settings are copied there before the graph is replayed.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Generator

DEVICES = ("cuda",)
"""Where steps can be captured."""
WARM_UP_STEPS = 3
"""Steps before the capture, in which cuDNN chooses kernels and the optimizer makes its buffers; PyTorch's advice."""


def capture(body: Callable[[], None], generators: Iterable[Generator]) -> Callable[[], None]:
    """What replays `body` as it is run here: it has trained for `WARM_UP_STEPS` steps when this returns.

    The draws of `generators` go on from replay to replay, and start again where they are seeded again.
    """
    main = torch.cuda.current_stream()
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(main)
    with torch.cuda.stream(side):
        for _ in range(WARM_UP_STEPS):
            body()
    main.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        body()
    return graph.replay
