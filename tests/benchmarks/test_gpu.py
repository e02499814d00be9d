"""The GPU set, rehearsed on the CPU at tiny sizes: it must not fail for the first time on a lent GPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import FULL, TINY
from benchmarks.gpu.correctness import fused_difference
from benchmarks.gpu.limits import counts, series_limit
from benchmarks.real_data import data_root

CELLS = ("correctness", "ladder", "sweep", "sharing")


def test_fused_members_train_as_alone():
    assert fused_difference(TINY) < 1e-10


@pytest.mark.parametrize(
    ("net", "gflop", "fused_mb"),
    [
        ("resnet18, batch 128", 3.33, 17.5),
        ("tiny_resnet, batch 128", 0.075, 2.5),
        ("wide_resnet 28-10, batch 128", 31.5, 67.7),
    ],
)
def test_operations_are_those_of_the_published_counts(net, gflop, fused_mb):
    found = counts(FULL, net)
    assert found["train_flops"] / 1e9 == pytest.approx(gflop, rel=0.01)
    assert found["fused_bytes"] / 1e6 == pytest.approx(fused_mb, rel=0.01)
    assert found["eager_bytes"] > found["fused_bytes"]


def test_the_series_limit_adds_arithmetic_and_traffic():
    per_image = {"train_flops": 4e9, "eager_bytes": 2e7, "fused_bytes": 1e7}
    ceilings = {"bf16_flops": 8e14, "copy_bytes_per_s": 2e12}
    assert series_limit(ceilings, per_image, fused=False) == pytest.approx(1 / (5e-6 + 1e-5))
    assert series_limit(ceilings, per_image, fused=True) == pytest.approx(1 / (5e-6 + 5e-6))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU it is no rehearsal, and takes half an hour")
def test_every_cell_runs_at_tiny_sizes(tmp_path):
    try:
        data_root()
    except ValueError as error:
        pytest.skip(str(error))
    command = [sys.executable, "-m", "benchmarks", "run", "--gpu", "--minutes", "9", "--to", str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    written = {name: json.loads((tmp_path / f"gpu_{name}.json").read_text())["results"] for name in CELLS}
    assert all(found["rehearsal"] and found["rows"] for found in written.values())
    assert all(written["ladder"]["ceilings"][key] > 0 for key in ("copy_bytes_per_s", "bf16_flops"))
    results = {name: found["measured"] for name, found in written.items()}
    assert all(row["difference"] < 1e-4 for row in results["correctness"])
    assert {row["rung"] for row in results["ladder"]} >= {"published loop", "data on the device, fp32", "bf16"}
    assert [(row["trials"], row["way"]) for row in results["sharing"]] == [
        (trials, way) for trials in (1, 2) for way in ("processes", "streams", "fused")
    ]
    assert all(row["images_per_s"] > 0 for row in (*results["ladder"], *results["sharing"]))
    assert [row["contender"] for row in results["sweep"]] == ["ours", "plain Ray Tune"]
    assert all(row["finished_or_stopped"] == TINY.sweep_trials for row in results["sweep"])
