"""What a checkpoint keeps of the data, so that a trained model predicts where the data is not.

Shapes: N images, C channels, H x W pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from tune_mixup.data.base import Split
from tune_mixup.data.loading import TrainingData

_DTYPES = {"uint8": torch.uint8, "float16": torch.float16, "int16": torch.int16}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True, eq=False)
class DataFacts:
    """What all images of the data have in common, the statistics that they were normalised by, and the classes."""

    mean: Tensor
    """float32 [C, 1, 1] on the 0..1 scale, on the CPU."""
    std: Tensor
    """float32 [C, 1, 1] on the 0..1 scale, on the CPU."""
    size: tuple[int, int]
    """(H, W) in pixels."""
    class_names: tuple[str, ...]
    dtype: torch.dtype = torch.uint8
    """Of the images; float16 for spectrograms, int16 for waveforms."""

    @classmethod
    def of(cls, data: TrainingData) -> Self:
        """The facts of data that is loaded."""
        return cls(data.mean.cpu(), data.std.cpu(), data.size, data.class_names, data.train.images.dtype)

    def plain(self) -> dict[str, Any]:
        """As it stands in a checkpoint: tensors, lists and texts."""
        return {
            "mean": self.mean,
            "std": self.std,
            "size": [*self.size],
            "class_names": [*self.class_names],
            "dtype": _NAMES[self.dtype],
        }

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """What `plain` has made."""
        height, width = values["size"]
        dtype = _DTYPES[values.get("dtype", "uint8")]  # which came later than the first checkpoints
        return cls(values["mean"], values["std"], (height, width), tuple(values["class_names"]), dtype)

    def without_images(self, device: torch.device) -> TrainingData:
        """Data of this kind that holds no image: enough to build a network and to feed it."""
        none = Split(
            torch.empty(0, len(self.mean), *self.size, dtype=self.dtype, device=device),
            torch.empty(0, dtype=torch.int64, device=device),
        )
        return TrainingData(none, none, self.mean.to(device), self.std.to(device), self.class_names)

    def check(self, images: Tensor) -> None:
        """Raises ValueError unless `images` [N, C, H, W] have the C, H and W of the data, and its type.

        For spectrograms and waveforms, any floating-point numbers do.
        """
        pixels = self.dtype == torch.uint8
        kind = "uint8" if pixels else "floating-point" if self.dtype.is_floating_point else "int16 or floating-point"
        expected = f"[N, {len(self.mean)}, {self.size[0]}, {self.size[1]}]"
        if not isinstance(images, Tensor):
            raise ValueError(
                f"images: got {type(images).__name__}, must be a torch.Tensor of {kind} {expected}; "
                "torch.from_numpy makes one of an array"
            )
        right = images.dtype == self.dtype or (not pixels and images.is_floating_point())
        if not right or images.dim() != 4 or images.shape[1:] != (len(self.mean), *self.size):
            got = f"{str(images.dtype).removeprefix('torch.')} {[*images.shape]}"
            raise ValueError(
                f"images: got {got}, must be {kind} {expected}: N images of the channels and pixels that the model was "
                f"trained on, {'each value 0 to 255' if pixels else 'as the data set makes them'}, not normalised"
            )
