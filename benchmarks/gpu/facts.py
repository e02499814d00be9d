"""What the machine is and has, before anything else: a start that takes long or a missing tool explains much later."""

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from benchmarks.gpu import Result, Size
from benchmarks.gpu.mps import DAEMON
from benchmarks.gpu.timing import MODES, wait
from benchmarks.rows import row

SMI = ("nvidia-smi", "--query-gpu=driver_version,clocks.sm,clocks.mem,temperature.gpu", "--format=csv")
TOOLS = ("pytest", "ray", "optuna", "triton", "torchvision", "pillow", "pydantic")


def results(size: Size) -> Iterator[Result]:
    """One: seconds and memory of a start, and what is there."""
    began = time.perf_counter()
    torch.zeros(1, device=size.device)
    wait(size.device)
    context_s = time.perf_counter() - began
    began = time.perf_counter()
    images = torch.randn(2, 3, 8, 8, device=size.device, generator=torch.Generator(size.device).manual_seed(0))
    torch.nn.functional.conv2d(images, images)
    wait(size.device)
    found: Result = {
        "context_s": context_s,
        "first_convolution_s": time.perf_counter() - began,
        "modes": list(MODES),
        "has": [name for name in TOOLS if is_here(name)],
        "mps_daemon": shutil.which(DAEMON),
    }
    if size.device.type == "cuda":
        free, total = torch.cuda.mem_get_info()
        found |= {
            "context_bytes": total - free - torch.cuda.memory_reserved(),
            "device": torch.cuda.get_device_name(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "nvidia_smi": _said(SMI),
        }
    yield found


def rows(own: Sequence[Result], found: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """What each worker pays once."""
    return [
        row(
            "a process's first use of the device",
            value=one["context_s"] + one["first_convolution_s"],
            value_unit="s",
            note=f"Of it {one['context_s']:.2f} s for the context; beside torch there are {', '.join(one['has'])}.",
        )
        for one in own
    ]


def is_here(package: str) -> bool:
    """Whether a package is installed, which is not to be imported for that."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _said(command: tuple[str, ...]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
