"""How a training step is run: as it stands, with parts of it compiled, or captured as one CUDA graph.

NVIDIA, "Accelerating PyTorch with CUDA Graphs" (PyTorch blog, 2021): everything that a graph reads or writes stays in
its place, so a batch, a rate or a trial's settings are copied there before the graph is replayed.
"""

import contextlib
import gc
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import ClassVar, Literal, TypeVar, cast, final

import torch
from torch import Generator, nn
from typing_extensions import override

from tune_mixup.torch_internals import register_generators

F = TypeVar("F", bound=Callable[..., object])

DEVICES = ("cuda",)
"""Where steps can be captured."""
WARM_UP_STEPS = 3
"""Steps before the capture, in which cuDNN chooses kernels and the optimizer makes its buffers; PyTorch's advice."""


class Runner(ABC):
    """Runs the body of a step, which takes no argument: all that it reads and writes is in its place."""

    captures: ClassVar[bool]
    """Whether the step's numbers must be tensors, since the host has no say in a step."""

    def __init__(self, compiles: Literal["nothing", "model", "step"] = "nothing") -> None:
        """By torch.compile: nothing, the forward and backward passes of the network, or all up to the loss.

        The last breaks in pieces where numbers are drawn, since a generator is no tensor; what draws stands beside the
        network, so that this is compiled as a whole. It comes in two parts, for autocast's end would be compiled with
        a loss that has a past.
        """
        self._compiles = compiles

    def network(self, model: nn.Module) -> nn.Module:
        """What the forward and backward passes go through."""
        return cast(nn.Module, torch.compile(model)) if self._compiles == "model" else model

    def part(self, function: F) -> F:
        """A function of the step beside the network: what draws, mixes and measures the loss."""
        return cast(F, torch.compile(function)) if self._compiles == "step" else function

    @abstractmethod
    def prepare(self, body: Callable[[], None], generators: Iterable[Generator]) -> None:
        """Get ready to run `body`, which draws by `generators` and by torch's own; a step may have several bodies."""

    @abstractmethod
    def run(self, body: Callable[[], None]) -> None:
        """One step."""

    @abstractmethod
    def stream(self) -> AbstractContextManager[None]:
        """Inside, the device works through what it is given in the order that steps need."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what was made for this step alone."""


@final
class Launched(Runner):
    """Each operation is launched as Python comes to it."""

    captures = False

    @override
    def prepare(self, body: Callable[[], None], generators: Iterable[Generator]) -> None:
        pass

    @override
    def run(self, body: Callable[[], None]) -> None:
        body()

    @override
    def stream(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    @override
    def close(self) -> None:
        pass


@final
class Captured(Runner):
    """The whole step with backward pass and update as one CUDA graph: one launch where there were some two hundred.

    Each of a step's bodies has a graph of its own.

    Warm-up, capture and replay have a stream of their own. On a stream that several captures share, PyTorch (issue
    193402) takes the workspace of cuBLAS from all of them when one is reset.
    """

    captures = True

    def __init__(self, compiles: Literal["nothing", "model"] = "nothing") -> None:
        super().__init__(compiles)
        self._stream: torch.cuda.Stream | None = None
        self._graphs: dict[Callable[[], None], torch.cuda.CUDAGraph] = {}

    @override
    def prepare(self, body: Callable[[], None], generators: Iterable[Generator]) -> None:
        """Run `body` for `WARM_UP_STEPS` steps and capture it.

        Its draws go on from replay to replay, and start again where they are seeded again.
        """
        release()
        self._stream = self._stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]
        graph = torch.cuda.CUDAGraph()
        with self.stream():
            for _ in range(WARM_UP_STEPS):
                body()
            register_generators(graph, generators)
            with torch.cuda.graph(graph, stream=self._stream):
                body()
        self._graphs[body] = graph

    @override
    def run(self, body: Callable[[], None]) -> None:
        assert body in self._graphs, "closed, or not prepared"
        self._graphs[body].replay()

    @override
    @contextlib.contextmanager
    def stream(self) -> Iterator[None]:
        assert self._stream is not None, "closed, or not prepared"
        outside = torch.cuda.current_stream()
        self._stream.wait_stream(outside)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            outside.wait_stream(self._stream)

    @override
    def close(self) -> None:
        if self._graphs:
            torch.cuda.synchronize()  # a graph must not be taken apart while it runs
        for graph in self._graphs.values():
            graph.reset()
        self._graphs.clear()
        self._stream = None


RUNNERS: dict[str, Callable[[], Runner]] = {
    "none": Launched,
    "model": partial(Launched, "model"),
    "step": partial(Launched, "step"),
    "graph": Captured,
    "model+graph": partial(Captured, "model"),
}
"""What `training.compile` says -> what runs the steps."""
UNCAPTURED = {"graph": "none", "model+graph": "model"}
"""What remains of a way to run steps for a method whose steps can't be captured."""


def release() -> None:
    """Give memory that nobody uses any more back to the device: that of objects in reference cycles too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
