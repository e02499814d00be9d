"""What the device can do at most, and how fast a network could train if only arithmetic and memory traffic counted.

The series limit adds both times: convolutions at the matrix product's measured rate, then the traffic of activations at
the measured copy rate, in bf16. Traffic per element, in reads and writes of forward and backward pass: a convolution's
input and output three times each; an eager batch norm 8, a ReLU 5, an addition 1.5; fused, normalisation, ReLU and
addition together 8 per output of a convolution. Weights are left out.
"""

import time
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu import Size
from benchmarks.gpu.timing import config, wait

BYTES = 2
"""Of a number in bf16."""
FUSED_ACCESSES = 8


def ceilings(size: Size) -> dict[str, Any]:
    """Bytes per second of a copy and FLOP/s of a matrix product, the best of several, on the device."""
    large = size.device.type == "cuda"
    side, megabytes = (8192, 2048) if large else (256, 8)
    found: dict[str, Any] = {"device": torch.cuda.get_device_name() if large else "CPU"}
    source = torch.empty(megabytes << 20, dtype=torch.uint8, device=size.device).random_(0, 256)
    target = torch.empty_like(source)
    found["copy_bytes_per_s"] = 2 * source.numel() / _best(lambda: target.copy_(source), size)
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        matrix = torch.randn(side, side, device=size.device).to(dtype)
        out = torch.empty_like(matrix)
        found[f"{name}_flops"] = (
            2 * side**3 / _best(lambda matrix=matrix, out=out: torch.mm(matrix, matrix, out=out), size)
        )
    if large:
        found["memory_bytes"] = torch.cuda.mem_get_info()[1]
        found["cudnn"] = torch.backends.cudnn.version()
    return found


def _best(call: Any, size: Size) -> float:
    for _ in range(3):
        call()
    times = []
    for _ in range(10):
        wait(size.device)
        began = time.perf_counter()
        call()
        wait(size.device)
        times.append(time.perf_counter() - began)
    return min(times)


def counts(size: Size, net: str) -> dict[str, float]:
    """FLOPs and bytes of traffic per image of a training step, counted by hooks on one forward and backward pass."""
    trial = config(size, size.nets[net])
    with torch.random.fork_rng(devices=[]):  # first weights are drawn from the global generator
        model = trial.model.build(channels=3, num_classes=10)
    conv = norm = relu = 0
    hooks = []

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal conv, norm, relu
        if isinstance(module, nn.Conv2d):
            conv += inputs[0].numel() + output.numel()
        elif isinstance(module, nn.BatchNorm2d):
            norm += output.numel()
        elif isinstance(module, nn.ReLU):
            relu += output.numel()

    for module in model.modules():
        hooks.append(module.register_forward_hook(count))
    outputs = 0
    images = torch.zeros(2, 3, size.image_side, size.image_side, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        model(images).sum().backward()
    for hook in hooks:
        hook.remove()
    outputs = norm  # every convolution of these networks is normalised, before or after
    added = _residual_elements(model, size)
    return {
        "train_flops": counter.get_total_flops() / len(images),
        "eager_bytes": BYTES * (3 * conv + 8 * norm + 5 * relu + 1.5 * added) / len(images),
        "fused_bytes": BYTES * (3 * conv + FUSED_ACCESSES * outputs) / len(images),
    }


def _residual_elements(model: nn.Module, size: Size) -> int:
    """Elements that residual blocks add, of two images: the outputs of the blocks, which hold convolutions directly."""
    total = 0

    def count(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel()

    blocks = [m for m in model.modules() if "Block" in type(m).__name__ or "Bottleneck" in type(m).__name__]
    hooks = [block.register_forward_hook(count) for block in blocks]
    with torch.no_grad():
        model(torch.zeros(2, 3, size.image_side, size.image_side))
    for hook in hooks:
        hook.remove()
    return total


def series_limit(found: dict[str, Any], per_image: dict[str, float], *, fused: bool) -> float:
    """Images per second, at the most."""
    traffic = per_image["fused_bytes" if fused else "eager_bytes"]
    return 1 / (per_image["train_flops"] / found["bf16_flops"] + traffic / found["copy_bytes_per_s"])
