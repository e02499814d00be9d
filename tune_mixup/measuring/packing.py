"""How many trials share a GPU, or how many threads a trial has: what finishes most trials per hour and fits in memory.

Decided by measurements of the space's largest setting, which a `Probe` makes: alone, and with others beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from pydantic import Field

from tune_mixup.schema import Schema
from tune_mixup.sweep_config import SweepConfig

PER_GPU = (1, 2, 3, 4, 6, 8)
"""Trials on a GPU that are considered."""
MEASURED = (1, 2, 4, 8)
"""Of these, the numbers that are measured, and beside them the largest that fits."""
HEADROOM = 0.1
"""Share of the memory that is left free: settings differ in what they mix, allocators fragment, libraries load late."""
WORTH = 0.05
"""More trials at once must finish at least this much more per hour; else fewer, with more memory for each."""


class Load(NamedTuple):
    """Copies of one trial at the same time on one device."""

    step_s: float
    """Seconds of a training step of the slowest copy, > 0; on a GPU with its share of all else that an epoch takes."""
    peak_bytes: int
    """Memory of the largest copy at its peak."""
    memory_bytes: int
    """Memory of the whole device: of the GPU, or of the host."""
    steps: int | None = None
    """Steps of each epoch that was watched; empty where that does not matter."""
    device: str = ""
    """The name of the GPU, or of a MIG slice of one; empty for the CPU."""


class OutOfMemory(Exception):
    """The copies did not fit in the device's memory."""


class Probe(Protocol):
    """A device and a trial, to be measured."""

    def measure(self, copies: int, steps: int | None = None) -> Load:
        """Run `copies` of the trial at once for some epochs. Raises OutOfMemory.

        `steps` are those of an epoch; where they are left out, the probe chooses, and says what.
        """


class Packing(Schema):
    """How many trials share a GPU of one type, and why."""

    per_gpu: int = Field(ge=1)
    """Trials on one GPU, k."""
    step_s: float | None = None
    """Expected seconds of a training step of each of them; empty where it was not measured."""
    words: str
    """What was measured and chosen, in one line."""

    @property
    def share(self) -> float:
        """The share of a GPU for each trial, rounded down to Ray's ten-thousandths, so that k of them fit."""
        return 10**4 // self.per_gpu / 10**4

    def lowered(self, reason: str) -> "Packing | None":
        """The packing with the next lower number of trials; None where there is one only."""
        lower = [k for k in PER_GPU if k < self.per_gpu]
        return self.replace(per_gpu=lower[-1], words=f"{lower[-1]} on a GPU, since {reason}") if lower else None


class Threading(Schema):
    """How many threads a trial on the CPU has, and why."""

    threads: int = Field(ge=1)
    words: str
    """What was measured and chosen, in one line."""


class Packed(Schema):
    """All that a sweep has measured and chosen; its record's note `packing`. Empty where nothing was `auto`."""

    gpus: dict[str, Packing] = {}
    """Type of GPU -> how many trials share one."""
    cpus: Threading | None = None

    def applied(self, config: SweepConfig) -> SweepConfig:
        """The configuration with numbers: of shares the largest, which is enough on every type of GPU."""
        if self.gpus:
            config = config.replace(gpus_per_trial=max(packing.share for packing in self.gpus.values()))
        if self.cpus is not None:
            config = config.replace(cpus_per_trial=float(self.cpus.threads))
        return config

    def words(self) -> str:
        """Everything in one line."""
        packed = [f"{gpu_type}: {packing.words}".removeprefix(": ") for gpu_type, packing in self.gpus.items()]
        return "; ".join(packed if self.cpus is None else [*packed, self.cpus.words])


def predicted_step_s(copies: int, measured: Mapping[int, float]) -> float:
    """Seconds of a step of each of `copies` trials on one device, by lines through what some numbers of them took.

    The last line goes on. More at once are never faster: where they seem to be, it is noise. Exact for trials that do
    not hinder each other and for those that take turns. A device that is full from some number on takes longer than
    the last line says before it has been measured there, and less than the lines say in between.
    """
    known = sorted(measured)
    step_s = {k: max(measured[fewer] for fewer in known if fewer <= k) for k in known}
    if len(known) == 1:
        return step_s[known[0]]
    upper = next((place for place in range(1, len(known)) if known[place] >= copies), len(known) - 1)
    low, high = known[upper - 1], known[upper]
    return step_s[low] + (step_s[high] - step_s[low]) * (copies - low) / (high - low)


