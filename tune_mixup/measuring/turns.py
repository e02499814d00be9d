"""Variants of a trial measured in turns, in processes of their own, within a given time.

Turns, because a machine's speed drifts: a variant is compared with the trial as given in the same round only.
"""

import contextlib
import json
import math
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

from tune_mixup.measuring.bench import Ceilings, Parts
from tune_mixup.measuring.variants import Variant

ROUNDS = 9
"""At most; fewer where the time is short."""
TURN = 1 / 120
"""Of the time given, for a variant in a round; an epoch takes half of that."""
PARTS = 1 / 12
"""Of the time given, for the parts of a step."""
WARM_UP = 1 / 2
"""Of the time given, by when a variant must be ready to train."""
CEILINGS_S = 4.0
"""Seconds that must be left for the ceilings to be measured once more: only the best that was seen is a ceiling."""
RESERVE = 1 / 30
"""Of the time given, for the end."""
STEPS = 50
"""Of an epoch, at most; at least 1."""
MIN_ROUNDS = 3
"""A variant for which so many rounds would not fit into the time is not begun."""
HOPELESS = 0.8
"""A variant that was slower than this in two rounds gets no more turns."""


class Worker(Protocol):
    """A process that measures (`bench_process`)."""

    def ask(self, request: Mapping[str, Any]) -> None:
        """Give it something to do."""

    def answer(self, timeout_s: float) -> dict[str, Any] | None:
        """What it found; None when it has not answered in time or is no more."""

    def stop(self) -> None:
        """End it."""


