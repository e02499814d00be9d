"""One training step on the device: gather, augment, mix, forward, backward, update. Nothing of it waits for the host.

How the step is run is `training.compile` (`runners.py`); all ways have the same body over tensors that stay in their
places. An epoch's batches and learning rates are given once; a counter on the device says which come next.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Generator, Tensor, nn

from tune_mixup.activity import doing
from tune_mixup.config import TrialConfig
from tune_mixup.data.augment import Augment, augment_batch
from tune_mixup.data.crops import Crop
from tune_mixup.data.loading import TrainingData
from tune_mixup.mixing.base import State, StepOutput
from tune_mixup.mixing.first_state import first_state
from tune_mixup.models.residual import THIN, thin_projections
from tune_mixup.parts import structure
from tune_mixup.seeding import Stream, generator, reseed
from tune_mixup.training.feed import feed_for
from tune_mixup.training.network import Network, new_model
from tune_mixup.training.runners import RUNNERS, UNCAPTURED, WARM_UP_STEPS, Runner

STREAMS: tuple[Stream, ...] = ("augment", "mix")


class Step:
    """A network, an optimizer, a mixer and their states, and what they do with a batch of the training split."""

    def __init__(self, config: TrialConfig, data: TrainingData, device: torch.device, *, batches: Tensor) -> None:
        """Build everything on `device` and, for a graph, capture it. `take` then makes it a trial's.

        `batches` int64 [num_batches, B] are an epoch's, of the number and the size that all epochs have.
        """
        self.config = config
        self.data = data
        self.device = device
        self.runner = runner_for(config)
        self.network = Network(config, data, device)
        self.model = self.network.model
        _refuse_unsafe_kernels(config, self.model, device)
        self.mixer = config.mixing.simplest()  # settings of one identity train alike, to the bit
        self.mixer_state: dict[str, Tensor] = {}
        self.set_mixer_state(self._first_state())
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)
        """The epoch's sums over steps of the loss and of the accuracy on mixed targets."""
        self.num_steps = 0
        """Steps of the running epoch so far."""
        self.lr = config.optimizer.lr
        """The learning rate of the last step."""
        self._epoch = 0
        # An epoch may be shorter than the warm-up before a capture, whose batches and rates do not matter.
        laid_out = max(len(batches), WARM_UP_STEPS)
        self._batches = batches.new_zeros(laid_out, batches.shape[1])
        self._rates: Sequence[float] = []
        self._place = torch.zeros(1, dtype=torch.int64, device=device)
        self._one_hot = torch.eye(self.network.num_outputs, device=device)
        self._generators = {stream: Generator(device) for stream in STREAMS}
        self._feed = feed_for(data, config.data.augment, device, batch_size=batches.shape[1])
        # Only where the host has no say in a step are its numbers tensors: torch's kernels take them both ways.
        self._rate_tensors = torch.zeros(laid_out, device=device)
        self._lr = torch.tensor(config.optimizer.lr, device=device)
        self._weight_decay = torch.tensor(config.optimizer.weight_decay, device=device)
        trained = list(chain(self.model.parameters(), self._mixer_parameters()))
        if self.runner.captures:
            self.optimizer = config.optimizer.build_captured(trained, lr=self._lr, weight_decay=self._weight_decay)
        else:
            self.optimizer = config.optimizer.build(trained)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.training.precision == "fp16")
        self._forward = self.runner.network(self.model)
        if self.runner.captures and self.network.counts.needed:
            raise ValueError(
                f"training.compile={config.training.compile}: {config.model.name} has a batch norm with momentum=None, "
                "which reads its count on the host in every step; give it a momentum, or use compile=none"
            )
        self._draw = self.runner.part(draw_inputs)
        self._mix = self.runner.part(self.mixer.take_step)
        self._leave = self.runner.part(self.mixer.plain_step)
        self._mixes = True
        """Whether the running epoch is trained with mixing."""
        if self.runner.captures:
            self.model.train()
            with self.network.running():
                self.runner.prepare(self._body, self._generators.values())
                if self.mixer.has_unmixed_epochs:
                    self._place.zero_()  # the batches that are laid out are those of one warm-up
                    self.runner.prepare(self._plain_body, self._generators.values())

    def fits(self, config: TrialConfig, data: TrainingData, device: torch.device) -> bool:
        """Whether `take` can make this the step of such a trial."""
        return self.data is data and self.device == device and _structure(self.config) == _structure(config)

    def take(self, config: TrialConfig) -> None:
        """Begin the trial `config`, equal in structure to the one that this was built for, from its first weights."""
        self.config = self.network.config = config
        if self.runner.captures:  # otherwise it has been built for this very trial
            self.model.load_state_dict(new_model(config, self.data, self.device).state_dict())
            for kept in self.optimizer.state.values():
                for tensor in kept.values():
                    tensor.zero_()
            self._weight_decay.fill_(config.optimizer.weight_decay)
            self.mixer = config.mixing.simplest()
            self.set_mixer_state(self._first_state())

    def close(self) -> None:
        """Let go of the memory that only training needs; the model can still be asked."""
        self.runner.close()
        self._feed.close()
        self.optimizer.state.clear()
        self.optimizer.zero_grad(set_to_none=True)
        self.mixer_state.clear()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Around an epoch: the process's settings, and the stream of the device on which all of it is done."""
        with self.network.running(), self.runner.stream():
            yield

    def begin_epoch(self, epoch: int, batches: Tensor, rates: Sequence[float]) -> None:
        """Lay out an epoch (from 0): its batches int64 [num_batches, B] and the learning rate of each step."""
        self.model.train()
        self._epoch = epoch
        self._mixes = self.mixer.mixes_in(epoch, epochs=self.config.training.epochs)
        for stream, made in self._generators.items():
            reseed(made, self.config.seed, stream, epoch)
        self._batches[: len(batches)].copy_(batches)
        self._feed.begin_epoch(batches)
        self._rates = rates
        if self.runner.captures:
            self._rate_tensors[: len(rates)].copy_(torch.tensor(rates), non_blocking=True)
        self._place.zero_()
        self.sums.zero_()
        self.num_steps = 0

    def __call__(self) -> None:
        """Train on the next batch of the epoch."""
        rate = self._rates[self.num_steps]
        if rate != self.lr and not self.runner.captures:
            for group in self.optimizer.param_groups:
                group["lr"] = rate
        self.lr = rate
        self._feed.advance()
        self.runner.run(self._body if self._mixes else self._plain_body)
        self.num_steps += 1

    def all(self, num_batches: int, *, place: str) -> None:
        """Train on all batches of the epoch, which is at `place`, and tell whoever listens how far it is.

        Where somebody listens, the host waits for the device a few times a second, so that what is told is true.
        """
        with doing("training", place=place, of=num_batches, unit="step") as count:
            for _ in range(num_batches):
                self()
                if count.due():
                    count(self.num_steps, f"loss {self.sums[0].item() / self.num_steps:.3g}")

    @torch.no_grad()
    def set_mixer_state(self, state: Mapping[str, Tensor]) -> None:
        """Copy a state into the tensors that hold it; a graph knows no others."""
        places = {id(tensor): name for name, tensor in self.mixer_state.items()}
        moved = {name: tensor.clone() for name, tensor in state.items() if places.get(id(tensor), name) != name}
        for name, tensor in {**state, **moved}.items():  # what moves to another place may be written over before
            held = self.mixer_state.get(name)
            if held is None:
                self.mixer_state[name] = _held(tensor, self.device)
            elif held is not tensor:
                held.copy_(tensor)

    def load_optimizer(self, saved: dict[str, Any]) -> None:
        """Copy a saved optimizer state into the tensors that hold it."""
        held = {parameter: dict(tensors) for parameter, tensors in self.optimizer.state.items()}
        rates = [(group, group["lr"]) for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(saved)
        for parameter, tensors in held.items():
            loaded = self.optimizer.state[parameter]
            for name, tensor in tensors.items():
                if name in loaded:
                    loaded[name] = tensor.copy_(loaded[name])
                elif self.runner.captures:  # saved before the first update, when it was 0
                    loaded[name] = tensor.zero_()
        for group, rate in zip(self.optimizer.param_groups, [rate for _, rate in rates], strict=True):
            group["lr"] = rate

    # The body

    def _body(self) -> None:
        self._train_on_next(partial(self._mix, epoch=self._epoch, generator=self._generators["mix"]))

    def _plain_body(self) -> None:
        self._train_on_next(self._leave)

    def _train_on_next(self, mix: Callable[..., StepOutput]) -> None:
        index = self._batches.index_select(0, self._place).squeeze(0)
        if self.runner.captures:
            self._lr.copy_(self._rate_tensors.index_select(0, self._place).squeeze(0))
        self._place.add_(1)
        images, rows = self._feed.take(index)
        inputs = self._draw(
            self.network,
            images,
            rows,
            size=self.data.size,
            augment=self.config.data.augment,
            boxes=self.config.data.crop,
            background=self.data.background,
            generator=self._generators["augment"],
        )
        with self.network.autocast(), self.network.weights.rounded():
            loss, logits, soft_targets, state = mix(
                self._forward,
                inputs,
                self._one_hot[self.data.train.targets[index]],
                self.mixer_state,
                loss=self.config.loss,
            )
        self.set_mixer_state(state)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self.scaler.scale(loss))
        self.network.weights.hand_back()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        top = logits.detach().argmax(1, keepdim=True)
        self.sums.add_(torch.stack([loss.detach().double(), soft_targets.gather(1, top).double().mean()]))

    def _first_state(self) -> State:
        made = generator(self.config.seed, "init", epoch=1)
        outputs = self.network.num_outputs
        image = (self.data.channels, *self.data.size)
        return first_state(self.mixer, self.model, outputs, image=image, device=self.device, generator=made)

    def _mixer_parameters(self) -> Iterator[nn.Parameter]:
        return (tensor for tensor in self.mixer_state.values() if isinstance(tensor, nn.Parameter))


