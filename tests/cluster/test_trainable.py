"""The trainable in this process, without Ray: what its last report says."""

import json
import os

import pytest
import torch

from tune_mixup.cluster.messages import from_ray
from tune_mixup.cluster.trainable import MixupTrainable
from tune_mixup.config import TrialConfig
from tune_mixup.measuring.device import LOGICAL_GPUS
from tune_mixup.record.facts import Assignment
from tune_mixup.training import trainer

CONFIG = TrialConfig.from_dotted(
    {
        "data.name": "synthetic",
        "data.num_train": 100,
        "data.num_test": 8,
        "data.size": 8,
        "model.width": 2,
        "training.batch_size": 20,
    }
)
NO_HANDLE = "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"


@pytest.fixture
def ended(tmp_path):
    """How a trial with a share of a GPU ends at its first step."""

    def ending(gpus):
        assignment = Assignment(
            number=0, config=json.dumps(CONFIG.plain()), folder=str(tmp_path / "t0000"), gpus=gpus, threads=1,
            stopping=str(tmp_path / "stopping"), rungs=(),
        )  # fmt: skip
        trial = MixupTrainable(config=assignment.plain())
        try:
            return from_ray(trial.step()).ending
        finally:
            trial.cleanup()

    return ending


def test_a_share_of_a_gpu_without_cuda_is_a_failure_that_names_the_host(ended, monkeypatch):
    monkeypatch.delenv(LOGICAL_GPUS, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("socket.gethostname", lambda: "node7")
    ending = ended(0.25)
    assert ending.kind == "failed"
    assert ending.why.startswith("ValueError: gpus_per_trial: got 0.25 of a GPU on host node7, but CUDA is not")
    assert ended(0) is None, "on the CPU it trains"


@pytest.mark.parametrize(("gpus", "share"), [(0.25, 0.25), (0, 1.0)])
def test_the_images_are_loaded_for_the_trials_share_of_the_gpu(gpus, share, ended, monkeypatch):
    seen = []
    monkeypatch.setenv(LOGICAL_GPUS, "1")
    monkeypatch.setattr(trainer, "load_fitting", lambda config, *, device, share: seen.append(share) or 1 / 0)
    assert ended(gpus).why.startswith("ZeroDivisionError") and seen == [share]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "out_of_memory"),
        (torch.AcceleratorError("CUDA error: out of memory\nmore"), "out_of_memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "out_of_memory"),
        (RuntimeError(NO_HANDLE), "failed"),
        (MemoryError("the host's"), "failed"),
    ],
)
def test_what_counts_as_out_of_memory(ended, monkeypatch, error, kind):
    def begin(self):
        self.folder.path.mkdir(exist_ok=True)
        raise error

    monkeypatch.setattr(MixupTrainable, "_begin", begin)
    ending = ended(0)
    assert ending.kind == kind and ending.why == f"{type(error).__name__}: {str(error).splitlines()[0]}"


def test_a_lost_context_ends_the_process(ended, monkeypatch):
    def begin(self):
        self.folder.path.mkdir(exist_ok=True)
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    class Ended(BaseException):
        pass

    def end(code):
        raise Ended(code)

    monkeypatch.setattr(MixupTrainable, "_begin", begin)
    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(Ended):
        ended(0)


@pytest.mark.parametrize("lost", [True, False])
def test_a_process_ends_only_where_its_context_is_lost(ended, monkeypatch, lost):
    """A step that could not be captured leaves the GPU as it was; its fault is the trial's, and said."""

    class Gone(BaseException):
        pass

    def synchronize():
        if lost:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    def leave(code):
        raise Gone

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    monkeypatch.setattr(os, "_exit", leave)
    words = "CUDA error: operation not permitted when stream is capturing"

    def failing(self):
        self.folder.path.mkdir(exist_ok=True)
        raise torch.AcceleratorError(words)

    monkeypatch.setattr(MixupTrainable, "_epoch", failing)
    if lost:
        with pytest.raises(Gone):
            ended(0)
    else:
        ending = ended(0)
        assert ending.kind == "failed" and words in ending.why


def test_weights_of_an_epoch_that_failed_are_not_saved(tmp_path, monkeypatch):
    assignment = Assignment(
        number=0, config=json.dumps(CONFIG.plain()), folder=str(tmp_path / "t0000"), gpus=0, threads=1,
        stopping=str(tmp_path / "stopping"), rungs=(),
    )  # fmt: skip
    trial = MixupTrainable(config=assignment.plain())
    begun, first = from_ray(trial.step()), from_ray(trial.step())
    assert (begun.row, begun.ending) == (None, None) and first.row["epoch"] == 1
    saved = trial.folder.checkpoint.read_bytes()
    trainer = trial.trainer
    trainer._saved_epoch = 0  # as if the last finished epoch were not saved yet

    def failing():
        next(trainer.model.parameters()).data += 1
        (tmp_path / "stopping").touch()
        raise ValueError("in the middle of an epoch")

    monkeypatch.setattr(trainer, "train_epoch", failing)
    assert from_ray(trial.step()).ending.kind == "failed"
    assert trial.folder.checkpoint.read_bytes() == saved
