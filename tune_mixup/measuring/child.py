"""A process of its own that measures what it is asked: its owner's side, and the process itself.

    python -m tune_mixup.measuring.child

It reads requests from its standard input and writes answers to its standard output, a line of JSON each (`messages`).
A trial that was asked about before is still warm. The process ends when it is stopped, and when nobody asks or listens
any more.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Self, TextIO

import torch

from tune_mixup.measuring.bench import Bench, ceilings
from tune_mixup.measuring.messages import (
    Answer,
    CeilingsFound,
    Fault,
    FindCeilings,
    FindParts,
    PartsFound,
    Request,
    Train,
    Trained,
    Watch,
    read_answer,
    read_request,
)
from tune_mixup.measuring.watching import epochs_of
from tune_mixup.out_of_memory import is_out_of_memory
from tune_mixup.training.process import set_threads
from tune_mixup.words import first_line, first_said

COMMAND = [sys.executable, "-m", "tune_mixup.measuring.child"]


class Child:
    """A measuring process: with the environment of this one, what this one can import, and threads of its own."""

    def __init__(self, threads: int) -> None:
        """Start it. OpenMP reads its `threads` when it is loaded, so that the process must have them from the start."""
        own = {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **own},
            text=True,
        )
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._ended: Fault | None = None
        self._stopped = False
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def ask(self, request: Request) -> None:
        """Give it something to do; one that has ended says so instead of an answer."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(request.line() + "\n")
            self._process.stdin.flush()

    def answer(self, timeout_s: float | None = None) -> Answer | None:
        """What it says next; None when it has said nothing within `timeout_s`, or was stopped.

        When the process has ended, a `Fault` that says how.
        """
        if self._stopped:
            return None
        if self._ended is None:
            try:
                said = self._answers.get(timeout=None if timeout_s is None else max(0.0, timeout_s))
            except queue.Empty:
                return None
            if said is not None:
                return said
            self._ended = _ending(self._process.wait())
        return self._ended

    def stop(self) -> None:
        """End it."""
        self._stopped = True
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._answers.put(read_answer(line))
        self._answers.put(None)


def _ending(code: int) -> Fault:
    """What a process that has ended by itself has died of."""
    if code == -signal.SIGKILL:  # which the kernel sends when there is no memory left
        return Fault(words="the host ran out of memory", out_of_memory=True)
    return Fault(words=f"its process ended with code {code}")


# The process


def main() -> None:
    """Answer until nobody asks or listens any more."""
    answers = _claimed_output()
    warm: dict[str, Bench] = {}
    for line in sys.stdin:
        try:
            for answer in _answers_or_fault(line, warm):
                print(answer.line(), file=answers, flush=True)
        except BrokenPipeError:
            os._exit(0)  # who asked has heard enough


def answers_to(request: Request, warm: dict[str, Bench]) -> Iterator[Answer]:
    """Measure what is asked; trials that are warm are taken from `warm`, and put there."""
    set_threads(request.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    match request:
        case Watch():
            yield from epochs_of(request)
        case FindCeilings():
            name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
            yield CeilingsFound(device=name, ceilings=ceilings(device, request.config.training.precision))
        case FindParts():
            bench, _ = _warmed(request, warm, device)
            yield PartsFound(num_train=bench.num_train, parts=bench.parts(request.seconds))
        case Train():
            bench, images_per_s = _warmed(request, warm, device)
            if images_per_s is None or request.seconds > 0:
                images_per_s = bench.train(request.seconds)
            if device.type == "cuda":
                torch.cuda.empty_cache()  # the others take their turns on the same GPU
            yield Trained(images_per_s=images_per_s)


def _warmed(request: FindParts | Train, warm: dict[str, Bench], device: torch.device) -> tuple[Bench, float | None]:
    """The trial of a request, and how fast it trained while it was warmed up, if that was now."""
    key = json.dumps([request.config.plain(), request.steps], sort_keys=True)
    if key in warm:
        return warm[key], None
    warm[key] = Bench(request.config, device=device, steps=request.steps)
    return warm[key], warm[key].train(0)  # compiles, captures and takes the memory that it will need


def _answers_or_fault(line: str, warm: dict[str, Bench]) -> Iterator[Answer]:
    try:
        yield from answers_to(read_request(line), warm)
    except MemoryError as error:
        yield Fault(words=first_said(error) or "out of memory", out_of_memory=True)
    except ValueError as error:  # a mistake of the user, told in full words
        yield Fault(words=first_said(error) or "ValueError")
    except Exception as error:
        if is_out_of_memory(error):
            yield Fault(words=first_said(error) or "out of memory", out_of_memory=True)
        else:
            yield Fault(words=first_line(error))


def _claimed_output() -> TextIO:
    """The standard output, for answers alone: what libraries and the parts of users print goes to the error output."""
    claimed = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return claimed


if __name__ == "__main__":
    main()
