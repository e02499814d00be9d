"""What each mixing method costs beside plain mixup when the network runs through torch.compile; see `mixers`."""

from typing import Any

from benchmarks import mixers


def measure() -> dict[str, Any]:
    return mixers.measure(compiled=True)
