"""One trial, read from top to bottom: data, model, mixer, epochs, validation, checkpoint. No Ray.

The trainer never asks which mixing method it runs, and no step of an epoch waits for the device: sums stay there and
are read once per epoch.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from tune_mixup.config import TrialConfig
from tune_mixup.data.base import Split
from tune_mixup.data.loading import load_test
from tune_mixup.data.rows import Images
from tune_mixup.metrics import measure
from tune_mixup.models.base import StagedNetwork
from tune_mixup.record.files import storage
from tune_mixup.record.names import named
from tune_mixup.record.trial_folder import Epoch, TrialFolder
from tune_mixup.seeding import generator, global_draws
from tune_mixup.training import checkpoint
from tune_mixup.training.claim import claim, is_state_of, newest_state
from tune_mixup.training.data_facts import DataFacts
from tune_mixup.training.divergence import has_exploded
from tune_mixup.training.fitting import draw_batches, load_fitting
from tune_mixup.training.hand_over import Clock, HandOver
from tune_mixup.training.warm import done_with, step_for

SAVE_SHARE = 100
"""A state is saved once training has gone on for this many times as long as saving took."""


class Trainer:
    """A trial that can be stepped epoch by epoch, stopped at any moment and continued with the same numbers."""

    def __init__(
        self,
        config: TrialConfig,
        *,
        folder: Path | str | None = None,
        device: torch.device | str | None = None,
        share: float = 1.0,
        rungs: Sequence[int] = (),
    ) -> None:
        """Load the data, build the model, and continue from the folder's checkpoint where there is a whole one.

        Without `folder` nothing is written. `device` defaults to the GPU where there is one, of which the trial has
        `share`. `rungs` are the epochs, from 1, after which it may be stopped: with `training.eval` of rungs it
        validates there and at the end. Raises ValueError for what is no TrialConfig, when the settings do not fit the
        data or the device, or when the folder holds another configuration or a trial of other data, and StorageFault
        when the folder can't be read or written. `config` afterwards names the content of the data.
        """
        if not isinstance(config, TrialConfig):
            raise ValueError(_what_it_takes(config))
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.data = load_fitting(config, device=self.device, share=share)
        self.config = config = config.of_data(self.data.fingerprint)
        self.rungs = (*rungs, config.training.epochs)
        first = draw_batches(config, self.data, epoch=0)
        self.step = step_for(config, self.data, self.device, batches=first, user=self)
        self.epoch = 0
        """Finished epochs."""
        self.history: list[Epoch] = []
        self._saved_at = time.monotonic()
        self._saved_epoch = 0
        self._save_s = 0.0
        self._closed = False

        self.folder = TrialFolder(named(folder)) if folder is not None else None
        if self.folder is not None:
            self._claim(self.folder)

    @override
    def __repr__(self) -> str:
        config = self.config
        what = f"{config.mixing.name}, {config.model.name}, {config.data.name}"
        place = f"epoch {self.epoch} of {config.training.epochs}{', diverged' if self.diverged else ''}"
        where = "without a folder" if self.folder is None else f"in {self.folder.path}"
        return f"<Trainer: {what}; {place}; on {self.device}, {where}>"

    @property
    def done(self) -> bool:
        """Whether the trial has reached its budget or diverged."""
        return self.epoch >= self.config.training.epochs or self.diverged

    @property
    def model(self) -> StagedNetwork:
        """The network, with the weights of the last finished step.

        Raises RuntimeError for a closed trial whose step was captured: the step is the next trial's.
        """
        if self._closed and self.step.runner.captures:
            raise RuntimeError("the trial is closed and its step another trial's; load_trained(folder) has the weights")
        return self.step.model

    @property
    def mixer_state(self) -> Mapping[str, Tensor]:
        """The mixer's state; its tensors change as training goes on."""
        return self.step.mixer_state

    @property
    def diverged(self) -> bool:
        """Whether the loss became NaN or infinite, or exploded."""
        return bool(self.history) and self.history[-1]["diverged"] == 1

    def run(self, listener: Callable[[Epoch], object] | None = None) -> list[Epoch]:
        """Train to the end; `listener` hears each epoch's report. Returns all reports, earlier ones included."""
        while not self.done:
            report = self.train_epoch()
            if listener is not None:
                listener(report)
        return self.history

    def train_epoch(self) -> Epoch:
        """Train one epoch, validate, keep what must be kept, and report.

        Keys: epoch, train_loss, train_accuracy (on the mixed batch: each target's weight where it is the top class),
        val_accuracy, val_nll, val_ece and their `_median` over the last epochs (`test_` where nothing is held out), lr
        (of the last step), epoch_s, images_per_s, diverged (0 or 1); after epochs with mixing what the mixer counts. A
        diverged epoch has no metrics, and a loss only where it is finite but has exploded: every value is finite. An
        epoch after which no validation is due has no metrics either.
        """
        self._refuse_closed()
        began = time.perf_counter()
        trained = self._train()
        # The device goes on to validation while the host waits for training alone and prepares the next epoch.
        validation = self.data.validation
        due = self.config.training.is_evaluated(self.epoch + 1, rungs=self.rungs)
        logits = self.step.network.logits(validation.images) if due else None
        loss, accuracy = trained.means()
        made = generator(self.config.seed, "init", epoch=self.epoch + 2)
        mixer_state = self.step.mixer.end_epoch(trained.mixer_state, epoch=self.epoch, generator=made)
        metrics: dict[str, float] = {}
        if logits is not None and math.isfinite(loss):
            metrics = measure(self.config.metrics, logits, validation.targets)
        self.step.set_mixer_state(mixer_state)
        finite = all(math.isfinite(value) for value in (loss, *metrics.values()))
        exploded = bool(metrics) and has_exploded(
            loss, metrics["nll"], loss_function=self.config.loss, num_classes=self.step.network.num_outputs
        )
        diverged = not finite or exploded
        report: Epoch = {"epoch": self.epoch + 1}
        if finite:
            report |= {"train_loss": loss, "train_accuracy": accuracy}
        if not diverged:
            measured = {f"{self.config.data.measured_split}_{name}": value for name, value in metrics.items()}
            report |= measured | {f"{name}_median": self._median(name, value) for name, value in measured.items()}
        report |= {
            "lr": self.step.lr,
            "epoch_s": time.perf_counter() - began,
            "images_per_s": trained.num_images / trained.seconds(),
            "diverged": int(diverged),
        }
        snapshot = self.step.mixer.snapshot(mixer_state)
        if self.step.mixer.mixes_in(self.epoch, epochs=self.config.training.epochs):
            report |= {name: tensor.item() for name, tensor in snapshot.items() if tensor.ndim == 0}
        self.epoch += 1
        self.history.append(report)
        if self.folder is not None:
            self._keep(self.folder, report, snapshot)
        return report

    def close(self) -> None:
        """Let go of the memory that training needs: from then on the trial can't be trained, saved or continued.

        The history stays, and the weights, unless the step was captured: then it is the next trial's.
        """
        if not self._closed:
            self._closed = True
            done_with(self.step, user=self)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise RuntimeError("the trial is closed; make a new Trainer, which continues from its folder")

    def evaluate(self, split: Split[Images]) -> dict[str, float]:
        """Each metric of the configuration over a split, in evaluation mode, without augmentation."""
        if self._closed and self.step.runner.captures:
            self._refuse_closed()
        return measure(self.config.metrics, self.step.network.logits(split.images), split.targets)

    def test(self) -> dict[str, float]:
        """Each metric on the test split. Of a sweep's trials only `evaluate` may ask, which writes it down."""
        return self.evaluate(load_test(self.config.data, device=self.device, share=self.data.share))

    def state_dict(self) -> dict[str, Any]:
        """Model, optimizer, loss scale, mixer state, epoch, history, and what predicting needs of the data.

        Generators are not in it: they derive from the seed and the epoch.
        """
        self._refuse_closed()
        return {
            "identity": self.config.identity(),
            "seed": self.config.seed,
            "epoch": self.epoch,
            "history": self.history,
            "model": self.model.state_dict(),
            "optimizer": self.step.optimizer.state_dict(),
            "scaler": self.step.scaler.state_dict(),
            "mixer": {name: tensor.detach() for name, tensor in self.mixer_state.items()},
            "data": DataFacts.of(self.data).plain(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`. Raises ValueError when it is another configuration's."""
        self._refuse_closed()
        if not is_state_of(self.config, state):
            raise ValueError("the checkpoint belongs to another configuration or seed; give the trial its own folder")
        self.model.load_state_dict(state["model"])
        if "optimizer" in state:
            self.step.load_optimizer(state["optimizer"])
            self.step.scaler.load_state_dict(state["scaler"])
        self.step.set_mixer_state(state["mixer"])
        self.epoch = state["epoch"]
        self.history = list(state["history"])

    def save(self) -> None:
        """Write the checkpoint. A trial that has ended keeps one only, and in it no optimizer, which nobody needs."""
        assert self.folder is not None
        began = time.monotonic()
        state = self.state_dict()
        if self.done:
            state = {key: value for key, value in state.items() if key not in ("optimizer", "scaler")}
        checkpoint.save(state, self.folder.checkpoint)
        if self.done:
            checkpoint.keep_newest(self.folder.checkpoint)
        self._saved_at = time.monotonic()
        self._saved_epoch = self.epoch
        self._save_s = self._saved_at - began

    def save_if_unsaved(self) -> None:
        """Write the checkpoint unless it holds the last finished epoch already."""
        if self._saved_epoch < self.epoch:
            self.save()

    # One epoch

    def _train(self) -> HandOver:
        """One pass over the training split; what comes of it is on its way to the host."""
        config, step = self.config, self.step
        batches = draw_batches(config, self.data, self.epoch)
        places = [self.epoch + number / len(batches) for number in range(len(batches))]
        factors = [config.schedule.lr_factor(place, config.training.epochs) for place in places]
        with step.running(), global_draws(config.seed, "dropout", self.epoch, self.device):
            clock = Clock(self.device)
            step.begin_epoch(self.epoch, batches, [config.optimizer.lr * factor for factor in factors])
            step.all(len(batches), place=f"epoch {self.epoch + 1}/{config.training.epochs}")
            step.network.counts.add(len(batches))
            return HandOver(step, clock, num_images=batches.numel())

    def _median(self, key: str, newest: float) -> float:
        before = self.history[max(0, len(self.history) + 1 - self.config.training.median_epochs) :]
        return statistics.median([*(row[key] for row in before if key in row), newest])

    # The folder

    def _claim(self, folder: TrialFolder) -> None:
        """Continue what the folder holds, or make it this trial's."""
        with storage(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
        folder.tidy()
        claim(folder, self.config)
        state, notes = newest_state(folder, self.config)
        if state is not None:
            self.load_state_dict(state)
        self._saved_epoch = self.epoch
        for note in notes:
            folder.note(f"{note}; trained on from epoch {self.epoch}")
        folder.rewrite_epochs(self.history)

    def _keep(self, folder: TrialFolder, report: Epoch, snapshot: Mapping[str, Tensor]) -> None:
        """The checkpoint first: who reads the last epoch's row takes the trial to have ended, with its weights kept.

        An epoch that was reported but not saved is trained again, with the same numbers; one that was saved but not
        reported is told by whoever goes on.

        Between the first and the last epoch a state is saved only when training has gone on for `SAVE_SHARE` times as
        long as saving took: 1 % of the time, and with the first and the last one hardly ever 2 %.
        """
        arrays = {name: tensor.numpy() for name, tensor in snapshot.items() if tensor.ndim}
        if arrays:
            folder.write_snapshot(self.epoch, arrays)
        if self.done or time.monotonic() - self._saved_at >= SAVE_SHARE * self._save_s:
            self.save()
        folder.append_epoch(report)


def _what_it_takes(given: object) -> str:
    got = repr(given) if isinstance(given, str | Path) else type(given).__name__
    return (
        f"Trainer: got {got}, must be a TrialConfig; TrialConfig.from_dotted makes one of a dict of settings, "
        "and tune_mixup.load_trained(folder) loads a trained model"
    )
