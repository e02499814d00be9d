"""One training step on the device: gather, augment, mix, forward, backward, update. Nothing of it waits for the host.

How the step is run is `training.compile`: as it stands, through torch.compile, or as one captured CUDA graph. All of
them are the same body over tensors that stay in their places.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from tune_mixup.config import TrialConfig
from tune_mixup.data.augment import augment_batch, normalise, prepare
from tune_mixup.data.base import TrainingData
from tune_mixup.mixing.traced import fill, trace
from tune_mixup.models.base import StagedNetwork
from tune_mixup.seeding import Stream, generator, global_draws, reseed
from tune_mixup.training import graph

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
STREAMS: tuple[Stream, ...] = ("augment", "mix")


class Step:
    """Model, optimizer, mixer and their states, and what they do with a batch of indices int64 [B]."""

    def __init__(self, config: TrialConfig, data: TrainingData, device: torch.device) -> None:
        """Build everything on `device` and, for `compile: graph`, capture it. `take` then makes it a trial's."""
        self.config = config
        self.data = data
        self.device = device
        mode = config.training.compile
        self.captured = is_captured(config)
        self.layout = torch.channels_last if config.training.channels_last else torch.contiguous_format
        self.prepared = prepare(data.train.images, config.data.augment)
        self.num_classes = config.model.outputs(data.num_classes)
        self.model = new_model(config, data, device)
        self.forward: nn.Module = self.model
        if mode == "model":
            self.forward = cast(nn.Module, torch.compile(self.model))
        self._lr = torch.tensor(config.optimizer.lr, device=device)
        self._weight_decay = torch.tensor(config.optimizer.weight_decay, device=device)
        if self.captured:
            self.optimizer = config.optimizer.build_captured(
                self.model.parameters(), lr=self._lr, weight_decay=self._weight_decay
            )
        else:
            self.optimizer = config.optimizer.build(self.model.parameters())
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.training.precision == "fp16")
        self.mixer = config.mixing.canonical()  # settings of one identity train alike, to the bit
        self._mixer = trace(self.mixer, device) if mode in ("step", "graph") else self.mixer
        self.mixer_state: dict[str, Tensor] = {}
        self.lr = config.optimizer.lr
        """The learning rate of the last step."""
        self._generators = {stream: torch.Generator(device) for stream in STREAMS}
        self._index = torch.zeros(config.training.batch_size, dtype=torch.int64, device=device)
        self._one_hot = torch.eye(self.num_classes, device=device)
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)
        """The epoch's sums over steps of the loss and of the accuracy on mixed targets."""
        self._epoch = 0
        self._draw, self._mix = self._next_inputs, self._mixer.step
        if mode == "step":  # in two, for autocast's end would be compiled with a loss that has a past
            self._draw, self._mix = torch.compile(self._next_inputs), torch.compile(self._mixer.step)
        self._run = self._body
        if self.captured:
            self.set_mixer_state(self._first_state(config))
            self.model.train()
            with self.kernels():
                self._run = graph.capture(self._body, self._generators.values())

    def take(self, config: TrialConfig) -> None:
        """Begin the trial `config`, equal in structure to the one that this was built for, from its first weights."""
        self.config = config
        if self.captured:  # otherwise it has been built for this very trial
            self.model.load_state_dict(new_model(config, self.data, self.device).state_dict())
            for kept in self.optimizer.state.values():
                for tensor in kept.values():
                    tensor.zero_()
            self._weight_decay.fill_(config.optimizer.weight_decay)
            self.mixer = config.mixing.canonical()
            fill(self._mixer, self.mixer)
        self.set_mixer_state(self._first_state(config))

    def begin_epoch(self, epoch: int) -> None:
        """Seed the draws of an epoch (from 0) and begin its sums."""
        self.model.train()
        self._epoch = epoch
        for stream, made in self._generators.items():
            reseed(made, self.config.seed, stream, epoch)
        self.sums.zero_()

    def set_rate(self, lr: float) -> None:
        """The learning rate of the steps from here on."""
        self.lr = lr
        if self.captured:
            self._lr.fill_(lr)
            return
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def __call__(self, index: Tensor) -> None:
        """Train on the images `index` int64 [B] of the training split."""
        self._index.copy_(index)
        self._run()

    def set_mixer_state(self, state: Mapping[str, Tensor]) -> None:
        """Copy a state into the tensors that hold it; a graph knows no others."""
        for name, tensor in state.items():
            held = self.mixer_state.get(name)
            if held is None:
                self.mixer_state[name] = tensor.to(self.device, copy=True)
            elif held is not tensor:
                held.copy_(tensor)

    def load_optimizer(self, saved: dict[str, Any]) -> None:
        """Copy a saved optimizer state into the tensors that hold it."""
        held = {parameter: dict(tensors) for parameter, tensors in self.optimizer.state.items()}
        self.optimizer.load_state_dict(saved)
        for parameter, tensors in held.items():
            for name, tensor in tensors.items():
                tensor.copy_(self.optimizer.state[parameter][name])
                self.optimizer.state[parameter][name] = tensor
        if self.captured:
            for group in self.optimizer.param_groups:
                group["lr"] = self._lr

    def inputs(self, images: Tensor) -> Tensor:
        """Images uint8 [B, C, H, W] as the network takes them: normalised float32, in the layout asked for."""
        return normalise(images, self.data.mean, self.data.std).contiguous(memory_format=self.layout)

    def autocast(self) -> torch.autocast:
        """The precision of a forward pass."""
        dtype = DTYPES[self.config.training.precision]
        # A graph must not read weights that were cast before it was captured.
        return torch.autocast(
            self.device.type, dtype=dtype, enabled=dtype != torch.float32, cache_enabled=not self.captured
        )

    @contextlib.contextmanager
    def kernels(self) -> Iterator[None]:
        """Inside, cuDNN takes repeatable or the fastest kernels, and TF32 where fp32 is not asked for."""
        training = self.config.training
        tf32 = training.precision != "fp32"
        before = torch.get_float32_matmul_precision()
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high" if tf32 else "highest")
        try:
            with torch.backends.cudnn.flags(
                enabled=True,
                deterministic=training.deterministic,
                benchmark=not training.deterministic,
                allow_tf32=tf32,
            ):
                yield
        finally:
            torch.set_float32_matmul_precision(before)

    # The body

    def _body(self) -> None:
        inputs = self._draw()
        with self.autocast():
            loss, logits, soft_targets, state = self._mix(
                self.forward,
                inputs,
                self._one_hot[self.data.train.targets[self._index]],
                self.mixer_state,
                epoch=self._epoch,
                generator=self._generators["mix"],
                loss=self.config.loss,
            )
        self.set_mixer_state(state)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self.scaler.scale(loss))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        top = logits.detach().argmax(1, keepdim=True)
        self.sums.add_(torch.stack([loss.detach().double(), soft_targets.gather(1, top).double().mean()]))

    def _next_inputs(self) -> Tensor:
        """The batch, cropped and flipped anew, as the network takes it: float32 [B, C, H, W]."""
        images = augment_batch(
            self.prepared,
            self._index,
            size=self.data.size,
            augment=self.config.data.augment,
            generator=self._generators["augment"],
        )
        return self.inputs(images)

    def _first_state(self, config: TrialConfig) -> Mapping[str, Tensor]:
        return self.mixer.init(self.num_classes, device=self.device, generator=generator(config.seed, "init", epoch=1))


def is_captured(config: TrialConfig) -> bool:
    """Whether the trial's step becomes a CUDA graph."""
    return config.training.compile == "graph" and config.mixing.canonical().capturable


def new_model(config: TrialConfig, data: TrainingData, device: torch.device) -> StagedNetwork:
    """The network with its first weights, on `device`, in the layout that is asked for."""
    with global_draws(config.seed, "init", 0, device):  # no layer knows another generator
        model = config.model.build(channels=data.channels, num_classes=config.model.outputs(data.num_classes))
    layout = torch.channels_last if config.training.channels_last else torch.contiguous_format
    return model.to(device).to(memory_format=layout)
