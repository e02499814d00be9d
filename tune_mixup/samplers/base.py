"""What a sampler is: settings that make Optuna's sampler anew for each draw, so that it holds no state of its own."""

import hashlib
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from optuna.samplers import BaseSampler

from tune_mixup.parts import Part


class Draw(NamedTuple):
    """What a draw depends on beside the record: nothing of the process, nothing of the draws before it."""

    seed: int
    """The sweep's seed."""
    trial: int
    """Number of the trial in the study."""
    key: str = ""
    """The parameter that is drawn by itself; empty for those that are drawn together."""
    attempt: int = 0
    """How many points were drawn for the trial before that a constraint of the space has ruled out."""

    def own_seed(self) -> int:
        """A seed for this draw alone, 32 bits."""
        return _bits(f"{self.seed}/{self.trial}/{self.key}" + (f"/{self.attempt}" if self.attempt else ""))

    def common_seed(self) -> int:
        """A seed for all trials of the sweep: its own one, and another for each further attempt."""
        return _bits(f"{self.seed}/attempt/{self.attempt}") if self.attempt else self.seed


def _bits(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


class Sampler(Part, ABC):
    """Who suggests the next point. Final classes set `name: Literal[...]`."""

    learns: ClassVar[bool] = False
    """Whether its suggestions depend on the trials that have ended, so that too many side by side teach it little."""
    learns_from_stopped: ClassVar[bool] = True
    """Whether it learns from trials that were stopped, if it learns at all."""
    finite: ClassVar[bool] = False
    """Whether the sweep runs every point of the space, each of whose parameters must be finite, in order and once."""
    notes: ClassVar[str] = ""
    """The name under which Optuna's sampler notes a joint draw in the trial; empty where it notes none."""

    @abstractmethod
    def make(self, draw: Draw) -> BaseSampler:
        """Optuna's sampler for one draw, whose randomness comes from `draw` only."""