class Subprocess:
    """A worker with the environment of this process but for the variables `without`, and with `environment`."""

    def __init__(self, environment: Mapping[str, str], without: Sequence[str] = ()) -> None:
        own = {name: value for name, value in os.environ.items() if name not in without}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tune_mixup.measuring.bench_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**own, **environment},
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, request: Mapping[str, Any]) -> None:
        """Write a line; one that has died will not answer."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(dict(request)) + "\n")
            self._process.stdin.flush()

    def answer(self, timeout_s: float) -> dict[str, Any] | None:
        """Wait for a line."""
        try:
            line = self._lines.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None
        found: dict[str, Any] | None = json.loads(line) if line else None
        return found

    def stop(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):  # closed by stop()
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put("")


Start = Callable[[Mapping[str, str]], Worker]
"""Starts a worker with these environment variables."""


@dataclass
class Tried:
    """What came of a variant."""

    variant: Variant
    rates: list[float] = field(default_factory=list)
    """Images per second of all its trials, round by round."""
    ratios: list[float] = field(default_factory=list)
    """The same over those of the trial as given in the same round."""
    fault: str = ""
    """Why there is nothing more."""

    @property
    def images_per_s(self) -> float:
        """Median over the rounds."""
        return median(self.rates)


@dataclass(frozen=True)
class Findings:
    """What a self-measurement found; the first of `tried` is the trial as given."""

    device: str
    ceilings: Ceilings
    parts: Parts
    num_train: int
    """Images of an epoch."""
    tried: list[Tried]
    took_s: float


class OutOfTime(ValueError):
    """Not even the trial as given could be measured in the time given."""


def measure(
    variants: Sequence[Variant], *, seconds: float, start: Start, clock: Callable[[], float] = time.monotonic
) -> Findings:
    """Measure the first variant, which is the trial as given, and compare the others with it.

    Takes at most `seconds`, less where `ROUNDS` rounds are done before. Raises OutOfTime, and another ValueError when
    the trial as given can't be trained.
    """
    began = clock()
    with _Turns(variants, seconds, start, clock) as turns:
        given = turns.tried[0]
        steps = turns.fit()
        turns.warm_up()
        found = turns.ask("ceilings", 0)
        device = found.pop("device")
        parts = turns.ask("parts", PARTS * seconds)
        num_train = parts.pop("num_train")
        turns.go_round()
        again = turns.ask_if_time("ceilings", CEILINGS_S)
        found = {name: max(value, again.get(name, value)) for name, value in found.items()}
    if not given.rates:
        raise OutOfTime(f"one epoch of {steps} steps does not fit into {seconds:.0f} s; give more --seconds")
    return Findings(device, Ceilings(**found), Parts(**parts), num_train, turns.tried, clock() - began)


class _Turns:
    """Every variant with its workers, as many as it has copies, and the clock that they are all under."""

    def __init__(self, variants: Sequence[Variant], seconds: float, start: Start, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self.clock = clock
        self.began = clock()
        self.deadline = self.began + (1 - RESERVE) * seconds
        self.steps = 1
        self.tried = [Tried(variant) for variant in variants]
        self._start = start
        self._workers: dict[int, list[Worker]] = {}

    def __enter__(self) -> "_Turns":
        self._begin(0)
        return self

    def __exit__(self, *error: object) -> None:
        for place in list(self._workers):
            self._stop(place)

    def ask(self, do: str, seconds: float) -> dict[str, Any]:
        """Have the trial as given measured in some way. Raises OutOfTime, and ValueError for what can't be."""
        (worker,) = self._workers[0]
        worker.ask(self._request(do, 0, seconds))
        found = worker.answer(self.deadline - self.clock())
        if found is None:
            raise self._out_of_time()
        if "fault" in found:
            raise ValueError(str(found["fault"]))
        return found

    def ask_if_time(self, do: str, takes_s: float) -> dict[str, Any]:
        """As `ask`, but empty where there is not so much time left, or no answer."""
        if 0 not in self._workers or self.clock() + takes_s > self.deadline:
            return {}
        try:
            return self.ask(do, 0)
        except ValueError:
            return {}

    def fit(self) -> int:
        """Choose how many steps an epoch has, so that it takes half a turn, and how many variants there is time for."""
        step_s = self.tried[0].variant.config.training.batch_size / self.ask("train", 0)["images_per_s"]
        turn_s = TURN * self.seconds
        self.steps = round(min(STEPS, max(1, turn_s / 2 / step_s)))
        turn_s = max(turn_s, self.steps * step_s)
        others_s = (self.clock() - self.began) + CEILINGS_S + PARTS * self.seconds + MIN_ROUNDS * turn_s
        left_s = self.deadline - self.clock() - others_s  # the others take as long to begin as the first one has
        room = math.floor(left_s / ((1 + MIN_ROUNDS) * turn_s))
        for one in self.tried[1 + max(0, room) :]:
            one.fault = "no time for it; give more --seconds"
        return self.steps

    def warm_up(self) -> None:
        """Have every variant ready to train: what must be compiled is, and what can't be trained is known."""
        places = [place for place, one in enumerate(self.tried) if not one.fault]
        for place in places[1:]:
            self._begin(place)
        until = self.began + WARM_UP * self.seconds
        for place in places:
            self._ask_to_train(place, 0)
        faulty = [place for place in places if not self._hear(place, until if place else self.deadline)]
        for place in faulty:  # alone, for memory that was short with all of them at once
            if place in self._workers:
                self._ask_to_train(place, 0)
                self._hear(place, until if place else self.deadline)
        if self.tried[0].fault:
            raise self._out_of_time() if 0 not in self._workers else ValueError(self.tried[0].fault)
        for one in self.tried:
            one.rates.clear()

    def go_round(self) -> None:
        """Let the variants take turns until the time is up; the trial as given begins every round."""
        turn_s = TURN * self.seconds
        longest = [turn_s] * len(self.tried)
        others = range(1, len(self.tried))
        for round_ in range(ROUNDS):
            for place in (0, *(others if round_ % 2 else reversed(others))):
                one = self.tried[place]
                hopeless = len(one.ratios) >= 2 and max(one.ratios) < HOPELESS
                if one.fault or hopeless or self.clock() + longest[place] > self.deadline:
                    if place == 0:
                        return
                    continue
                began = self.clock()
                self._ask_to_train(place, turn_s)
                if self._hear(place, self.deadline) and place > 0:
                    one.ratios.append(one.rates[-1] / self.tried[0].rates[-1])
                longest[place] = max(longest[place], self.clock() - began)

    def _out_of_time(self) -> OutOfTime:
        return OutOfTime(f"the trial as given can't be measured in {self.seconds:.0f} s; give more --seconds")

    def _begin(self, place: int) -> None:
        variant = self.tried[place].variant
        self._workers[place] = [self._start(variant.environment) for _ in range(variant.copies)]

    def _stop(self, place: int) -> None:
        for worker in self._workers.pop(place):
            worker.stop()

    def _ask_to_train(self, place: int, seconds: float) -> None:
        for worker in self._workers[place]:
            worker.ask(self._request("train", place, seconds))

    def _hear(self, place: int, until: float) -> bool:
        """Whether all copies of a variant have trained; one that has not in time gets no more turns."""
        found = [worker.answer(until - self.clock()) for worker in self._workers[place]]
        faults = ["took too long to begin, or its process ended" if one is None else one.get("fault") for one in found]
        self.tried[place].fault = next((fault for fault in faults if fault), "")
        if None in found:
            self._stop(place)
        if not self.tried[place].fault:
            self.tried[place].rates.append(sum(one["images_per_s"] for one in found if one is not None))
        return not self.tried[place].fault

    def _request(self, do: str, place: int, seconds: float) -> dict[str, Any]:
        variant = self.tried[place].variant
        return {
            "do": do,
            "config": variant.config.plain(),
            "threads": variant.threads,
            "steps": self.steps,
            "seconds": seconds,
        }
