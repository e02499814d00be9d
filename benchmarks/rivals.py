"""Contenders in processes of their own: what one of them imports, sets or starts does not help or hinder another."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self


class Rival:
    """A process that is sent calls, one at a time, and ends with the block."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._ours, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_serve, args=(theirs,))
        self.process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None):
        self._ours.close()
        self.process.join()

    def start(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Begin a call; `result` waits for what it returns."""
        self._ours.send((call, arguments))

    def result(self) -> Any:
        """What the call returned. Raises RuntimeError when it failed; the process has then said why."""
        try:
            return self._ours.recv()
        except (EOFError, ConnectionResetError):
            raise RuntimeError("a contender failed; what it said is above") from None

    def running(self, timeout_s: float) -> bool:
        """Whether the call still runs after so many seconds."""
        return not self._ours.poll(timeout_s)

    def __call__(self, call: Callable[..., Any], *arguments: Any) -> Any:
        self.start(call, *arguments)
        return self.result()


def _serve(theirs: Connection) -> None:
    while True:
        try:
            call, arguments = theirs.recv()
        except EOFError:
            return
        theirs.send(call(*arguments))
