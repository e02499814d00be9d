"""What a trial's training costs on this machine, in this process, part by part, and what the machine could do at best.

Times are wall seconds; the device is waited for before each look at the clock.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tune_mixup.config import TrialConfig
from tune_mixup.data.augment import augment_batch, prepare
from tune_mixup.data.base import Split
from tune_mixup.data.loading import TrainingData
from tune_mixup.measuring.shortening import few_batches
from tune_mixup.mixing.base import InputMixer
from tune_mixup.seeding import generator, global_draws
from tune_mixup.training import checkpoint
from tune_mixup.training.fitting import draw_batches, load_fitting
from tune_mixup.training.network import DTYPES, new_model
from tune_mixup.training.trainer import Trainer

FOREVER = 100_000
"""Epochs of a trial that is only timed: it never comes to its end, nor to a validation."""
SAVES = 3
"""Checkpoints that are written to time one."""


class Ceilings(NamedTuple):
    """The most that was seen of the device."""

    flops: float
    """Floating-point operations per second of a large matrix product or convolution in the trial's precision."""
    copy_bytes: float
    """Bytes read and written per second by a large copy."""


class Parts(NamedTuple):
    """What a step and an epoch are made of; names that end in `_s` are seconds."""

    network_s: float
    """Forward pass, loss, backward pass and update on a batch that is ready, without graph or whole-step compiling."""
    loop_s: float
    """A step of the whole training loop: the time of an epoch over its steps."""
    loop_overhead: float
    """loop_s over network_s, less 1: the median of turns."""
    input_s: float
    """Gathering, cropping, flipping and normalising a batch."""
    mixing_s: float
    """Mixing a batch; for methods that mix features, what their forward pass takes longer."""
    flops_per_image: float
    """Floating-point operations in matrix products and convolutions, forward and backward."""
    evaluation_s: float
    """Validating on the whole split."""
    end_epoch_s: float
    """Updating the mixer's state between two epochs."""
    save_s: float
    """Writing a checkpoint into the folder for temporary files."""


def ceilings(device: torch.device, precision: str) -> Ceilings:
    """Measured in about three seconds with as many threads as the process has."""
    fast = device.type == "cuda"
    side, channels, batch, numbers = (8192, 256, 256, 2**28) if fast else (1024, 128, 16, 2**26)
    dtype, draws = DTYPES[precision], torch.Generator(device)

    def made(*shape: int) -> Tensor:
        return torch.rand(shape, device=device, generator=draws).to(dtype)

    left, right = made(side, side), made(side, side)
    images, weight = made(batch, channels, 32, 32), made(channels, channels, 3, 3)
    last = images.to(memory_format=torch.channels_last), weight.to(memory_format=torch.channels_last)
    convolution_flops = 2 * 9 * images.numel() * channels
    products: list[tuple[int, Callable[[], object]]] = [
        (2 * side**3, lambda: left @ right),
        (convolution_flops, lambda: F.conv2d(images, weight, padding=1)),
        (convolution_flops, lambda: F.conv2d(*last, padding=1)),
    ]
    exact = precision == "fp32"
    before = torch.get_float32_matmul_precision()
    if fast:
        torch.set_float32_matmul_precision("highest" if exact else "high")
    try:
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=not exact):
            flops = max(count / min(timed(product, device, seconds=0.7)) for count, product in products)
    finally:
        torch.set_float32_matmul_precision(before)
    source = torch.rand(numbers, device=device, generator=draws)
    target = source.clone()  # its pages are there before the clock runs
    copy_s = min(timed(lambda: target.copy_(source), device, seconds=0.5))
    return Ceilings(flops, 2 * source.numel() * source.element_size() / copy_s)


