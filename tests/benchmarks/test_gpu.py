"""The half-hour on a GPU, rehearsed on the CPU at tiny sizes: it must not fail for the first time on a lent GPU."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from benchmarks.baselines.search_task import Finish
from benchmarks.gpu import FULL, TINY, faults, half_hour, methods, prediction, sweep
from benchmarks.gpu.half_hour import folded
from benchmarks.gpu.limits import counts, series_limit
from benchmarks.gpu.part import run
from benchmarks.gpu.parts import PARTS, Part
from benchmarks.gpu.worker import workers
from tune_mixup.measuring.packing import Load
from tune_mixup.mixing import MIXERS

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def lean(tmp_path_factory):
    """What the parts of the first command find on a machine with nothing beside torch and the lean wheels."""
    command = [sys.executable, "-W", "error", str(HERE / "lean_machine.py"), str(tmp_path_factory.mktemp("lean") / "j")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def tried(tmp_path):
    """Runs parts of a cell here, and folds what they found."""

    def found(cell, *names):
        for name in names:
            run(cell, name, tmp_path / "journal", TINY)
        return folded({name: PARTS[cell][name] for name in names}, tmp_path / "journal")

    return found


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
def test_the_first_command_needs_no_more_than_the_lean_wheels(lean):
    assert "sklearn" in lean["refused"], "hypothesis and scikit-learn are here, and torch asks for some of these"
    modules = {PARTS["gpu_lean"][name].module for name in lean["parts"]}
    assert modules == {part.module for part in PARTS["gpu_lean"].values()}
    checks = {part.arguments["check"] for part in PARTS["gpu_lean"].values() if part.module == "checks"}
    assert checks == {PARTS["gpu_lean"][name].arguments.get("check") for name in lean["parts"]} - {None}


@pytest.mark.slow
def test_the_first_command_measures_what_it_promises(lean):
    found = lean["found"]
    assert found["failed"] == {} and found["dropped"] == {}
    measured = found["measured"]
    assert all(measured["ceilings"][0][key] > 0 for key in ("copy_bytes_per_s", "bf16_flops"))
    assert measured["fp32"][0]["images_per_s"] > 0 and measured["fp32"][0]["min"] > 0
    kernels = measured["kernels"][0]
    assert 0 <= kernels["idle"] < 1 and 0 < len(kernels["longest"]) <= 30
    rows = {row["measurement"]: row for row in found["rows"]}
    against = rows["resnet18, batch 128: fp32, against the published loop of plain mixup"]
    assert against["value"] == pytest.approx(
        measured["fp32"][0]["images_per_s"] / measured["plain mixup"][0]["images_per_s"]
    )
    share = rows["resnet18, batch 128: fp32, share of the series limit"]
    limit = measured["ceilings"][0]["nets"]["resnet18, batch 128"]["limits"]["eager"]
    assert share["value"] == pytest.approx(100 * measured["fp32"][0]["images_per_s"] / limit)
    assert rows["resnet18, batch 128: model+graph, share of the series limit"]["target"] == ">= 60 %"


def test_methods_stand_beside_mixup(tried):
    """A rehearsal of three: two that ask or follow the network, and the one that they stand beside."""
    assert list(PARTS["gpu_methods"]) == ["mixup", *(name for name in MIXERS if name != "mixup")]
    found = tried("gpu_methods", "mixup", "attentivemix", "automix")
    assert found["failed"] == {}
    rates = {name: found["measured"][name][0]["images_per_s"] for name in ("mixup", "attentivemix", "automix")}
    assert {name: found["measured"][name][0]["method"] for name in rates} == {name: name for name in rates}
    assert [row["measurement"] for row in found["rows"]] == [
        f"resnet18, batch 128: a step with {name} against mixup's" for name in ("attentivemix", "automix")
    ]
    for row, name in zip(found["rows"], ("attentivemix", "automix"), strict=True):
        assert (row["ours"], row["other"]) == (rates[name], rates["mixup"])
        assert row["value"] == pytest.approx(rates["mixup"] / rates[name])
        assert row["note"] == "Eager steps."


def test_a_method_is_measured_also_where_mixup_was_not():
    one = {"net": "a net", "method": "samix", "captured": True, "images_per_s": 50.0, "peak_bytes": 3 * 2**20}
    (row,) = methods.rows([one], {})
    assert (row["ours"], row["value"]) == (50.0, None)
    assert row["note"] == "A graph. Most memory of tensors: 3 MiB. mixup was not measured."
    plain = {**one, "method": "mixup", "images_per_s": 100.0, "peak_bytes": 2**20}
    (row,) = methods.rows([plain, one], {})
    assert row["value"] == 2.0 and "3 MiB, mixup's 1." in row["note"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:There is a performance drop")  # of the fused group, on the CPU only
def test_the_second_command_shares(tried, monkeypatch):
    """Two trials as processes, as streams and fused; the probe's device is a made-up one that serves two at once."""
    monkeypatch.setattr(prediction, "together", lambda watch, copies: Load(0.001, 1, 100))
    monkeypatch.setenv("PATH", str(HERE))  # where no daemon is
    names = ("resnet18, processes", "resnet18, streams", "small, fused", "resnet18, MPS", "resnet18, prediction")
    found = tried("gpu_sharing", *names)
    assert found["failed"] == {}
    trials = Counter((one["way"], one.get("trials")) for name in names[:4] for one in found["measured"][name])
    assert trials == {**{(way, k): 1 for way in ("processes", "streams", "fused") for k in (1, 2)}, ("MPS", None): 1}
    assert "no daemon: " in found["measured"]["resnet18, MPS"][0]["why"]
    rows = {row["measurement"]: row for row in found["rows"]}
    alone, both = (one["images_per_s"] for one in found["measured"]["resnet18, processes"])
    assert rows["resnet18, batch 128: 2 at a time, processes, against one trial alone"]["value"] == both / alone
    chosen = rows["resnet18, batch 128: what auto chose, of the best"]
    assert (chosen["ours"], chosen["value"]) == (both, 100 * both / max(alone, both))
    assert "expected 40,000 images/s" in chosen["note"]  # two trials of 20 images in a thousandth of a second


