import os
import signal
import sys

import pytest

from tune_mixup.cluster.halt import Halt, interruptible


class Broken:
    """What stderr may be by the time that a signal comes."""

    def __init__(self, fault):
        self.fault = fault

    def write(self, text):
        raise self.fault

    def flush(self):
        raise self.fault


STREAMS = [
    None,
    Broken(BrokenPipeError(32, "Broken pipe")),
    Broken(ValueError("I/O operation on closed file")),
    Broken(RuntimeError("reentrant call inside <_io.BufferedWriter>")),  # the signal came while something was written
    Broken(UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range")),
]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: type(getattr(stream, "fault", None)).__name__)
def test_a_signal_halts_the_sweep_whoever_hears_of_it(number, stream, tmp_path, monkeypatch):
    halt = Halt(tmp_path / "stopping")
    handler = signal.getsignal(number)
    with interruptible() as signals, signals.halting(halt):
        monkeypatch.setattr(sys, "stderr", stream)
        os.kill(os.getpid(), number)
        monkeypatch.undo()
        assert isinstance(halt.reason, KeyboardInterrupt) and halt.flag.exists()
        with pytest.raises(KeyboardInterrupt):  # the second one stops at once
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is handler
