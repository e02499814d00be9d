"""What repeated measurements say, where not everything was measured under the same conditions."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row", bound=Hashable)
Column = TypeVar("Column", bound=Hashable)


@dataclass(frozen=True)
class Additive(Generic[Row]):
    """Values that are a row's level plus a column's effect plus noise, fitted by least squares."""

    means: Mapping[Row, float]
    """Of each row, as if it had been measured in all columns; its plain mean where all rows have the same columns."""
    deviation: float | None
    """Of the noise; None where nothing is left to estimate it from."""
    freedom: int
    """Degrees of freedom of the deviation."""
    _scale: Mapping[tuple[Row, Row], float]

    def error(self, one: Row, other: Row) -> float | None:
        """The standard error of the difference of two rows; None where the noise is not known."""
        if self.deviation is None:
            return None
        spread = self._scale[one, one] + self._scale[other, other] - 2 * self._scale[one, other]
        return self.deviation * math.sqrt(max(0.0, spread))


def additive(values: Mapping[Row, Mapping[Column, float]]) -> Additive[Row]:
    """Fit rows by columns of which some are missing, such as settings by the seeds that each was trained on.

    Plain means would compare rows by which columns they happen to have. Each row needs a value. Where some rows share
    no column with others, not even by way of third ones, columns can't be told from rows: then the means are plain.
    """
    import numpy as np

    rows = list(values)
    columns = sorted({column for found in values.values() for column in found}, key=repr)
    cells = [
        (place, columns.index(column), value) for place, row in enumerate(rows) for column, value in values[row].items()
    ]
    design = np.zeros((len(cells), len(rows) + len(columns) - 1))
    for cell, (row, column, _) in enumerate(cells):
        design[cell, row] = 1
        if column:
            design[cell, len(rows) + column - 1] = 1
    measured = np.array([value for *_, value in cells])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return Additive({row: sum(found.values()) / len(found) for row, found in values.items()}, None, 0, {})
    solution, *_ = np.linalg.lstsq(design, measured, rcond=None)
    shift = float(solution[len(rows) :].sum()) / len(columns)
    freedom = len(cells) - design.shape[1]
    squares = float(((measured - design @ solution) ** 2).sum())
    inverse = np.linalg.inv(design.T @ design)
    return Additive(
        means={row: float(solution[place]) + shift for place, row in enumerate(rows)},
        deviation=(squares / freedom) ** 0.5 if freedom else None,
        freedom=freedom,
        _scale={(one, two): float(inverse[i, j]) for i, one in enumerate(rows) for j, two in enumerate(rows)},
    )
