"""The one place where a Ray trial meets training: Ray calls, `Trainer` does."""

import contextlib
import errno
import gc
import json
import os
import traceback
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from ray import tune

from tune_mixup.config import TrialConfig
from tune_mixup.record.files import StorageFault, storage
from tune_mixup.record.trial_folder import TrialFolder
from tune_mixup.training.threads import set_threads
from tune_mixup.training.trainer import Trainer
from tune_mixup.training.warm import forget

LOCK_TIMEOUT_S = 60.0
"""How long a trial waits for a worker that outlived its driver to let go of the trial's folder."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""A disk that is full, wherever it is, stops the sweep: it would fail every trial in turn."""


class LockedOut(Exception):
    """Another process holds the trial's folder."""


class MixupTrainable(tune.Trainable):
    """One trial; one `step` is one epoch. Its checkpoints are its own: the trial's folder holds them, not Ray.

    An exception is a result, and not an error for Ray, which would run the same fault again. What a trial ended by is a
    key of its last report: `failed` (the trial's own fault), `out_of_memory`, `storage_fault`, `locked_out` (another
    process holds its folder) or `interrupted` (the sweep is being stopped). Only a worker that dies is an error.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Take on a trial: number, folder, threads, rungs, share of a GPU, configuration as JSON.

        Work begins with `step`, so that whatever may hang, hangs where the sweep looks for it.
        """
        self.trainer: Trainer | None = None
        self.folder = TrialFolder(Path(config["folder"]))
        self.lock = FileLock(self.folder.path / "lock")

    def step(self) -> dict[str, Any]:
        """Train one epoch, or report the last one of a trial that had already ended."""
        try:
            report = self._epoch()
        except StorageFault as fault:
            report = self._ended("storage_fault", [fault.errno, fault.strerror, fault.filename])
        except LockedOut:
            report = self._ended("locked_out", f"another process held its folder for {LOCK_TIMEOUT_S:g} s")
        except torch.OutOfMemoryError as error:
            report = self._ended("out_of_memory", _first_line(error))
        except Exception as error:
            report = self._fail(error)
        if report["done"]:
            self.cleanup()
        if "out_of_memory" in report:  # not before: until here the exception's frames held the tensors
            forget()
            gc.collect()
            torch.cuda.empty_cache()
        return report

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take on another trial in the same process: no new imports, no new CUDA context, the data stays loaded."""
        self.cleanup()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Let go of the model and of the trial's folder; when the sweep is being stopped, save the trial first."""
        if self.trainer is not None and Path(self.config["stopping"]).exists():
            with contextlib.suppress(StorageFault):  # then the epochs since the last checkpoint are trained again
                self.trainer.save_if_unsaved()
        self.trainer = None
        self.lock.release()

    def _epoch(self) -> dict[str, Any]:
        stopping = Path(self.config["stopping"])
        if self.trainer is None:
            if stopping.exists():
                return self._ended("interrupted", True)
            self.trainer = self._begin()
        trainer = self.trainer
        report: dict[str, Any] = dict(trainer.history[-1] if trainer.done else trainer.train_epoch())
        if not trainer.done and stopping.exists():
            trainer.save_if_unsaved()
            report |= self._ended("interrupted", True)
        return {"done": trainer.done, **report}

    def _begin(self) -> Trainer:
        with storage(self.folder.path):
            self.folder.path.mkdir(exist_ok=True)
            try:
                self.lock.acquire(timeout=LOCK_TIMEOUT_S)
            except Timeout:
                raise LockedOut from None
        set_threads(self.config["threads"])
        device = "cuda" if self.config["gpus"] and torch.cuda.is_available() else "cpu"
        config = TrialConfig.parse(json.loads(self.config["config"]))
        return Trainer(config, folder=self.folder.path, device=device, rungs=self.config["rungs"])

    def _ended(self, key: str, value: object) -> dict[str, Any]:
        return {"epoch": self.trainer.epoch if self.trainer is not None else 0, "done": True, key: value}

    def _fail(self, error: Exception) -> dict[str, Any]:
        if isinstance(error, OSError) and error.errno in FULL:
            return self._ended("storage_fault", [error.errno, error.strerror, error.filename or "a disk"])
        try:
            self.folder.write_error(traceback.format_exc())
        except StorageFault as fault:
            return self._ended("storage_fault", [fault.errno, fault.strerror, fault.filename])
        if isinstance(error, torch.AcceleratorError):
            os._exit(1)  # the GPU context is lost: the next trial needs a new process, and so does this one
        return self._ended("failed", _first_line(error))


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
