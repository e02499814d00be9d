"""The one place where a Ray trial meets training: Ray calls, `Trainer` does."""

import contextlib
import errno
import gc
import json
import os
import platform
from pathlib import Path
from typing import Any

import torch
from ray import tune
from typing_extensions import override

from tune_mixup.cluster.messages import to_ray
from tune_mixup.config import TrialConfig
from tune_mixup.data.base import DataFault
from tune_mixup.locks import Held, Lock
from tune_mixup.measuring.device import device_for
from tune_mixup.out_of_memory import forget_failures, is_out_of_memory
from tune_mixup.record.facts import Assignment, Ending, Report
from tune_mixup.record.files import StorageFault, storage
from tune_mixup.record.trial_folder import TrialFolder
from tune_mixup.training.process import set_threads
from tune_mixup.training.trainer import Trainer
from tune_mixup.training.warm import forget
from tune_mixup.words import first_line, trace

LOCK_TIMEOUT_S = 60.0
"""How long a trial waits for a worker that outlived its driver to let go of the trial's folder."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""A disk that is full, wherever it is, stops the sweep: it would fail every trial in turn."""


class LockedOut(Exception):
    """Another process holds the trial's folder."""


class MixupTrainable(tune.Trainable):
    """One trial; its first `step` begins it, each other is an epoch. Its checkpoints are in its own folder, not Ray's.

    An exception is a result, and not an error for Ray, which would run the same fault again: the last report has an
    `Ending`. Only a worker that dies is an error.
    """

    @override
    def setup(self, config: dict[str, Any]) -> None:
        """Take on a trial, an `Assignment` in its plain form.

        Work begins with `step`, so that whatever may hang, hangs where the sweep looks for it.
        """
        self.assignment = Assignment.parse(config)
        self.trainer: Trainer | None = None
        self.told = 0
        """Epochs that the driver has heard of."""
        self.folder = TrialFolder(Path(self.assignment.folder))
        self.lock = Lock(self.folder.path / "lock", folder=True)
        self.stopping = Path(self.assignment.stopping)
        self.between_epochs = True
        """Whether the weights are those of a finished epoch."""

    @override
    def step(self) -> dict[str, Any]:
        """Begin, and report only that; then train one epoch, or report the last one of a trial that had already ended.

        The first report tells the driver that the start is over: modules, the folder's lock and data took their time.
        """
        begins = self.trainer is None
        self.between_epochs = False
        try:
            ending = self._epoch()
            self.between_epochs = True
        except StorageFault as fault:
            ending = _storage_fault(fault)
        except DataFault as fault:
            ending = Ending(kind="data_fault", why=f"on host {platform.node()}: {first_line(fault)}")
        except LockedOut:
            ending = Ending(kind="locked_out", why=f"another process held its folder for {LOCK_TIMEOUT_S:g} s")
        except Exception as error:
            if is_out_of_memory(error):
                ending = Ending(kind="out_of_memory", why=first_line(error))
            else:
                ending = self._failed(error)
        history = self.trainer.history[: self.told] if self.trainer is not None and not begins else []
        report = Report(row=history[-1] if history else None, ending=ending)
        if ending is not None:
            self.cleanup()
            if ending.kind == "out_of_memory":  # not before: until here the exception's frames held the tensors
                with contextlib.suppress(RuntimeError):  # of an older torch after a capture that has failed
                    forget()
                    gc.collect()
                    torch.cuda.empty_cache()
                forget_failures()
        return to_ray(report)

    @override
    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take on another trial in the same process: no new imports, no new CUDA context, the data stays loaded."""
        self.cleanup()
        self.setup(new_config)
        return True

    @override
    def cleanup(self) -> None:
        """Let go of the model and of the trial's folder; when the sweep is being stopped, save the trial first."""
        if self.trainer is not None and self.between_epochs and self.stopping.exists():
            with contextlib.suppress(StorageFault):  # then the epochs since the last checkpoint are trained again
                self.trainer.save_if_unsaved()
        if self.trainer is not None:
            self.trainer.close()
        self.trainer = None
        self.lock.release()

    def _epoch(self) -> Ending | None:
        """Begin, or train an epoch, if there is one left; what the trial ended by, None while it goes on.

        Epochs that only the trial's folder knows, as after a power cut, are told first, one for each call.
        """
        interrupted = Ending(kind="interrupted")
        if self.trainer is None:
            if self.stopping.exists():
                return interrupted
            self.trainer = self._begin()
            self.told = min(self.assignment.heard, self.trainer.epoch)
            return None
        trainer = self.trainer
        if self.told == trainer.epoch and not trainer.done:
            trainer.train_epoch()
        self.told = min(self.told + 1, trainer.epoch)
        if self.told < trainer.epoch:
            return None
        if trainer.done:
            return Ending(kind="diverged" if trainer.diverged else "completed")
        if self.stopping.exists():
            trainer.save_if_unsaved()
            return interrupted
        return None

    def _begin(self) -> Trainer:
        with storage(self.folder.path):
            self.folder.path.mkdir(exist_ok=True)
            try:
                self.lock.acquire(LOCK_TIMEOUT_S)
            except Held:
                raise LockedOut from None
        assignment = self.assignment
        set_threads(assignment.threads)
        device = device_for(assignment.gpus)
        config = TrialConfig.parse(json.loads(assignment.config))
        share = assignment.gpus or 1.0
        return Trainer(config, folder=self.folder.path, device=device, share=share, rungs=assignment.rungs)

    def _failed(self, error: Exception) -> Ending:
        if isinstance(error, OSError) and error.errno in FULL:
            return _storage_fault(error)
        try:
            self.folder.write_error(trace(error))
        except StorageFault as fault:
            return _storage_fault(fault)
        if isinstance(error, torch.AcceleratorError) and _context_is_lost():
            os._exit(1)  # the GPU context is lost: the next trial needs a new process, and so does this one
        return Ending(kind="failed", why=first_line(error))


def _context_is_lost() -> bool:
    """Whether the GPU does nothing more for this process; a step that could not be captured leaves it as it was."""
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


def _storage_fault(error: OSError) -> Ending:
    file = str(error.filename or "a disk")
    return Ending(kind="storage_fault", why=error.strerror, errno=error.errno, file=file)