def pack(probe: Probe, *, most: int = PER_GPU[-1]) -> Packing:
    """How many trials to put on one GPU: of `PER_GPU`, at most `most` (what the CPUs beside it can feed).

    More and more at once are measured, with epochs of as many steps as alone, as long as still more may pay.
    """
    try:
        solo = probe.measure(1)
    except OutOfMemory:
        return Packing(per_gpu=1, words="1 on a GPU, whose memory the largest setting exceeds even alone")
    usable = (1 - HEADROOM) * solo.memory_bytes
    fitting = [k for k in PER_GPU if k <= most and k * solo.peak_bytes <= usable] or [1]
    whose = f" of {solo.device}" if solo.device else ""
    needs = (
        f"the largest setting takes {_gb(solo.peak_bytes)} of {_gb(solo.memory_bytes)}{whose} and {_ms(solo.step_s)} "
        "a step"
    )
    if fitting == [1]:
        why = "more have no room" if most > 1 else "more have no CPUs"
        return Packing(per_gpu=1, step_s=solo.step_s, words=f"1 on a GPU: {needs}, {why}")
    measured, found = {1: solo.step_s}, []
    for copies in [k for k in fitting[1:] if k in (*MEASURED, fitting[-1])]:
        if not _may_pay(measured, fitting):
            break
        try:
            measured[copies] = probe.measure(copies, solo.steps).step_s
        except OutOfMemory:
            found.append(f"and {copies} at once ran out of memory")
            fitting = [k for k in fitting if k <= max(measured)]
            break
        found.append(f"with {copies} at once {_ms(measured[copies])}")
    step_s = {k: predicted_step_s(k, measured) for k in fitting}
    chosen = _fewest_worth_it({k: k / step_s[k] for k in fitting})  # never more than was measured, by `_may_pay`
    gain = chosen * solo.step_s / step_s[chosen]
    words = f"{chosen} on a GPU: {needs}, {', '.join(found)}; {gain:.2g} times the trials per hour"
    return Packing(per_gpu=chosen, step_s=step_s[chosen], words=words)


def _may_pay(measured: Mapping[int, float], fitting: Sequence[int]) -> bool:
    """Whether more trials at once than were measured may finish more per hour; the first twin always may."""
    best = max(k / step_s for k, step_s in measured.items())
    more = [k for k in fitting if k > max(measured)]
    return any(k / predicted_step_s(k, measured) > (1 + WORTH) * best for k in more)


def choose_threads(probe_with: Callable[[int], Probe], *, cores: int) -> Threading:
    """How many threads to give each trial on a node with this many cores: 1, 2, 4, ... at most all.

    `probe_with(threads)` measures trials that have this many threads each. Each number is measured on a node that
    is full of such trials, where their memory allows that. Raises OutOfMemory when a single trial does not fit.
    """
    pace: dict[int, float] = {}
    """Trials at once -> what they train per second, all together."""
    threads_of: dict[int, int] = {}
    found = []
    threads = 1
    while threads <= cores:
        copies, probe = cores // threads, probe_with(threads)
        full = _measure_full(probe, copies)
        if full is not None:
            pace[copies], threads_of[copies] = copies / full.step_s, threads
            found.append(f"{copies} with {threads}: {_ms(full.step_s)} a step, {_gb(full.peak_bytes)} each")
        else:
            found.append(f"{copies} with {threads}: no room")
        threads *= 2
    if not pace:
        raise OutOfMemory
    chosen = threads_of[_fewest_worth_it(pace)]
    measured = "; ".join(found)
    return Threading(threads=chosen, words=f"{chosen} threads a trial on {cores} cores (trials at once: {measured})")


def _measure_full(probe: Probe, copies: int) -> Load | None:
    """`copies` at once; None where they do not fit, which is looked up by one alone before it is tried."""
    try:
        solo = probe.measure(1)
        if copies == 1:
            return solo
        return probe.measure(copies) if copies * solo.peak_bytes <= (1 - HEADROOM) * solo.memory_bytes else None
    except OutOfMemory:
        return None


def _fewest_worth_it(pace: dict[int, float]) -> int:
    """The smallest number of trials at once whose pace, all together, is within `WORTH` of the best."""
    return min(k for k in pace if pace[k] * (1 + WORTH) >= max(pace.values()))


def _gb(size: int) -> str:
    return f"{size / 10**9:.3g} GB"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"
