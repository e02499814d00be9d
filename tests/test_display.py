import dataclasses
import fcntl
import io
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.console import Console
from terminal import Screen

from tune_mixup.display import display
from tune_mixup.display.table import table
from tune_mixup.display.texts import clock

STATES = {"COMPLETE": 1, "PRUNED": 2, "FAIL": 0, "RUNNING": 1, "WAITING": 0}


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0:00"),
        (5.4, "0:05"),
        (59.6, "1:00"),
        (65, "1:05"),
        (3599.7, "1:00:00"),
        (7384, "2:03:04"),
        (-3, "0:00"),
        (None, "unknown"),
    ],
)
def test_clocks(seconds, text):
    assert clock(seconds) == text


def drawn(progress, message="", since_s=0.0):
    text = io.StringIO()
    Console(file=text, width=100).print(table(progress, message, since_s=since_s))
    title, *rows = text.getvalue().splitlines()
    assert title.strip() == "sweep gm"
    return {label: " ".join(words) for label, *words in (row.split() for row in rows)}


def test_the_table_says_where_the_sweep_stands(progress):
    known = {"best_trial": 3, "best_value": 0.912345, "best_epoch": 9, "epochs": 10}
    times = {"elapsed_s": 35.0, "eta_s": 65.0, "time_budget_s": 7200.0}
    assert drawn(progress(states=STATES, **known, **times), "t0002 [PRUNED]: epoch 1") == {
        "trials": "1 COMPLETE 2 PRUNED 0 FAIL 1 RUNNING 0 WAITING",
        "best": "val_accuracy 0.9123 (t0003, epoch 9)",
        "budget": "10 of 40 epochs (25%)",
        "time": "0:35 ETA about 1:05 limit 2:00:00",
        "last": "t0002 [PRUNED]: epoch 1",  # square brackets are no markup here
    }


def test_the_table_before_anything_is_known(progress):
    assert drawn(progress(full_epochs=0)) == {
        "trials": "0 COMPLETE 0 PRUNED 0 FAIL 2 RUNNING 2 WAITING",
        "best": "none yet",
        "budget": "0 of 0 epochs",
        "time": "0:00 ETA unknown",
        "last": "",
    }


def test_the_table_says_what_the_control_group_and_the_gpus_say(progress):
    rows = drawn(progress(control="rank correlation 0.31", gpu_hours_used=1.25, gpu_hours=8.0, epochs=4))
    assert (rows["rungs"], rows["budget"]) == ("rank correlation 0.31", "4 of 40 epochs (10%), 1.25 of 8 GPU-hours")
    assert "finals" not in rows and drawn(progress(finals="3 of 8 runs"))["finals"] == "3 of 8 runs"
    known = {"metric": "val_accuracy", "best_trial": 7, "best_value": 0.5, "best_epoch": 9, "best_seeds": 3}
    assert drawn(progress(**known))["best"] == "val_accuracy 0.5 (t0007, epoch 9, mean of 3 seeds)"
    assert drawn(progress(gpu_hours_used=0.5))["budget"] == "0 of 40 epochs (0%), 0.50 GPU-hours"


def test_clocks_go_on_between_events(progress):
    assert drawn(progress(elapsed_s=10.0, eta_s=20.0), since_s=5.0)["time"] == "0:15 ETA about 0:15"
    assert drawn(progress(elapsed_s=10.0, eta_s=20.0), since_s=50.0)["time"] == "1:00 ETA about 0:00"


def test_without_a_terminal_only_news_and_now_and_then_a_line(progress):
    stream = io.StringIO()
    with display(False, stream) as listen:
        listen(progress(message="t0000 begins"))
        for second in range(1, 10):
            listen(progress(elapsed_s=float(second), epochs=second))
        listen(progress(elapsed_s=9.5, states={"PRUNED": 1, "RUNNING": 1}, message="t0000 PRUNED:\nepoch 1"))
        listen(progress(elapsed_s=9.6, states={"PRUNED": 1, "RUNNING": 2}, message="t0002 begins"))
        listen(progress(elapsed_s=19.4, states={"PRUNED": 1, "RUNNING": 2}))
        listen(progress(elapsed_s=19.6, states={"PRUNED": 1, "RUNNING": 2}, epochs=20, eta_s=60.0))
        best = {"best_trial": 1, "best_value": 0.5, "best_epoch": 3}
        listen(progress(elapsed_s=20.0, states={"PRUNED": 1, "FAIL": 1}, message="t0001 FAIL: no", **best))
    assert stream.getvalue().splitlines() == [
        "0:00  0/4 trials ended, 2 running | best none yet | 0 of 40 epochs (0%) | ETA unknown | t0000 begins",
        "0:10  1/4 trials ended, 1 running | best none yet | 0 of 40 epochs (0%) | ETA unknown | t0000 PRUNED: epoch 1",
        "0:20  1/4 trials ended, 2 running | best none yet | 20 of 40 epochs (50%) | ETA about 1:00",
        "0:20  2/4 trials ended, 0 running | best val_accuracy 0.5 (t0001, epoch 3) | 0 of 40 epochs (0%) | ETA unknown"
        " | t0001 FAIL: no",
    ]


def test_machines_get_every_event(progress):
    stream = io.StringIO()
    with display(True, stream) as listen:
        listen(progress(message="a"))
        listen(progress(eta_s=1.5))
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert events[0] == {"event": "progress", **dataclasses.asdict(progress(message="a")), "running": []}
    assert events[1]["eta_s"] == 1.5


