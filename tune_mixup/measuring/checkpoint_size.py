"""How large a trial's checkpoint will be, from what it is made of: nothing is trained, and no GPU is touched."""

import io
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from tune_mixup.config import TrialConfig
from tune_mixup.mixing.first_state import first_state
from tune_mixup.optimizer import AnyOptimizer
from tune_mixup.torch_internals import updated_quietly

EPOCH_BYTES = 250
"""What an epoch's report takes in a checkpoint, about."""
CLASS_BYTES = 64
"""What predicting needs of the data for each class, such as its name, at most."""

FILLING = (Tensor.normal_, Tensor.uniform_, Tensor.bernoulli_, Tensor.random_)
"""What draws a network's first weights, in place."""


def expected_bytes(config: TrialConfig, *, image: tuple[int, int, int], num_classes: int) -> int:
    """About how large the largest state of an unfinished trial is: weights, what the optimizer keeps, the mixer's.

    `image` is C, H and W of the images.
    """
    outputs = config.model.outputs(num_classes)
    with torch.device("meta"), _Unfilled():
        model = config.model.build(channels=image[0], num_classes=outputs)
    mixer = first_state(
        config.mixing.simplest(),
        model,
        outputs,
        image=image,
        device=torch.device("cpu"),
        generator=torch.Generator(),
    )
    trained = (tensor for tensor in mixer.values() if tensor.requires_grad)
    shapes = [parameter.shape for parameter in (*model.parameters(), *trained)]
    kept = kept_by(config.optimizer, shapes)
    parts: list[Mapping[Any, Any]] = [model.state_dict(), *(kept[shape] for shape in shapes), mixer]
    form = {place: {key: _hollow(value) for key, value in part.items()} for place, part in enumerate(parts)}
    values = sum(_bytes(value) for part in parts for value in part.values())
    return _saved_bytes(form) + values + EPOCH_BYTES * config.training.epochs + CLASS_BYTES * num_classes


class _Unfilled(TorchFunctionMode):
    """In the block no tensor is filled with random numbers: on the device `meta` there is nothing to fill.

    Torch would import its compiler for it, which takes two seconds.
    """

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if func in FILLING else func(*args, **(kwargs or {}))


def kept_by(optimizer: AnyOptimizer, shapes: Iterable[torch.Size]) -> dict[torch.Size, dict[str, Any]]:
    """What the optimizer keeps, after an update, of a parameter of each shape: tensors and plain values, by name.

    It is asked, as one of a user's own may keep anything, with zeros for weights and gradients on the CPU, one
    parameter for each shape, whatever the number of layers that have it.
    """
    parameters = {shape: nn.Parameter(torch.zeros(shape)) for shape in shapes}
    for parameter in parameters.values():
        parameter.grad = torch.zeros_like(parameter)
    updated = updated_quietly(lambda: optimizer.build(parameters.values()))
    return {shape: dict(updated.state.get(parameter, {})) for shape, parameter in parameters.items()}


def _bytes(value: object) -> int:
    return value.numel() * value.element_size() if isinstance(value, Tensor) else 0


def _hollow(value: object) -> object:
    """The same shape and type in a file, with a single number for all."""
    return torch.zeros((), dtype=value.dtype).expand(value.shape) if isinstance(value, Tensor) else value


def _saved_bytes(state: object) -> int:
    file = io.BytesIO()
    torch.save(state, file)
    return file.tell()
