"""What the settings of a trial must satisfy together: a space may state it, and samplers keep to it.

    constraints=(AtMost("schedule.warmup_epochs", "training.epochs"), Holds("my_rules:fits_in_memory"))

A key may be searched, fixed, or left at its default. A constraint about a setting that a trial does not have, such as
the alpha of plain training, holds.
"""

import contextlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator
from typing_extensions import override

from tune_mixup.faults import SettingsFault, shown
from tune_mixup.importing import imported, is_import_path
from tune_mixup.plain_values import plain
from tune_mixup.schema import Schema
from tune_mixup.words import short

Side = str | int | float
"""A dotted key, or a number."""


class Constraint(Schema, ABC):
    """Frozen and plain, so that a sweep's record keeps it. Final classes set `name: Literal[...]`."""

    @property
    @abstractmethod
    def keys(self) -> tuple[str, ...]:
        """The settings that it names."""

    @abstractmethod
    def holds(self, settings: Mapping[str, Any]) -> bool:
        """Whether a trial's settings, by dotted key, satisfy it.

        Raises ValueError in one line where that cannot be said, as of a text that is compared with a number.
        """

    @abstractmethod
    @override
    def __str__(self) -> str: ...


class _Comparison(Constraint):
    """Two sides, of which at least one is a key; the right one is multiplied by `factor`."""

    left: Side
    right: Side
    factor: float = 1.0

    def __init__(self, left: Side, right: Side, *, factor: float = 1.0, **name: str) -> None:
        if not isinstance(left, str) and not isinstance(right, str):
            raise SettingsFault(
                f"{type(self).__name__}: got {shown(left)} and {shown(right)}; at least one must be a dotted key"
            )
        for side in (left, right):
            _check_side(type(self).__name__, side)
        Schema.__init__(self, left=plain(left), right=plain(right), factor=plain(factor), **name)

    @property
    @override
    def keys(self) -> tuple[str, ...]:
        return tuple(side for side in (self.left, self.right) if isinstance(side, str))

    @override
    def holds(self, settings: Mapping[str, Any]) -> bool:
        if any(key not in settings for key in self.keys):
            return True
        return self._compare(self._number(self.left, settings), self.factor * self._number(self.right, settings))

    @abstractmethod
    def _compare(self, left: float, right: float) -> bool: ...

    def _number(self, side: Side, settings: Mapping[str, Any]) -> float:
        return _number(self, side, settings[side]) if isinstance(side, str) else side

    def _words(self, sign: str) -> str:
        times = "" if self.factor == 1 else f"{self.factor:g} * "
        return f"{self.left} {sign} {times}{self.right}"


class AtMost(_Comparison):
    """`AtMost("schedule.warmup_epochs", "training.epochs", factor=0.5)`: warm-up takes half of the training at most."""

    name: Literal["at_most"] = "at_most"

    @override
    def _compare(self, left: float, right: float) -> bool:
        return left <= right

    @override
    def __str__(self) -> str:
        return self._words("<=")


class LessThan(_Comparison):
    """`LessThan("mixing.low", "mixing.high")`."""

    name: Literal["less_than"] = "less_than"

    @override
    def _compare(self, left: float, right: float) -> bool:
        return left < right

    @override
    def __str__(self) -> str:
        return self._words("<")


class SumAtMost(Constraint):
    """`SumAtMost(("mixing.cutmix_share", "mixing.mixup_share"), 1.0)`."""

    name: Literal["sum_at_most"] = "sum_at_most"
    parts: Annotated[tuple[str, ...], Field(strict=False, min_length=2)]
    """Dotted keys; one that a trial does not have counts as 0."""
    limit: Side

    def __init__(self, parts: tuple[str, ...], limit: Side, **name: str) -> None:
        _check_side(type(self).__name__, limit)
        Schema.__init__(self, parts=parts, limit=plain(limit), **name)

    @property
    @override
    def keys(self) -> tuple[str, ...]:
        return (*self.parts, *([self.limit] if isinstance(self.limit, str) else []))

    @override
    def holds(self, settings: Mapping[str, Any]) -> bool:
        total = sum(_number(self, key, settings[key]) for key in self.parts if key in settings)
        if not isinstance(self.limit, str):
            return total <= self.limit + 1e-9  # 0.1 + 0.2 + 0.7 is no more than 1
        return self.limit not in settings or total <= _number(self, self.limit, settings[self.limit]) + 1e-9

    @override
    def __str__(self) -> str:
        return f"{' + '.join(self.parts)} <= {self.limit}"


class Holds(Constraint):
    """A function of your own: `Holds("my_rules:fits")` keeps the points for which `fits(settings)` is true.

    `settings` maps dotted keys to plain values: what is searched and exists, what is fixed, and the defaults that are
    the same for all trials. The function must depend on nothing else. It is imported wherever the sweep is resumed.
    """

    name: Literal["holds"] = "holds"
    function: str
    """Its import path, such as my_package.my_module:fits."""

    def __init__(self, function: str, **name: str) -> None:
        Schema.__init__(self, function=function, **name)

    @field_validator("function")
    @classmethod
    def _can_be_imported(cls, function: str) -> str:
        if not is_import_path(function):
            raise ValueError(f"got {shown(function)}, must be an import path such as my_package.my_module:fits")
        if not callable(imported(function)):
            raise ValueError(f"got {shown(function)}, which is no function")
        return function

    @property
    @override
    def keys(self) -> tuple[str, ...]:
        return ()

    @override
    def holds(self, settings: Mapping[str, Any]) -> bool:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # stdout is for what a command answers
                held = imported(self.function)(dict(settings))
        except (Exception, SystemExit) as error:
            raise ValueError(f"the constraint {self} fails: {short(error)}; mend it") from None
        if not isinstance(held, (bool, np.bool_)):
            raise ValueError(f"the constraint {self} gave a {type(held).__name__}, must be True or False")
        return bool(held)

    @override
    def __str__(self) -> str:
        return self.function


AnyConstraint = Annotated[AtMost | LessThan | SumAtMost | Holds, Field(discriminator="name")]


def _check_side(kind: str, side: object) -> None:
    """Raise ValueError for what is neither a key nor a number."""
    if isinstance(side, bool) or not isinstance(plain(side), (str, int, float)):
        raise SettingsFault(f"{kind}: got {shown(side)}, must be a dotted key such as training.epochs, or a number")


def _number(constraint: Constraint, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"the constraint {constraint} compares numbers, but {key} is {value!r}; take another key")
    if abs(value) > sys.float_info.max:
        raise ValueError(f"the constraint {constraint} compares floats, but {key} is beyond their range; lower it")
    return value
