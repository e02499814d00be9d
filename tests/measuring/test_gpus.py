"""What the driver of a host says of its GPUs, in simulated answers of `nvidia-smi -L`."""

import subprocess

import pytest

from tune_mixup.measuring import gpus
from tune_mixup.measuring.gpus import Answer, Gpu, Gpus, gpus_here, remarks

A100 = "NVIDIA A100-SXM4-40GB"
PLAIN = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-11111111-2222-3333-4444-555555555555)\n"
CUT = f"""GPU 0: {A100} (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 1g.5gb      Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 1g.5gb      Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
  MIG 3g.20gb     Device  2: (UUID: MIG-8a6bb92d-8fb2-5f5e-8ef5-2f4a5d1d0a3c)
GPU 1: {A100} (UUID: GPU-12345678-d33d-2b2c-524d-9e3d8d2b8a77)
"""
EQUAL = "".join(line for line in CUT.splitlines(keepends=True) if "3g" not in line and "GPU 1" not in line)
TWO_TYPES = f"GPU 0: {A100} (UUID: GPU-a)\nGPU 1: Tesla T4 (UUID: GPU-b)\nGPU 2: Tesla T4 (UUID: GPU-c)\n"
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.183\n"


def answer(words, code=0):
    return gpus_here(lambda: Answer(code, words))


def test_what_is_listed():
    assert answer(PLAIN) == Gpus(found=(Gpu("NVIDIA H100 80GB HBM3"),))
    assert answer(CUT).found == (Gpu(A100, ("1g.5gb", "1g.5gb", "3g.20gb")), Gpu(A100))
    assert answer(TWO_TYPES).names() == {A100: 1, "Tesla T4": 2}
    assert answer("No devices found.\n") == Gpus()


def missing():
    raise FileNotFoundError("nvidia-smi")


def silent():
    raise subprocess.TimeoutExpired("nvidia-smi", 20)


@pytest.mark.parametrize(
    ("ask", "fault"),
    [
        (lambda: Answer(18, MISMATCH), "nvidia-smi said: Failed to initialize NVML: Driver/library version mismatch"),
        (lambda: Answer(9, "\n"), "nvidia-smi said: code 9"),
        (missing, "there is no nvidia-smi"),
        (silent, "nvidia-smi did not answer in 20 s"),
    ],
)
def test_a_driver_that_fails_is_one_line_that_says_what_is_unknown(ask, fault):
    found = gpus_here(ask)
    assert found == Gpus(fault=fault)
    (line,) = remarks("host n1", found, counted=2, share="auto")
    assert line == (
        f"host n1: its GPUs can't be looked at ({fault}), so their types, and whether they are MIG slices, are "
        "unknown; the sweep goes on"
    )
    (line,) = remarks("host n1", found, counted=0, share=0.5)
    assert line.endswith("Ray counts no GPU there")


def test_the_command_itself(monkeypatch, tmp_path):
    script = tmp_path / "nvidia-smi"
    script.write_text("#!/bin/sh\necho 'GPU 0: Tesla T4 (UUID: GPU-b)'\n")
    script.chmod(0o755)
    monkeypatch.setattr(gpus, "COMMAND", (str(script), "-L"))
    assert gpus_here() == Gpus(found=(Gpu("Tesla T4"),))
    script.write_text("#!/bin/sh\necho 'NVML: Unknown Error' >&2\nexit 255\n")
    assert gpus_here().fault.endswith("said: NVML: Unknown Error")


@pytest.mark.parametrize("share", [0.25, "auto"])
def test_ordinary_hosts_need_no_words(share):
    assert list(remarks("host n1", answer(PLAIN), counted=1, share=share)) == []
    assert list(remarks("host n1", answer(PLAIN * 8), counted=8, share=share)) == []


def test_slices_are_named_with_their_memory_and_ray_counts_them_as_one():
    (line,) = remarks("host n1", answer(CUT), counted=2, share=0.5)
    assert line == (
        f"host n1: GPU 0 ({A100}) is cut into MIG slices, 2 of 1g.5gb (5 GB), 1 of 3g.20gb (20 GB); Ray counts the "
        "whole as one GPU, of which trials see the first slice only; start Ray with CUDA_VISIBLE_DEVICES set to the "
        "slices' UUIDs and --num-gpus 4"
    )


def test_slices_that_ray_counts_one_by_one_are_shared():
    (line,) = remarks("host n1", answer(EQUAL), counted=2, share=0.5)
    assert line.endswith("2 of 1g.5gb (5 GB); a share of a GPU is a share of one slice")
    (line,) = remarks("host n1", answer(CUT), counted=4, share="auto")
    assert line.endswith("; a share of a GPU is a share of one slice, of the smallest one too")


@pytest.mark.parametrize(
    ("share", "does"),
    [
        ("auto", "auto measures one of them and takes its number for all"),
        (0.25, "0.25 of a GPU is that share of any of them, whatever its memory"),
    ],
)
def test_two_types_on_one_host_are_one_line_that_says_what_is_done(share, does):
    (line,) = remarks("host n1", answer(TWO_TYPES), counted=3, share=share)
    assert line == (
        f"host n1 has 2 types of GPU ({A100}, Tesla T4), which Ray tells apart by node only: {does}; hide all but one "
        "type from Ray by CUDA_VISIBLE_DEVICES, or start a node for each"
    )
    assert list(remarks("host n1", answer(TWO_TYPES), counted=2, share=share)) == [], "the T4s may be all it was shown"
