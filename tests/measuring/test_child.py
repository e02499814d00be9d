"""The measuring process, in this one, and for real: what it answers, and how it can end."""

import os
import sys
from pathlib import Path

import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.measuring import child
from tune_mixup.measuring.bench import Ceilings
from tune_mixup.measuring.child import Child, answers_to
from tune_mixup.measuring.messages import (
    CeilingsFound,
    EpochSeen,
    Fault,
    FindCeilings,
    FindParts,
    PartsFound,
    Train,
    Trained,
    Watch,
)

CONFIG = TrialConfig.from_dotted({"training.batch_size": 20, "model.width": 2, "data.train_limit": 200})
TRIAL = {"config": CONFIG, "threads": 1}
TRAIN = Train(**TRIAL, steps=2, seconds=0)
WATCH = Watch(**TRIAL, gpu=False)


def test_requests_are_answered_and_trials_stay_warm(monkeypatch):
    monkeypatch.setattr("tune_mixup.measuring.child.ceilings", lambda device, precision: Ceilings(2.0, 3.0))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    warm = {}
    try:
        assert list(answers_to(FindCeilings(**TRIAL), warm)) == [
            CeilingsFound(device="cpu", ceilings=Ceilings(2.0, 3.0))
        ]
        (trained,) = answers_to(TRAIN, warm)
        assert isinstance(trained, Trained) and trained.images_per_s > 0
        (trial,) = warm.values()
        assert trial.trainer.epoch == 1  # the one to warm up
        (trained,) = answers_to(Train(**TRIAL, steps=2, seconds=1e-6), warm)
        assert trained.images_per_s > 0 and trial.trainer.epoch == 2
        (parts,) = answers_to(FindParts(**TRIAL, steps=2, seconds=0), warm)
        assert isinstance(parts, PartsFound) and parts.num_train == 180
        assert list(warm.values()) == [trial]
    finally:
        torch.set_num_threads(threads)


@pytest.mark.slow
def test_a_real_process_measures_fails_and_ends():
    with Child(threads=1) as worker:
        worker.ask(TRAIN)
        found = worker.answer(300)
        assert isinstance(found, Trained) and found.images_per_s > 0
        too_little = CONFIG.replace(data=CONFIG.data.replace(train_limit=1))
        worker.ask(Train(config=too_little, threads=1, steps=2, seconds=0))
        found = worker.answer(300)
        assert isinstance(found, Fault) and not found.out_of_memory and "data.train_limit" in found.words
        assert worker.answer(0) is None
    assert worker.answer(60) is None


@pytest.mark.slow
def test_a_watched_trial_goes_on_until_it_is_stopped():
    with Child(threads=1) as worker:
        worker.ask(WATCH)
        first, second = worker.answer(300), worker.answer(300)
    assert isinstance(first, EpochSeen) and isinstance(second, EpochSeen)
    assert second.began >= first.began + first.load.step_s


def saying(monkeypatch, tmp_path, body):
    """A process whose watched trial does this."""
    (tmp_path / "says.py").write_text(
        "import os, sys, torch\n"
        "from tune_mixup.measuring import child\n"
        "from tune_mixup.measuring.messages import Fault\n"
        f"def epochs_of(request):\n    yield Fault(words='begun')\n    {body}\n"
        "child.epochs_of = epochs_of\n"
        "child.main()\n"
    )
    monkeypatch.setattr(child, "COMMAND", [sys.executable, str(tmp_path / "says.py")])
    return Child(threads=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("raise torch.OutOfMemoryError('CUDA out of memory.')", Fault(words="CUDA out of memory.", out_of_memory=True)),
        ("raise MemoryError", Fault(words="out of memory", out_of_memory=True)),
        ("raise ValueError('data.root: is missing\\nand more')", Fault(words="data.root: is missing")),
        ("raise RuntimeError('broken')", Fault(words="RuntimeError: broken")),
        ("os.kill(os.getpid(), 9)", Fault(words="the host ran out of memory", out_of_memory=True)),
        ("os._exit(3)", Fault(words="its process ended with code 3")),
    ],
)
def test_how_a_request_can_end(monkeypatch, tmp_path, ending, expected):
    with saying(monkeypatch, tmp_path, ending) as worker:
        worker.ask(WATCH)
        assert [worker.answer(300), worker.answer(300)] == [Fault(words="begun"), expected]


@pytest.mark.slow
def test_one_that_has_ended_says_so_each_time(monkeypatch, tmp_path):
    with saying(monkeypatch, tmp_path, "os._exit(3)") as worker:
        worker.ask(WATCH)
        worker.answer(300)
        for _ in range(2):
            assert worker.answer(300) == Fault(words="its process ended with code 3")
            worker.ask(WATCH)


@pytest.mark.slow
def test_what_a_part_prints_is_no_answer_and_its_threads_and_modules_are_there(monkeypatch, tmp_path):
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "part_of_a_user.py").write_text("print('hello')\nNAME = 'mine'\n")
    monkeypatch.syspath_prepend(str(beside))
    body = (
        "import part_of_a_user; os.system('echo hello'); "
        "yield Fault(words=f'{part_of_a_user.NAME} {os.environ[\"STARTED_WITH\"]}')"
    )
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("STARTED_WITH", "ours")
    with saying(monkeypatch, tmp_path, body) as worker:
        worker.ask(WATCH)
        assert [worker.answer(300), worker.answer(300)] == [Fault(words="begun"), Fault(words="mine ours")]
        started_with = Path(f"/proc/{worker._process.pid}/environ").read_text().split("\0")
    assert "OMP_NUM_THREADS=3" in started_with and os.environ["OMP_NUM_THREADS"] == "7"


@pytest.mark.slow
def test_a_process_that_nobody_asks_any_more_ends():
    with Child(threads=1) as worker:
        worker._process.stdin.close()
        assert worker._process.wait(300) == 0
