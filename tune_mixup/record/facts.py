"""What passes between driver, worker and record: frozen classes, each with a plain form that JSON can hold."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided on a trial after an epoch, and by which numbers."""

    epoch: int
    stop: bool
    by: str
    """Who decided: `rung`, `median` or `budget`."""
    why: str
    """One line."""
    rung: int | None = None
    """The rung's epoch; None for what was not decided at a rung, as for the fields below."""
    value: float | None = None
    """The smoothed metric."""
    rank: int | None = None
    """1 for the best."""
    of: int | None = None
    """How many of the group have come to the rung."""
    cutoff: float | None = None
    """The worst value that goes on."""
    group: str | None = None

    def plain(self) -> dict[str, Any]:
        """As it stands in the record: a JSON object without what is None."""
        return {key: value for key, value in vars(self).items() if value is not None}
