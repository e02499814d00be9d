"""Variants of a trial measured in turns, in processes of their own, within a given time.

Turns, because a machine's speed drifts: a variant is compared with the trial as given in the same round only.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from tune_mixup.measuring.bench import Ceilings
from tune_mixup.measuring.findings import MIN_ROUNDS, Findings, Tried
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
)
from tune_mixup.measuring.variants import Variant

ROUNDS = 9
"""The most rounds; there are fewer where the time is short."""
TURN = 1 / 120
"""Share of the time given for a variant in a round; an epoch takes half of that."""
PARTS = 1 / 12
"""Share of the time given for the parts of a step."""
WARM_UP = 1 / 2
"""Share of the time given after which a variant must be ready to train."""
CEILINGS_S = 4.0
"""Seconds that must be left for the ceilings to be measured once more: only the best that was seen is a ceiling."""
RESERVE = 1 / 30
"""Share of the time given that is kept for the end."""
STEPS = {"cpu": 50, "cuda": 1000}
"""The most steps of an epoch on a device; at least it has 1. A GPU is left to the neighbours between two epochs, so
that many short ones would make several trials at once look better than they are."""
HOPELESS = 0.8
"""A variant that was slower than this in two rounds gets no more turns."""

A = TypeVar("A", bound=Answer)


class Worker(Protocol):
    """A process that measures, such as a `Child`."""

    def ask(self, request: Request) -> None:
        """Give it something to do."""

    def answer(self, timeout_s: float) -> Answer | None:
        """What it found, or how it ended; None when it has not answered in time."""

    def stop(self) -> None:
        """End it."""


Start = Callable[[int], Worker]
"""Starts a worker for a trial of this many threads."""


class OutOfTime(ValueError):
    """The trial as given could not be measured in the time given."""

    def __init__(self, message: str, images_per_s: float | None = None) -> None:
        super().__init__(message)
        self.images_per_s = images_per_s
        """What its first step, start-up of the kernels included, says of its speed; None where it did not end."""


def measure(
    variants: Sequence[Variant],
    *,
    seconds: float,
    start: Start,
    device: str = "cpu",
    clock: Callable[[], float] = time.monotonic,
    tell: Callable[[str], None] = lambda words: None,
) -> Findings:
    """Measure the first variant, which is the trial as given, and compare the others with it.

    Takes at most `seconds`, less where `ROUNDS` rounds are done before; `tell` hears what there is time for as soon as
    a step was timed, and each round. Raises OutOfTime, and another ValueError when
    the trial as given can't be trained.
    """
    began = clock()
    with _Turns(variants, seconds, start, clock, tell) as turns:
        given = turns.tried[0]
        turns.fit(STEPS[device])
        turns.warm_up()
        first = turns.ceilings()
        parts = turns.parts(PARTS * seconds)
        turns.go_round()
        ceilings = turns.best_ceilings(first.ceilings)
    if not given.rates:
        raise turns.out_of_time()
    return Findings(first.device, ceilings, parts.parts, parts.num_train, turns.tried, clock() - began)


class _Turns:
    """Every variant with its workers, as many as it has copies, and the clock that they are all under."""

    def __init__(
        self,
        variants: Sequence[Variant],
        seconds: float,
        start: Start,
        clock: Callable[[], float],
        tell: Callable[[str], None],
    ) -> None:
        self.seconds = seconds
        self.clock = clock
        self.tell = tell
        self.began = clock()
        self.deadline = self.began + (1 - RESERVE) * seconds
        self.steps = 1
        self._step_s: float | None = None
        self._began_s = 0.0
        self.tried = [Tried(variant) for variant in variants]
        self._start = start
        self._workers: dict[int, list[Worker]] = {}

    def __enter__(self) -> "_Turns":
        self._begin(0)
        return self

    def __exit__(self, *error: object) -> None:
        for place in list(self._workers):
            self._stop(place)

    def ceilings(self) -> CeilingsFound:
        """What the device can do at best. Raises OutOfTime, and ValueError for what can't be measured."""
        given = self.tried[0].variant
        return self._ask(FindCeilings(config=given.config, threads=given.threads), CeilingsFound)

    def best_ceilings(self, before: Ceilings) -> Ceilings:
        """The best of these and of what is measured once more, where there is time for it."""
        if 0 not in self._workers or self.clock() + CEILINGS_S > self.deadline:
            return before
        try:
            return Ceilings(*map(max, before, self.ceilings().ceilings))
        except ValueError:
            return before

    def parts(self, seconds: float) -> PartsFound:
        """Where the time of the trial as given goes. Raises as `ceilings` does."""
        given = self.tried[0].variant
        request = FindParts(config=given.config, threads=given.threads, steps=self.steps, seconds=seconds)
        return self._ask(request, PartsFound)

    def fit(self, most_steps: int) -> int:
        """Choose how many steps an epoch has, so that it takes half a turn, and how many variants there is time for."""
        step_s = (
            self.tried[0].variant.config.training.batch_size / self._ask(self._training(0, 0), Trained).images_per_s
        )
        self._step_s, self._began_s = step_s, self.clock() - self.began
        turn_s = TURN * self.seconds
        self.steps = round(min(most_steps, max(1, turn_s / 2 / step_s)))
        turn_s = max(turn_s, self.steps * step_s)
        others_s = (self.clock() - self.began) + CEILINGS_S + PARTS * self.seconds + MIN_ROUNDS * turn_s
        left_s = self.deadline - self.clock() - others_s  # the others take as long to begin as the first one has
        room = math.floor(left_s / ((1 + MIN_ROUNDS) * turn_s))
        for one in self.tried[1 + max(0, room) :]:
            one.fault = f"no time for it; all need about --seconds {self._needed_s(len(self.tried))}"
        fitting = sum(not one.fault for one in self.tried)
        self.tell(
            f"a step takes {step_s:.3g} s; {MIN_ROUNDS} rounds of the {len(self.tried)} ways to run it need about "
            f"{self._needed_s(len(self.tried))} s" + ("" if fitting == len(self.tried) else f"; {fitting} are tried")
        )
        return self.steps

    def _needed_s(self, ways: int) -> int:
        """About the seconds that a few rounds of so many variants need, in tens.

        Beside the rounds each takes as long to begin as the first has, and a step of each part is timed thrice.
        """
        assert self._step_s is not None
        steps_s = (ways * (1 + MIN_ROUNDS) + 9) * self._step_s
        return 10 * math.ceil((ways * self._began_s + steps_s + CEILINGS_S) / (1 - RESERVE - PARTS) / 10)

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
            raise self.out_of_time() if 0 not in self._workers else ValueError(self.tried[0].fault)
        for one in self.tried:
            one.rates.clear()

    def go_round(self) -> None:
        """Let the variants take turns until the time is up; the trial as given begins every round."""
        turn_s = TURN * self.seconds
        longest = [turn_s] * len(self.tried)
        others = range(1, len(self.tried))
        for round_ in range(ROUNDS):
            self.tell(f"round {round_ + 1} of at most {ROUNDS}")
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

    def out_of_time(self) -> OutOfTime:
        """What is known of the trial as given when its time is up, and how much it needs."""
        if self._step_s is None:
            return OutOfTime(
                f"not even a step of the trial as given ended within {self.seconds:.0f} s; give more --seconds, or a "
                "smaller --set training.batch_size"
            )
        rate = self.tried[0].variant.config.training.batch_size / self._step_s
        needed = max(self._needed_s(1), 10 * math.ceil((self.seconds + 1) / 10))
        return OutOfTime(
            f"the trial as given can't be measured in {self.seconds:.0f} s; give --seconds {needed} or more", rate
        )

    def _ask(self, request: Request, expected: type[A]) -> A:
        (worker,) = self._workers[0]
        worker.ask(request)
        found = worker.answer(self.deadline - self.clock())
        if found is None:
            raise self.out_of_time()
        if isinstance(found, Fault):
            raise ValueError(found.words)
        assert isinstance(found, expected)
        return found

    def _begin(self, place: int) -> None:
        variant = self.tried[place].variant
        self._workers[place] = [self._start(variant.threads) for _ in range(variant.copies)]

    def _stop(self, place: int) -> None:
        for worker in self._workers.pop(place):
            worker.stop()

    def _ask_to_train(self, place: int, seconds: float) -> None:
        for worker in self._workers[place]:
            worker.ask(self._training(place, seconds))

    def _hear(self, place: int, until: float) -> bool:
        """Whether all copies of a variant have trained; one that has not in time gets no more turns."""
        found = [worker.answer(until - self.clock()) for worker in self._workers[place]]
        late = ["took too long to begin" for one in found if one is None]
        faults = late + [one.words for one in found if isinstance(one, Fault)]
        self.tried[place].fault = faults[0] if faults else ""
        if late:
            self._stop(place)
        if not faults:
            self.tried[place].rates.append(sum(one.images_per_s for one in found if isinstance(one, Trained)))
        return not faults

    def _training(self, place: int, seconds: float) -> Train:
        variant = self.tried[place].variant
        return Train(config=variant.config, threads=variant.threads, steps=self.steps, seconds=seconds)
