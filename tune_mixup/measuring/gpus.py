"""What the GPUs of a host are, as its driver says, and what a user should know of them before trials share them.

Ray has one type of GPU for a node, that of its first one, and counts a GPU that is cut into MIG slices as one.
"""

import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

COMMAND = ("nvidia-smi", "-L")
TIMEOUT_S = 20.0
"""How long a driver may take to answer."""
GPU = re.compile(r"GPU \d+: (?P<name>.+?) \(UUID: ")
SLICE = re.compile(r"\s+MIG (?P<profile>\S+)\s+Device\s+\d+: ")
MEMORY = re.compile(r"\.(\d+)gb")


class Gpu(NamedTuple):
    """A physical GPU."""

    name: str
    slices: tuple[str, ...] = ()
    """The profiles of its MIG slices, such as `1g.5gb`, one for each; empty for a whole GPU."""


class Gpus(NamedTuple):
    """What the driver of a host says."""

    found: tuple[Gpu, ...] = ()
    fault: str = ""
    """Why nothing is known, in one line."""

    def names(self) -> Counter[str]:
        """How many there are of each type."""
        return Counter(gpu.name for gpu in self.found)


class Answer(NamedTuple):
    """How a command ended."""

    code: int
    words: str


def ask_driver() -> Answer:
    """List the GPUs of this host. Raises OSError where there is no such command, and TimeoutExpired."""
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=TIMEOUT_S)
    return Answer(done.returncode, done.stdout + done.stderr)


def gpus_here(ask: Callable[[], Answer] = ask_driver) -> Gpus:
    """The GPUs of this host; a driver that fails is a fault, not an error."""
    try:
        answer = ask()
    except OSError:
        return Gpus(fault=f"there is no {COMMAND[0]}")
    except subprocess.TimeoutExpired:
        return Gpus(fault=f"{COMMAND[0]} did not answer in {TIMEOUT_S:g} s")
    if answer.code:
        lines = [line.strip() for line in answer.words.splitlines() if line.strip()]
        return Gpus(fault=f"{COMMAND[0]} said: {lines[0] if lines else f'code {answer.code}'}")
    return Gpus(found=tuple(_listed(answer.words)))


def _listed(words: str) -> Iterator[Gpu]:
    names: list[str] = []
    slices: list[list[str]] = []
    for line in words.splitlines():
        if gpu := GPU.match(line):
            names.append(gpu["name"])
            slices.append([])
        elif (part := SLICE.match(line)) and slices:
            slices[-1].append(part["profile"])
    return (Gpu(name, tuple(own)) for name, own in zip(names, slices, strict=True))


def remarks(host: str, gpus: Gpus, *, counted: float, share: float | str) -> Iterator[str]:
    """What to know of a host of whose GPUs Ray counts `counted`, when trials get `share` or `auto`: a line for each."""
    if gpus.fault:
        yield (
            f"{host}: its GPUs can't be looked at ({gpus.fault}), so their types, and whether they are MIG slices, are "
            f"unknown; {'the sweep goes on' if counted else 'Ray counts no GPU there'}"
        )
    yield from _of_slices(host, gpus, counted)
    types = gpus.names()
    if len(types) > 1 and counted > max(types.values()):  # else one type may be all that Ray was shown
        does = "auto measures one of them and takes its number for all"
        if share != "auto":
            does = f"{share:g} of a GPU is that share of any of them, whatever its memory"
        yield (
            f"{host} has {len(types)} types of GPU ({', '.join(types)}), which Ray tells apart by node only: {does}; "
            "hide all but one type from Ray by CUDA_VISIBLE_DEVICES, or start a node for each"
        )


def _of_slices(host: str, gpus: Gpus, counted: float) -> Iterator[str]:
    total = sum(len(gpu.slices) or 1 for gpu in gpus.found)
    for number, gpu in enumerate(gpus.found):
        if not gpu.slices:
            continue
        kinds = ", ".join(f"{count} of {_slice(profile)}" for profile, count in sorted(Counter(gpu.slices).items()))
        does = "a share of a GPU is a share of one slice"
        if len(set(gpu.slices)) > 1:
            does += ", of the smallest one too"
        if counted < total:
            does = (
                "Ray counts the whole as one GPU, of which trials see the first slice only; start Ray with "
                f"CUDA_VISIBLE_DEVICES set to the slices' UUIDs and --num-gpus {total}"
            )
        yield f"{host}: GPU {number} ({gpu.name}) is cut into MIG slices, {kinds}; {does}"


def _slice(profile: str) -> str:
    memory = MEMORY.search(profile)
    return f"{profile} ({memory[1]} GB)" if memory else profile