def _held(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy on the device; a parameter where the tensor is one of the mixer's that are trained."""
    copy = tensor.detach().to(device, copy=True)
    return nn.Parameter(copy) if tensor.requires_grad else copy


def draw_inputs(
    network: Network,
    images: Tensor,
    index: Tensor,
    *,
    size: tuple[int, int],
    augment: Augment,
    boxes: Crop,
    background: Tensor | None,
    generator: Generator,
) -> Tensor:
    """The images `index` int64 [B] of padded ones, augmented anew, as the network takes them."""
    drawn = augment_batch(images, index, size=size, augment=augment, generator=generator, boxes=boxes)
    return network.inputs(augment.vary(drawn, background=background, generator=generator))


def _refuse_unsafe_kernels(config: TrialConfig, model: nn.Module, device: torch.device) -> None:
    training = config.training
    if device.type != "cpu" or not (training.channels_last or training.compile in ("model", "step")):
        return
    if thin := thin_projections(model):
        setting = "channels_last=true" if training.channels_last else f"compile={training.compile}"
        raise ValueError(
            f"training.{setting}: {config.model.name} has a 1 x 1 convolution with a stride and fewer than {THIN} "
            f"channels ({thin[0]}), in whose backward pass torch's CPU kernels write outside of their memory; "
            "make it tune_mixup.models.residual.ThinProjection, or leave the setting out"
        )


def runner_for(config: TrialConfig) -> Runner:
    """What runs the trial's steps; a method that can't be captured is trained without a graph."""
    mode = config.training.compile
    capturable = config.mixing.simplest().capturable and config.optimizer.capturable
    return RUNNERS[mode if capturable else UNCAPTURED.get(mode, mode)]()


def _structure(config: TrialConfig) -> object:
    """What trials have in common that one captured step can serve."""
    return (
        config.training.replace(epochs=1, eval="epochs", eval_batch_size=1, median_epochs=1, metrics=()),
        structure(config.optimizer),
        structure(config.model),
        structure(config.loss),
        structure(mixer := config.mixing.simplest()),
        mixer.has_unmixed_epochs,
        (config.data.augment, config.data.crop, config.data.batches, config.data.unbalanced),
    )