def test_generalized_mixup_by_the_published_loop_is_a_row_without_a_ratio(tried):
    with torch.random.fork_rng(devices=[]):  # which the published loop seeds
        (row,) = tried("gpu_sharing", "generalized mixup")["rows"]
    assert row["value"] > 0 and row["other"] is None and "for each sample" in row["note"]


def test_a_worker_that_dies_is_said_at_once():
    with pytest.raises(RuntimeError, match="a worker died with exit code 1"), workers(1, "no such net", os.environ):
        pass


def test_a_trial_counts_when_it_was_stopped_at_a_rung_or_reached_the_end():
    task = sweep.task(TINY).first(1)
    nine = type(task)(space=task.space, max_epochs=9)  # rungs after epochs 1 and 3
    finished = [Finish(at_s, epochs, accuracy, 1.0) for at_s, epochs, accuracy in
                [(110.0, 1, 0.3), (120.0, 2, 0.9), (130.0, 3, 0.5), (150.0, 9, 0.6), (160.0, 8, 0.8)]]  # fmt: skip
    found = sweep.counted(finished, nine, began=100.0, ended=172.0)
    assert found["finished_or_stopped"] == 3 and found["epochs"] == 13 and found["best_accuracy"] == 0.6
    assert found["per_hour"] == pytest.approx(150)  # 3 in 72 s
    assert found["per_hour_once_running"] == pytest.approx(180)  # 2 in the 40 s after the first


def test_ours_is_against_each_way_of_plain_ray_tune_and_the_target_is_with_actors_reused():
    one = {"per_hour_once_running": 1.0, "best_accuracy": None, "finished_or_stopped": 1}
    own = [{"contender": name, "per_hour": rate, **one} for name, rate in
           [("ours", 60.0), (sweep.REUSED, 12.0), ("plain Ray Tune", 6.0)]]  # fmt: skip
    reused, plain = sweep.rows(own, {})
    assert (reused["value"], reused["target"], reused["met"]) == (5.0, ">= 6x", False)
    assert (plain["value"], plain["target"]) == (10.0, None)
    assert sweep.rows(own[1:], {}) == [], "without ours there is nothing to compare"


@pytest.mark.parametrize(
    ("states", "killed", "wrong"),
    [
        ({0: "COMPLETE", 1: "COMPLETE", 2: "FAIL", 3: "COMPLETE"}, True, [0, 0, 0]),
        ({0: "COMPLETE", 1: "FAIL", 2: "FAIL", 3: "COMPLETE"}, True, [1, 1, 0]),
        ({0: "COMPLETE", 1: "COMPLETE", 2: "COMPLETE", 3: "RUNNING"}, False, [1, 1, 1]),
    ],
)
def test_what_should_have_come_of_four_trials(states, killed, wrong):
    reasons = {2: "OutOfMemoryError: CUDA out of memory"}
    found = list(faults.verdicts(states, {**dict.fromkeys(states, ""), **reasons}, killed=killed, too_large=True))
    assert [one["value"] for one in found] == wrong


def test_who_holds_a_file_is_found(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    assert faults.holder(path) is None
    code = "import sys; file = open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(path)], **pipes) as process:
        process.stdout.readline()
        assert faults.holder(path) == process.pid
        process.stdin.close()


@pytest.mark.slow
def test_the_third_command_survives_its_faults_and_sweeps(tmp_path):
    """In real processes, each with a Ray of its own, beside a part that fails because there is none.

    Plain Ray Tune is rehearsed by test_contenders.py.
    """
    names = ("faults", "ours")
    parts = {name: PARTS["gpu_sweep"][name] for name in names} | {"no such part": Part("none", "faults", 1, worth=9)}
    assert list(half_hour.run("gpu_sweep", parts, tmp_path / "journal", limit_s=900.0)) == list(parts)
    found = folded(parts, tmp_path / "journal")
    assert found["failed"] == {"no such part": "exit code 1: KeyError: 'no such part'"}
    assert set(found["measured"]["faults"][-1]["states"].values()) == {"COMPLETE"}
    assert all(found["measured"][name][0]["finished_or_stopped"] == TINY.sweep_trials for name in names[1:])
    assert [row["measurement"] for row in found["rows"]] == [
        "trials lost beside a fault",
        "a trial that is killed goes on from its checkpoint",
        "none",
    ]
