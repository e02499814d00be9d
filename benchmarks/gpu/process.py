"""One part in a process of its own: killed at its limit with all that it has started, and heard through a file.

What it finds is appended to a file of JSON lines as it comes, so that it is there whatever happens next.
"""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
GRACE_S = 5.0
"""What a part has to put away what outlives it, such as a daemon, before it is killed."""
WORDS = 300
"""Characters of what it said last that are kept."""


class Ended(NamedTuple):
    """How a process ended."""

    seconds: float
    failed: str | None
    """Why it failed; None: it did not."""


def run(command: Sequence[str], *, limit_s: float) -> Ended:
    """Run `command` in the repository's root until it ends, or for `limit_s`; nothing that it started lives on.

    What it says on its standard error goes on to ours when it has ended; the last line of that says why it failed.
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([*command], cwd=ROOT, stdin=subprocess.DEVNULL, stderr=said, start_new_session=True)
        try:
            code = _code(process, limit_s)
        finally:
            _kill_group(process)
        last = _last_line(said)
    seconds = time.monotonic() - began
    if code == 0:
        return Ended(seconds, None)
    why = f"the limit of {limit_s:.0f} s was up" if code is None else _how(code)
    return Ended(seconds, f"{why}: {last}" if last else why)


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """What has been appended to a file of JSON lines; a line that was cut off is left out."""
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(line)


def append(path: Path, line: dict[str, Any]) -> None:
    """Append a line that outlives this process, and one that was cut off before it does no harm."""
    with path.open("a") as file:
        file.write(f"{json.dumps(line)}\n")
        file.flush()
        os.fsync(file.fileno())


def _code(process: subprocess.Popen[bytes], limit_s: float) -> int | None:
    """The exit code; None for one that was still running after `limit_s`."""
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        return None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _how(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    text = said.read().decode(errors="replace")
    if text:
        os.write(2, text.encode())
    told = [line.strip() for line in text.splitlines() if line.strip()]
    return told[-1][:WORDS] if told else ""