class Bench:
    """A trial that is trained for a while to see how fast it is; what it learns is thrown away."""

    def __init__(self, config: TrialConfig, *, device: torch.device, steps: int) -> None:
        """Its epochs are of about `steps` steps. Raises ValueError as a trial would."""
        self.config = config
        self.device = device
        whole = load_fitting(config, device=device)
        self.num_train = draw_batches(config, whole, epoch=0).numel()
        self.validation = whole.validation
        self.trainer = Trainer(shortened(config, steps, whole), device=device)

    def train(self, seconds: float) -> float:
        """Images per second of the whole training loop, over epochs for as long as `seconds` or one epoch."""
        images = train_s = 0.0
        count = draw_batches(self.config, self.trainer.data, epoch=0).numel()
        while train_s < seconds or not images:
            train_s += count / self.trainer.train_epoch()["images_per_s"]
            images += count
        return images / train_s

    def parts(self, seconds: float) -> Parts:
        """Medians; what belongs to a step is measured in turns for about `seconds`."""
        config, trainer, device = self.config, self.trainer, self.device
        batches = draw_batches(config, trainer.data, epoch=0)
        steps, batch = len(batches), batches[0]
        prepared = prepare(trainer.data.train.images[:], config.data.augment).to(device)
        draws = generator(config.seed, "augment", device=device)

        def gather() -> Tensor:
            images = augment_batch(
                prepared,
                batch,
                size=trainer.data.size,
                augment=config.data.augment,
                generator=draws,
                boxes=config.data.crop,
            )
            return trainer.step.network.inputs(images)

        inputs = gather()
        targets = torch.eye(trainer.step.network.num_outputs, device=device)[trainer.data.train.targets[batch]]
        model = new_model(config, trainer.data, device)
        optimizer = config.optimizer.build(model.parameters())

        def network() -> None:
            with trainer.step.network.autocast():
                loss = config.loss(model(inputs), targets)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()

        def network_steps() -> None:
            model.train()
            for _ in range(steps):
                network()

        mixing = self._mixing(model, inputs, targets)
        with trainer.step.network.running(), global_draws(config.seed, "dropout", 0, device):
            counter = FlopCounterMode(display=False)
            with counter:
                network()
            took = in_turns([network_steps, trainer.train_epoch, gather, *mixing], device, seconds)
        networks, loops, gathers, *mixes = took
        mixing_s = [median(times) for times in mixes]
        return Parts(
            network_s=median(networks) / steps,
            loop_s=median(loops) / steps,
            loop_overhead=median(loop / alone for loop, alone in zip(loops, networks, strict=True)) - 1,
            input_s=median(gathers),
            mixing_s=max(0.0, mixing_s[0] - sum(mixing_s[1:])),
            flops_per_image=counter.get_total_flops() / len(batch),
            evaluation_s=self._evaluation_s(),
            end_epoch_s=self._end_epoch_s(),
            save_s=self._save_s(),
        )

    def _mixing(self, model: torch.nn.Module, inputs: Tensor, targets: Tensor) -> list[Callable[[], object]]:
        """What is timed for mixing, and what is taken off: nothing where the mixed batch can be had by itself."""
        mixer, loss, autocast = self.config.mixing.simplest(), self.config.loss, self.trainer.step.network.autocast
        state = self.trainer.mixer_state
        draws = generator(self.config.seed, "mix", device=self.device)

        def mixed_batch() -> object:
            assert isinstance(mixer, InputMixer)
            mixed = mixer.mix(inputs, targets, state, epoch=0, generator=draws)
            return mixer.observe(state, mixed, targets, mixed.soft_targets)

        def mixed_pass() -> object:
            with autocast():
                return mixer.step(model, inputs, targets, state, epoch=0, generator=draws, loss=loss)

        def plain_pass() -> object:
            with autocast():
                return loss(model(inputs), targets)

        return [mixed_batch] if isinstance(mixer, InputMixer) else [mixed_pass, plain_pass]

    def _evaluation_s(self) -> float:
        images, targets = self.validation
        size = min(len(images), self.config.training.eval_batch_size)
        part = Split(images[:size], targets[:size])
        took_s = timed(lambda: self.trainer.evaluate(part), self.device, seconds=0.2)
        return median(took_s) * len(images) / size

    def _end_epoch_s(self) -> float:
        mixer, state = self.config.mixing.simplest(), self.trainer.mixer_state
        made = generator(self.config.seed, "init", epoch=2)
        return median(timed(lambda: mixer.end_epoch(state, epoch=0, generator=made), self.device, seconds=0.05))

    def _save_s(self) -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "checkpoint.pt"
            took_s = []
            for _ in range(SAVES):
                began = time.perf_counter()
                checkpoint.save(self.trainer.state_dict(), path)
                took_s.append(time.perf_counter() - began)
        return median(took_s)


def shortened(config: TrialConfig, steps: int, whole: TrainingData) -> TrialConfig:
    """The trial with epochs of about `steps` steps, of as many as the data has where those are fewer, without end."""
    training = config.training.replace(epochs=max(FOREVER, config.training.epochs), eval="rungs")
    return few_batches(config.replace(training=training), whole, num_batches=steps)


def in_turns(what: list[Callable[[], object]], device: torch.device, seconds: float) -> list[list[float]]:
    """The seconds that each takes, in turns for about `seconds`, at least twice each after a first time.

    Where the first time has taken all the `seconds`, it has to do.
    """
    took = [[_once(one, device)] for one in what]
    if sum(first for (first,) in took) >= seconds > 0:
        return took
    for times in took:
        times.clear()
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or len(took[-1]) < 2:
        for one, times in zip(what, took, strict=True):
            times.append(_once(one, device))
    return took


def timed(what: Callable[[], object], device: torch.device, *, seconds: float) -> list[float]:
    """The seconds of each run of `what`, as in `in_turns`."""
    (took,) = in_turns([what], device, seconds)
    return took


def _once(what: Callable[[], object], device: torch.device) -> float:
    _wait_for(device)
    began = time.perf_counter()
    what()
    _wait_for(device)
    return time.perf_counter() - began


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
