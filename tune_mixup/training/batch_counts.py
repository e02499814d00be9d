"""Batch norms count their batches with a kernel each in every step; here steps are counted, by one call an epoch.

No batch norm that has a momentum makes use of its count, which is kept because a state dict has it.
"""

import contextlib
from collections.abc import Iterator

from torch import Tensor, nn

from tune_mixup.torch_internals import increase_

COUNTING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class BatchCounts:
    """The counts of a model's batch norms."""

    def __init__(self, model: nn.Module) -> None:
        layers = [layer for layer in model.modules() if isinstance(layer, COUNTING)]
        self._layers: list[tuple[nn.Module, Tensor]] = [
            (layer, layer.num_batches_tracked)
            for layer in layers
            # A class derived from torch's may read the count.
            if type(layer) in COUNTING and layer.momentum is not None and layer.num_batches_tracked is not None
        ]
        self.needed = any(layer.momentum is None for layer in layers)
        """Whether some batch norm makes use of its count."""

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Inside, the batch norms have no count."""
        for layer, _ in self._layers:
            layer.register_buffer("num_batches_tracked", None)
        try:
            yield
        finally:
            for layer, count in self._layers:
                layer.register_buffer("num_batches_tracked", count)

    def add(self, steps: int) -> None:
        """Count steps that went by while it was paused."""
        increase_([count for _, count in self._layers], steps)