# A real terminal: the display runs in a process of its own, on a pseudo-terminal

CHILD = """
import json, sys
from tune_mixup.display import display
from tune_mixup.search.standing import Progress

with display(False) as listen:
    for event in sys.stdin:  # one event per line, when the test has seen what it wanted to see
        event = json.loads(event)
        if "print" in event:
            print(event["print"])
        elif "interrupt" in event:
            raise KeyboardInterrupt
        else:
            listen(Progress(**event))
print("after")
"""


class Terminal:
    """A process on a pseudo-terminal of 30 lines and 100 columns, and the screen that its output makes."""

    def __init__(self, **environment):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.screen = Screen()
        root = str(Path(__file__).parents[1])
        self.child = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=slave,
            stderr=slave,
            text=True,
            cwd=root,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "", "LINES": "", **environment},
        )
        os.close(slave)

    def resize(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        self.screen.crop(columns)

    def tell(self, **event):
        self.child.stdin.write(json.dumps(event) + "\n")
        self.child.stdin.flush()

    def read_until(self, *words):
        """Feed the screen until it shows all `words`; fails after a minute."""
        deadline = time.monotonic() + 60
        while not all(any(word in line for line in self.screen.lines) for word in words):
            assert time.monotonic() < deadline and self._read(), "\n".join(self.screen.lines)

    def end(self):
        """Close the input and read to the end; the exit code."""
        self.child.stdin.close()
        while self._read():
            pass
        os.close(self.master)
        return self.child.wait()

    def _read(self):
        ready, _, _ = select.select([self.master], [], [], 60)
        try:
            text = os.read(self.master, 65536).decode() if ready else ""
        except OSError:  # the other side has closed: that is how Linux ends a pseudo-terminal
            text = ""
        self.screen.feed(text)
        return text


def as_event(progress):
    return dataclasses.asdict(progress)


def test_a_terminal_shows_one_table_that_changes_in_place(progress):
    terminal = Terminal()
    terminal.read_until("0:0")
    assert not terminal.screen.cursor_shown
    terminal.tell(**as_event(progress(message="t0000 begins")))
    terminal.read_until("sweep gm", "none yet", "2 RUNNING", "t0000 begins")
    known = {"best_trial": 3, "best_value": 0.75, "best_epoch": 9, "epochs": 10, "elapsed_s": 125.0, "eta_s": 700.0}
    terminal.tell(**as_event(progress(states=STATES, message="t0002 PRUNED: epoch 1", **known)))
    terminal.read_until(
        "val_accuracy 0.75 (t0003, epoch 9)", "10 of 40 epochs (25%)", "2 PRUNED", "t0002 PRUNED: epoch 1"
    )
    terminal.read_until("2:06")  # nobody told: the clock goes on by itself
    terminal.tell(print="a warning from elsewhere")
    terminal.read_until("a warning from elsewhere")
    terminal.tell(**as_event(progress(states={**STATES, "COMPLETE": 2, "RUNNING": 0}, **known)))
    assert terminal.end() == 0

    lines = terminal.screen.lines
    for once in ("sweep gm", "trials", "best", "budget", "time", "last"):
        assert len([line for line in lines if once in line]) == 1, lines
    assert lines[0] == "a warning from elsewhere" and "sweep gm" in lines[1]  # what others print goes above
    assert any("2 COMPLETE" in line and "0 RUNNING" in line for line in lines)
    assert any("t0002 PRUNED: epoch 1" in line for line in lines)  # an event without words leaves the last words
    assert [line for line in lines if line][-1] == "after" and not any("starting" in line for line in lines)
    assert terminal.screen.cursor_shown


def test_a_terminal_that_shrinks_and_grows_shows_one_table_without_fragments(progress):
    terminal = Terminal()
    terminal.tell(**as_event(progress(states=STATES, message="t0002 begins")))
    terminal.read_until(" trials  ")
    for columns in (20, 80, 20, 120):
        terminal.resize(columns)
        narrow = columns < 50
        terminal.tell(**as_event(progress(states=STATES, message=f"now {columns} columns")))
        terminal.read_until(f"now {columns} columns")
        lines = [line for line in terminal.screen.lines if line]
        labels = [word for line in lines if (word := line.split()[0]) in ("sweep", "trials", "best", "budget", "last")]
        assert labels == ["sweep", "trials", "best", "budget", "last"], lines
        assert max(map(len, lines)) <= columns and ("trials" in lines) == narrow
    assert terminal.end() == 0
    shown = terminal.screen.lines
    assert [line for line in shown if line.startswith("sweep gm")] == ["sweep gm"] and "now 20" not in "".join(shown)


def test_an_interrupt_leaves_the_table_and_the_cursor(progress):
    terminal = Terminal()
    terminal.tell(**as_event(progress(message="t0000 begins")))
    terminal.read_until("t0000 begins")
    terminal.tell(interrupt=True)
    assert terminal.end() != 0
    assert terminal.screen.cursor_shown
    assert len([line for line in terminal.screen.lines if "sweep gm" in line]) == 1


def test_a_terminal_that_cannot_draw_gets_plain_lines(progress):
    terminal = Terminal(TERM="dumb")
    terminal.tell(**as_event(progress(message="t0000 begins")))
    assert terminal.end() == 0
    assert terminal.screen.lines[0].startswith("0:00  0/4 trials ended, 2 running | best none yet")
