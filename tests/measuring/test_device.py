"""Where a worker trains, with made-up answers of torch."""

import socket

import pytest
import torch

from tune_mixup.measuring.device import LOGICAL_GPUS, device_for


@pytest.fixture(autouse=True)
def not_a_test(monkeypatch):
    """As outside of tests, where nobody has set the variable."""
    monkeypatch.delenv(LOGICAL_GPUS, raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def cuda(monkeypatch):
    def available(answer):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: answer)

    return available


@pytest.mark.parametrize(("gpus", "device"), [(0, "cpu"), (0.25, "cuda"), (1.0, "cuda")])
def test_a_share_of_a_gpu_is_trained_there(cuda, gpus, device):
    cuda(True)
    assert device_for(gpus) == torch.device(device)


@pytest.mark.parametrize("logical", ["", "0", "yes"])
def test_without_cuda_a_share_is_refused_with_the_host(cuda, monkeypatch, logical):
    cuda(False)
    monkeypatch.setattr(socket, "gethostname", lambda: "node7")
    monkeypatch.setenv(LOGICAL_GPUS, logical)
    with pytest.raises(ValueError, match="^gpus_per_trial: got 0.25 of a GPU on host node7, but CUDA is not") as caught:
        device_for(0.25)
    assert "\n" not in str(caught.value) and "--gpus-per-trial 0" in str(caught.value)
    assert device_for(0) == torch.device("cpu")


@pytest.mark.parametrize(
    ("built_for", "visible", "words"),
    [
        (None, "0", "its torch is built without CUDA"),
        ("13.0", None, "torch finds no driver or no GPU"),
        ("13.0", "3", "none of CUDA_VISIBLE_DEVICES=3"),
        ("13.0", "", "none of CUDA_VISIBLE_DEVICES=nothing"),
    ],
)
def test_it_says_why(cuda, monkeypatch, built_for, visible, words):
    cuda(False)
    monkeypatch.setattr(torch.version, "cuda", built_for)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(ValueError, match=words):
        device_for(1)


def test_tests_may_count_gpus_that_are_not_there(cuda, monkeypatch):
    cuda(False)
    monkeypatch.setenv(LOGICAL_GPUS, "1")
    assert device_for(0.25) == torch.device("cpu")
