"""What a measuring process is asked and what it answers, each a line of JSON: `{"train": {"threads": 1, ...}}`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from typing_extensions import override

from tune_mixup.config import TrialConfig
from tune_mixup.measuring.bench import Ceilings, Parts
from tune_mixup.measuring.packing import Load


@dataclass(frozen=True, kw_only=True)
class Message:
    """A frozen dataclass whose fields JSON can hold; another `kind` for each class."""

    kind: ClassVar[str]

    def plain(self) -> dict[str, Any]:
        """The fields, as JSON can hold them."""
        return dict(vars(self))

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """An equal message from its plain form."""
        return cls(**values)

    def line(self) -> str:
        """The message as a line without its end."""
        return json.dumps({self.kind: self.plain()})


@dataclass(frozen=True, kw_only=True)
class Request(Message):
    """Something to measure with a trial."""

    config: TrialConfig
    threads: int
    """CPU threads of the process."""

    @override
    def plain(self) -> dict[str, Any]:
        return {**vars(self), "config": self.config.plain()}

    @override
    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Raises ValueError for a configuration that is none."""
        return cls(**{**values, "config": TrialConfig.parse(values["config"])})


@dataclass(frozen=True, kw_only=True)
class FindCeilings(Request):
    """What can the device do at best in the trial's precision? Answered by `CeilingsFound`."""

    kind = "ceilings"


@dataclass(frozen=True, kw_only=True)
class FindParts(Request):
    """What are a step and an epoch made of? Answered by `PartsFound`."""

    kind = "parts"
    steps: int
    """Steps of an epoch, about."""
    seconds: float
    """How long to measure what belongs to a step."""


@dataclass(frozen=True, kw_only=True)
class Train(Request):
    """How fast does it train? Answered by `Trained`; where the seconds are 0, after a single epoch."""

    kind = "train"
    steps: int
    """Steps of an epoch, about."""
    seconds: float
    """How long to train; at least one epoch."""


@dataclass(frozen=True, kw_only=True)
class Watch(Request):
    """Train without end. Answered by an `EpochSeen` after each short epoch, until the process is stopped."""

    kind = "watch"
    gpu: bool
    """Whether to train on the worker's GPU."""
    steps: int | None = None
    """Steps of an epoch, about; empty: on a GPU as many as last long enough, on the CPU a few."""


@dataclass(frozen=True, kw_only=True)
class CeilingsFound(Message):
    """The most that was seen of the device."""

    kind = "ceilings"
    device: str
    """`cpu`, or the name of the GPU."""
    ceilings: Ceilings

    @override
    def plain(self) -> dict[str, Any]:
        return {**vars(self), "ceilings": self.ceilings._asdict()}

    @override
    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        return cls(device=values["device"], ceilings=Ceilings(**values["ceilings"]))


@dataclass(frozen=True, kw_only=True)
class PartsFound(Message):
    """Where the time of a trial goes."""

    kind = "parts"
    num_train: int
    """Images of an epoch of the trial as it is, not shortened."""
    parts: Parts

    @override
    def plain(self) -> dict[str, Any]:
        return {**vars(self), "parts": self.parts._asdict()}

    @override
    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        return cls(num_train=values["num_train"], parts=Parts(**values["parts"]))


@dataclass(frozen=True, kw_only=True)
class Trained(Message):
    """How fast the trial trained."""

    kind = "trained"
    images_per_s: float


@dataclass(frozen=True, kw_only=True)
class EpochSeen(Message):
    """An epoch of a trial that is watched."""

    kind = "epoch"
    began: float
    """Unix seconds at which the epoch began."""
    load: Load

    @override
    def plain(self) -> dict[str, Any]:
        return {**vars(self), "load": self.load._asdict()}

    @override
    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        return cls(began=values["began"], load=Load(**values["load"]))


@dataclass(frozen=True, kw_only=True)
class Fault(Message):
    """Why there is no other answer, nor any more to come to the request."""

    kind = "fault"
    words: str
    """One line."""
    out_of_memory: bool = False
    """Whether the memory of the device or of the host was too small."""


Answer = CeilingsFound | PartsFound | Trained | EpochSeen | Fault
REQUESTS: dict[str, type[Request]] = {
    "ceilings": FindCeilings,
    "parts": FindParts,
    "train": Train,
    "watch": Watch,
}
"""Kind -> what is asked."""
ANSWERS: dict[str, type[Answer]] = {
    "ceilings": CeilingsFound,
    "parts": PartsFound,
    "trained": Trained,
    "epoch": EpochSeen,
    "fault": Fault,
}
"""Kind -> what is answered."""


def read_request(line: str) -> Request:
    """The request of a line. Raises ValueError for a configuration that is none."""
    ((kind, values),) = json.loads(line).items()
    return REQUESTS[kind].parse(values)


def read_answer(line: str) -> Answer:
    """The answer of a line."""
    ((kind, values),) = json.loads(line).items()
    return ANSWERS[kind].parse(values)
