"""The one place where a Ray trial meets training: Ray calls, `Trainer` does."""

import traceback
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from ray import tune

from tune_mixup.config import TrialConfig
from tune_mixup.training.trainer import Trainer, set_threads
from tune_mixup.trial_folder import TrialFolder

LOCK_TIMEOUT_S = 60.0
"""How long a trial waits for a worker that outlived its driver to let go of the trial's folder."""


class MixupTrainable(tune.Trainable):
    """One trial; one `step` is one epoch. Its checkpoints are its own: the trial's folder holds them, not Ray.

    An exception is a result, `failed`, and not an error for Ray, which would run the same fault again; only a worker
    that dies is started again, and then goes on from the folder's checkpoint.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Make the trainer; `config` holds the trial's number, folder, threads, device and plain configuration."""
        self.trainer: Trainer | None = None
        self.failure: str | None = None
        self.reported = 0
        folder = Path(config["folder"])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.lock = FileLock(folder / "lock")
            self.lock.acquire(timeout=LOCK_TIMEOUT_S)
            set_threads(config["threads"])
            device = "cuda" if config["gpu"] and torch.cuda.is_available() else "cpu"
            self.trainer = Trainer(TrialConfig.parse(config["config"]), folder=folder, device=device)
        except Exception as error:
            self._note(folder, error)

    def step(self) -> dict[str, Any]:
        """Train one epoch, or report the last one of a trial that had already ended."""
        report: dict[str, Any] = {"epoch": 0}
        if self.trainer is not None and self.failure is None:
            trainer = self.trainer
            try:
                report = dict(trainer.history[-1] if trainer.done else trainer.train_epoch())
                report["done"] = trainer.done
            except Exception as error:
                self._note(Path(self.config["folder"]), error)
        if self.failure is not None:
            report |= {"failed": self.failure, "done": True}
        return report

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take on another trial in the same process: no new imports, no new CUDA context, the data stays loaded."""
        self.cleanup()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Let go of the model and of the trial's folder."""
        self.trainer = None
        self.lock.release()

    def _note(self, folder: Path, error: Exception) -> None:
        self.failure = f"{type(error).__name__}: {error}".splitlines()[0]
        TrialFolder(folder).write_error(traceback.format_exc())
