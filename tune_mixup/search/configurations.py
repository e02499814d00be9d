"""The configurations of a sweep's trials: what no trial searches is read and checked once, not for each."""

from typing import Any

from tune_mixup.bundles import given
from tune_mixup.config import TrialConfig
from tune_mixup.schema import flatten, nest
from tune_mixup.search_space import Params
from tune_mixup.sweep_config import SweepConfig


class Configurations:
    """Makes equal configurations to those of `SweepConfig.trial`, in a fraction of its time after the first one."""

    def __init__(self, config: SweepConfig) -> None:
        self.config = config
        space = config.space
        self._searched = {_section(key) for key in (*space.free, *given(space.bundles)) if key not in space.bundles}
        fixed = {"seed": config.seed, **flatten(space.fixed)}
        self._fixed = {key: value for key, value in fixed.items() if _section(key) in self._searched}
        self._others: dict[str, Any] = {}
        """The sections of the last valid configuration that no parameter is in."""

    def at(self, point: Params) -> TrialConfig:
        """The configuration at a point of the space. Raises ValueError naming each bad key."""
        if self._others:
            settings = {**self._fixed, **flatten(self.config.space.meant(point))}
            return TrialConfig.parse({**self._others, **nest(settings)})
        made = self.config.trial(point)
        if "data" not in self._searched:  # whose content would have to be looked up
            self._others = {name: section for name, section in made if name not in self._searched}
        return made


def _section(key: str) -> str:
    return key.partition(".")[0]
