"""`tune-mixup` as a process of its own, to be killed at chosen moments."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tune_mixup.record.sweep_record import SweepRecord

DEADLINE_S = 300
START = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs the tests in the background ignores it
from tune_mixup.cli import main
main()
"""
SPACE = """
from spaces import space
SPACE = space(training_epochs={epochs})
"""


class Command:
    """A running `tune-mixup`; leaving the block kills what is left of it."""

    def __init__(self, *words, folder):
        folder.mkdir(exist_ok=True)
        self.output = folder / f"output-{len(list(folder.glob('output-*')))}.txt"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
            "RAY_memory_monitor_refresh_ms": "0",
        }
        with open(self.output, "w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, *map(str, words)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def until(self, reached):
        """Wait until `reached()` says so; the process must live that long."""
        deadline = time.monotonic() + DEADLINE_S
        while not reached():
            assert self.process.poll() is None, f"ended too early:\n{self.text()}"
            assert time.monotonic() < deadline, f"it takes too long:\n{self.text()}"
            time.sleep(0.01)

    def ends(self):
        """Wait for the end; the exit code and the last line it wrote."""
        code = self.process.wait(DEADLINE_S)
        lines = self.text().strip().splitlines()
        assert "Traceback" not in self.text(), self.text()
        return code, lines[-1] if lines else ""

    def send(self, number):
        """A signal as a terminal sends it: to the process and all that it has started."""
        os.killpg(self.process.pid, number)

    def kill(self):
        """SIGKILL to the driver alone, as the system does it; its workers are orphans for some seconds."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def text(self):
        return self.output.read_text()


def write_space(folder, *, epochs):
    path = folder / "s.py"
    path.write_text(SPACE.format(epochs=epochs))
    return path


def epochs_of(path, number):
    """Finished epochs that a trial's folder holds."""
    return len(SweepRecord.open(path).folder.trial(number).read_epochs()) if (path / "sweep.yaml").exists() else 0


def lock_holder(path):
    """The process that holds the flock on a file, from /proc/locks."""
    with contextlib.suppress(FileNotFoundError):
        inode = path.stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
                return int(fields[4])
    return None


def finished(path):
    """What must never change again: bytes and time of the epochs of every trial that has ended."""
    record = SweepRecord.open(path)
    ended = [trial.number for trial in record.study.asked() if trial.state.is_finished()]
    files = {number: record.folder.trial(number).epochs for number in ended}
    return {number: (file.read_bytes(), file.stat().st_mtime_ns) for number, file in files.items()}


def uninterrupted(path, number):
    """Validation losses per epoch of the same trial, trained here without a break and, as there, on one thread."""
    import torch

    from tune_mixup.config import TrialConfig
    from tune_mixup.training.trainer import Trainer

    config = TrialConfig.parse(SweepRecord.open(path).folder.trial(number).read_config())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in another order end in other weights within a few epochs
    try:
        return [report["val_nll"] for report in Trainer(config).run()]
    finally:
        torch.set_num_threads(threads)
