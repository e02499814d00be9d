"""The configuration of a trial: composes what the parts declare; strict, frozen, keyed by dots."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from typing_extensions import override

from tune_mixup.data import AnyDataset
from tune_mixup.data.base import Shape
from tune_mixup.data.digits import Digits
from tune_mixup.importing import import_paths, importable
from tune_mixup.loss import AnyLoss, CrossEntropy
from tune_mixup.metrics import Metric, read_paths, with_outside
from tune_mixup.mixing import AnyMixer
from tune_mixup.mixing.erm import Erm
from tune_mixup.models import AnyModel
from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.optimizer import AnyOptimizer, Sgd
from tune_mixup.parts import FOR_IDENTITY, with_default_names
from tune_mixup.schedule import AnySchedule, Cosine
from tune_mixup.schema import Schema, flatten, nest


class Training(Schema):
    """The loop: how long, how large, how exact."""

    epochs: int = Field(default=10, ge=1, le=1_000_000)
    """Passes over the training split: the full budget of a trial and the horizon of its schedule."""
    batch_size: int = Field(default=100, ge=1)
    """Examples per step."""
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the forward and backward pass; weights and statistics stay fp32. tf32 multiplies with 10 bits of
    mantissa where the GPU can, as the two below do for what they leave in fp32; fp16 scales the loss."""
    compile: Literal["none", "model", "step", "graph", "model+graph"] = "none"
    """What is compiled. `model`: the network, and `step`: all up to the loss, by torch.compile, which takes up to a
    minute per worker; `graph`: the whole step with backward pass and update as one CUDA graph, which takes seconds;
    `model+graph`: such a graph of a step whose network is compiled."""
    channels_last: bool = False
    """Memory layout of images and weights; faster convolutions on GPUs with bf16 or fp16."""
    deterministic: bool = True
    """Bit-for-bit repeatable cuDNN kernels; False lets cuDNN pick the fastest. No effect on CPUs."""
    eval: Literal["epochs", "rungs"] = "epochs"
    """When to validate: after every epoch, or only for the epochs that a rung's and the last value are taken from."""
    eval_batch_size: int = Field(default=1000, ge=1)
    """Examples per forward pass when validating."""
    median_epochs: int = Field(default=5, ge=1)
    """Epochs at the end of the run so far over which the `_median` metrics are taken."""
    metrics: Annotated[tuple[str, ...], BeforeValidator(read_paths)] = ()
    """Metrics of your own, measured beside the others and reported as `val_` with their name: import paths such as
    my_package.my_module:TOP5, in a list or separated by spaces."""

    @field_validator("metrics")
    @classmethod
    def _metrics_can_be_imported(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        with_outside(metrics)
        return metrics

    @model_validator(mode="after")
    def _captured_in_one_precision(self) -> Self:
        if self.compile in ("graph", "model+graph") and self.precision == "fp16":
            raise ValueError(
                f"compile is {self.compile} and precision fp16, whose loss scale the host adjusts; use bf16"
            )
        return self

    def is_evaluated(self, epoch: int, *, rungs: Sequence[int]) -> bool:
        """Whether some value is taken from `epoch`, from 1: one of a rung, the last one, or one of their medians."""
        return self.eval == "epochs" or any(rung - self.median_epochs < epoch <= rung for rung in rungs)


class TrialConfig(Schema):
    """Everything a trial depends on; the same config gives the same numbers."""

    seed: int = Field(default=0, ge=0)
    """Base of every random stream: split, init, batches, augment, mix."""
    data: AnyDataset = Digits()
    model: AnyModel = TinyResNet()
    mixing: AnyMixer = Erm()
    loss: AnyLoss = CrossEntropy()
    optimizer: AnyOptimizer = Sgd()
    schedule: AnySchedule = Cosine()
    training: Training = Training()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.mixing.needs_fixed_batches and self.data.batches != "fixed":
            raise ValueError(
                f"data.batches: got {self.data.batches!r}, but mixing.name={self.mixing.name} goes by the place in the "
                "batch and needs 'fixed'; set data.batches=fixed or draw partners another way (variant=intended)"
            )
        if self.mixing.needs_stratified_batches and self.data.batches == "shuffled":
            raise ValueError(
                f"data.batches: got {self.data.batches!r}, but mixing.name={self.mixing.name} pairs classes within a "
                "batch and needs 'stratified'; set data.batches=stratified or draw partners another way "
                "(pairing=sequential, pairing=independent)"
            )
        if self.mixing.min_stages > self.model.num_stages:
            raise ValueError(
                f"mixing: mixing.name={self.mixing.name} mixes features after stage {self.mixing.min_stages}, but "
                f"model.name={self.model.name} has {self.model.num_stages} stages; mix earlier or take a deeper model"
            )
        if self.data.mixes_waveforms and not self.mixing.weighs_examples:
            raise ValueError(
                f"data.mix_on: got 'waveforms', but mixing.name={self.mixing.name} mixes parts of pictures; set "
                "data.mix_on=spectrograms, or take a method that weighs whole examples, such as mixup"
            )
        self.schedule.check(self.training.epochs)
        self.mixing.check_epochs(self.training.epochs)
        shape = self.data.seen_shape()
        if shape is not None:
            self.check_shape(shape)
        return self

    def check_shape(self, shape: Shape) -> None:
        """Raise ValueError for more classes than the model has outputs, and for images that something can't take."""
        outputs = self.model.outputs(shape.num_classes)
        if self.mixing.needs_stratified_batches and outputs != shape.num_classes:
            raise ValueError(
                f"model.num_classes: got {outputs}, but the data has {shape.num_classes} classes and "
                f"{self.mixing.name} pairs every class within a batch; leave model.num_classes empty"
            )
        self.model.check_size(shape.height, shape.width)
        self.mixing.check_data(height=shape.height, width=shape.width, num_classes=shape.num_classes)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """What is measured of each evaluated split: name -> metric, ours first."""
        return with_outside(self.training.metrics)

    @classmethod
    @override
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Build from nested plain values, or with objects for sections; without a `name` it is the default component.

        So `optimizer.lr=0.1` is enough. Raises ValueError with one line that names each bad key with dots.
        """
        return super().parse(with_default_names(cls, values))

    @classmethod
    def from_dotted(cls, *layers: Mapping[str, Any]) -> Self:
        """Parse dotted settings; a later layer wins. Raises ValueError naming each bad key."""
        merged: dict[str, Any] = {}
        for layer in layers:
            merged.update(flatten(layer))
        return cls.parse(nest(merged))

    def of_data(self, fingerprint: str | None) -> Self:
        """The same for data of this content, known by its fingerprint; None: for whatever data are there."""
        if fingerprint == self.data.fingerprint:
            return self
        return self.model_copy(update={"data": self.data.model_copy(update={"fingerprint": fingerprint})})

    def plain(self) -> dict[str, Any]:
        """Nested plain values, as written to YAML and accepted by `parse`, here and in other processes.

        Raises ValueError for a part whose class only this process knows.
        """
        values = self.model_dump(mode="json")
        for key, path in import_paths(values).items():
            try:
                importable(path)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        return values

    def identity(self) -> str:
        """Hash of the setting, with the content of the data where that is known, without seed and paths.

        Settings that train identically share it.
        """
        simplest = self.model_copy(
            update={"data": self.data.simplest(), "mixing": self.mixing.simplest(), "loss": self.loss.canonical()}
        )
        beside = nest(dict.fromkeys(self.data.beside_identity, True))
        values = simplest.model_dump(mode="json", exclude={"seed": True, "data": beside}, context=FOR_IDENTITY)
        if not self.training.metrics:  # which came later than the first identities
            del values["training"]["metrics"]
        if self.data.fingerprint is None:  # likewise
            del values["data"]["fingerprint"]
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
