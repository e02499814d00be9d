"""What is made of numbers that a GPU gave: shares, ranks, rows."""

import pytest

from benchmarks.gpu import TINY, ladder, marked, mps
from benchmarks.gpu.kernels import Kernel, idle_share, longest


def test_the_device_is_idle_where_no_kernel_runs():
    """Busy from 10 to 14, with one kernel inside another, and from 18 to 20, of the ten microseconds from 10 to 20."""
    kernels = [Kernel("c", 18, 20), Kernel("a", 10, 13), Kernel("b", 11, 12), Kernel("a", 12, 14)]
    assert idle_share(kernels) == pytest.approx(0.4)
    assert idle_share([Kernel("a", 5, 6), Kernel("b", 6, 8)]) == 0


def test_the_longest_are_ranked_by_all_their_calls():
    kernels = [Kernel("gemm", 0, 6), Kernel("add", 6, 7), *(Kernel("norm", at, at + 4) for at in (10, 20))]
    assert longest(kernels) == [
        {"name": "norm", "calls": 2, "us": 8, "share": pytest.approx(8 / 15)},
        {"name": "gemm", "calls": 1, "us": 6, "share": pytest.approx(6 / 15)},
        {"name": "add", "calls": 1, "us": 1, "share": pytest.approx(1 / 15)},
    ]
    assert len(longest([Kernel(str(number), number, number + 1) for number in range(50)])) == 30


def rung(name, rate):
    return {"net": "resnet18, batch 128", "rung": name, "images_per_s": rate, "min": rate - 1, "max": rate + 1}


def test_a_rung_is_told_by_its_share_of_the_series_limit_and_against_plain_mixup():
    own = [rung("graph", 50_000.0), rung("model+graph", 60_000.0)]
    found = {
        "ceilings": [{"nets": {"resnet18, batch 128": {"limits": {"eager": 80_000.0, "fused": 1e9}}}}],
        "plain mixup": [{"net": "resnet18, batch 128", "images_per_s": 10_000.0}],
    }
    rows = {row["measurement"]: (row["value"], row["target"], row["met"]) for row in ladder.rows(own, found)}
    assert rows == {
        "resnet18, batch 128: graph, share of the series limit": (62.5, None, None),
        "resnet18, batch 128: model+graph, share of the series limit": (75.0, ">= 60 %", True),
        "resnet18, batch 128: graph, against the published loop of plain mixup": (5.0, None, None),
        "resnet18, batch 128: model+graph, against the published loop of plain mixup": (6.0, None, None),
    }


def test_a_target_that_could_not_be_measured_is_a_row_that_says_so(monkeypatch):
    (row,) = ladder.rows([rung("model+graph", 60_000.0)], {})
    assert (row["ours"], row["value"], row["met"], row["note"]) == (
        60_000,
        None,
        False,
        "The ceilings were not measured.",
    )
    monkeypatch.setattr(ladder, "MODES", ("none", "graph"))  # of another version
    own = list(ladder.results(TINY, net="resnet18, batch 128", rungs=["model+graph"]))
    (row,) = ladder.rows(own, {})
    assert (row["ours"], row["met"], row["note"]) == (None, False, "training.compile has no model+graph here")


@pytest.mark.parametrize(
    ("summary", "code", "failed"),
    [
        ("14 passed, 2 warnings in 9.1s", 0, 0),
        ("2 failed, 12 passed, 1 error in 9.1s", 1, 3),
        ("3 errors in 1.2s", 2, 3),
        ("no tests ran in 0.1s", 5, 1),
        ("", 1, 1),
    ],
)
def test_what_pytest_said_last(summary, code, failed):
    assert marked.failures(summary, code) == failed


DAEMON = """#!/bin/sh
if [ "$1" = -d ]; then [ -d "$CUDA_MPS_PIPE_DIRECTORY" ] && [ -d "$CUDA_MPS_LOG_DIRECTORY" ] || exit 3
else read asked; fi
echo "${1:-$asked}" >> "$NOTES"
"""


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    """A control program that notes what it is asked; returns the notes so far."""
    program, notes = tmp_path / mps.DAEMON, tmp_path / "notes"
    program.write_text(DAEMON)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("NOTES", str(notes))
    return lambda: notes.read_text().split()


def test_the_daemon_ends_with_its_block_whatever_happens(daemon, monkeypatch):
    with pytest.raises(KeyError), mps.running() as environment:
        assert daemon() == ["-d"]
        assert environment["CUDA_MPS_PIPE_DIRECTORY"] != environment["CUDA_MPS_LOG_DIRECTORY"]
        raise KeyError
    assert daemon() == ["-d", "quit"]


def test_without_a_daemon_the_reason_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="no daemon: .*nvidia-cuda-mps-control"), mps.running():
        pass
    program = tmp_path / mps.DAEMON
    program.write_text("#!/bin/sh\necho 'cannot create pipe' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(RuntimeError, match="no daemon: cannot create pipe"), mps.running():
        pass
