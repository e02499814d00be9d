import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tune_mixup.cli import run
from tune_mixup.display import Guard, display, showing
from tune_mixup.streams import Forgiving, forgiving, stand_ins, tell


class Broken(io.StringIO):
    """Takes `room` writes, then raises."""

    def __init__(self, fault, room=0):
        super().__init__()
        self.fault, self.room = fault, room

    def write(self, text):
        if self.room == 0:
            raise self.fault
        self.room -= 1
        return super().write(text)


FAULTS = [
    BrokenPipeError(32, "Broken pipe"),
    OSError(28, "No space left"),
    ValueError("closed file"),
    RuntimeError("x"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_stream_that_fails_is_dropped_with_one_line_in_the_log(fault, as_json, progress, caplog):
    stream = Broken(fault)
    with display(as_json, stream) as listen:
        for second in range(0, 60, 20):
            listen(progress(elapsed_s=float(second)))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert type(fault).__name__ in caplog.text and stream.getvalue() == ""


def test_what_a_terminal_has_no_characters_for_is_escaped(progress, caplog):
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    with display(False, stream) as listen:
        listen(progress(states={"FAIL": 1}, message="t0000 FAIL: Größe \udc80"))
    stream.flush()
    assert stream.buffer.getvalue().decode("ascii").rstrip().endswith(r"t0000 FAIL: Gr\xf6\xdfe \udc80")
    assert not caplog.records


def test_no_stdout_at_all(progress, monkeypatch, caplog):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with display(False) as listen:
        listen(progress())
    assert len(caplog.records) == 1 and "no stdout" in caplog.text
    tell("nobody hears")


@pytest.mark.parametrize("closed", [False, True])
def test_libraries_that_ask_for_descriptors_get_some(closed, monkeypatch):
    stream = io.StringIO() if closed else None
    if closed:
        stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    with stand_ins():
        assert sys.stdout.fileno() == sys.stderr.fileno() > 2
        print("nobody reads")
    assert sys.stdout is sys.stderr is stream


def test_a_listener_that_raises_hears_no_more(progress, caplog):
    heard = []

    def listen(progress):
        heard.append(progress.message)
        raise LookupError("my bug\n\udc80")

    with showing(listen) as guarded:
        for message in "abc":
            guarded(progress(message=message))
    assert heard == ["a"] and len(caplog.records) == 1
    assert r"LookupError: my bug \udc80" in caplog.text and "the sweep goes on" in caplog.text


def test_a_listener_may_interrupt(progress):
    def listen(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), showing(listen) as guarded:
        guarded(progress())
    with pytest.raises(KeyboardInterrupt):
        Guard(listen)(progress())


def test_a_mistake_of_ours_is_not_hidden():
    with pytest.raises(TypeError):
        Forgiving(io.StringIO(), "stdout").write(b"bytes")


def test_it_is_as_good_as_the_stream_itself():
    stream = io.TextIOWrapper(io.BytesIO(), "latin-1")
    shown = forgiving(stream, "stdout")
    assert forgiving(shown, "stdout") is shown and shown.encoding == "latin-1" and not shown.isatty()
    print("é", file=shown, flush=True)
    shown.close()
    assert stream.buffer.getvalue() == "é\n".encode("latin-1")


# Whole processes: a command that prints more than a pipe holds, whose stdout is something else each time

COMMAND = """
import sys
import time
from tune_mixup import cli

kept = sys.argv.pop()

def much() -> None:
    for _ in range(20_000):
        print("a line of some words")
    with open(kept, "w") as file:
        file.write("done")

cli.VERBS[much] = "tune-mixup much"
cli.main()
"""


@pytest.mark.parametrize(
    "where, code, said",
    [
        ("| head -1", 1, ""),
        ("> /dev/full", 1, "stdout can't be written (OSError: [Errno 28] No space left on device)"),
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        ("2>/dev/full >/dev/full", 1, ""),
        ("> /dev/null", 0, ""),
    ],
)
def test_a_command_ends_whoever_reads(where, code, said, tmp_path):
    kept = tmp_path / "kept.txt"
    line = f"set -o pipefail; '{sys.executable}' -c \"$COMMAND\" much '{kept}' {where}"
    environment = {**os.environ, "COMMAND": COMMAND, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, timeout=120)
    assert kept.read_text() == "done"  # and nothing that was printed
    assert done.returncode == code, done.stderr
    assert said in done.stderr and done.stderr.count("\n") == bool(said)


class BrokenTerminal(Broken):
    def isatty(self):
        return True


@pytest.mark.parametrize("room", [0, 1, 3])
def test_a_terminal_that_goes_away_stops_neither_the_sweep_nor_the_thread_that_draws(
    room, progress, caplog, monkeypatch
):
    monkeypatch.setenv("TERM", "xterm-256color")
    with display(False, BrokenTerminal(OSError(5, "Input/output error"), room)) as listen:
        for second in range(4):
            listen(progress(elapsed_s=float(second)))
            time.sleep(0.3)  # the thread draws four times a second
    assert len(caplog.records) == 1 and "Input/output error" in caplog.text


TRAINED = "{data: {name: synthetic, num_train: 40, num_test: 20, size: 8}, training: {epochs: 3, batch_size: 10}}"


@pytest.mark.parametrize("room", [0, 2])
def test_training_goes_on_without_its_lines(room, tmp_path, monkeypatch):
    (tmp_path / "my.yaml").write_text(TRAINED)
    monkeypatch.setattr(sys, "stdout", Broken(OSError(28, "No space left on device"), room))
    arguments = ["train", "--config", tmp_path / "my.yaml", "--out", tmp_path / "out"]
    assert run([str(argument) for argument in arguments]) == 1
    assert isinstance(sys.stdout, Broken), "as before"
    assert len((tmp_path / "out" / "epochs.jsonl").read_text().splitlines()) == 3


def test_output_that_nobody_wants_is_no_failure(tmp_path, monkeypatch):
    (tmp_path / "my.yaml").write_text(TRAINED)
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert run(["train", "--config", str(tmp_path / "my.yaml"), "--out", str(tmp_path / "out")]) == 0
