"""Settings that were asked before: the same one is never trained twice on the same seed."""

from tune_mixup.config import TrialConfig


class Repeats:
    """Which settings (identity and seed) a sweep has begun, and by which trial."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, int], int] = {}

    def note(self, number: int, config: TrialConfig) -> None:
        """Trial `number` trains `config`; the first to do so counts."""
        key = (config.identity(), config.seed)
        self._first[key] = min(number, self._first.get(key, number))

    def earlier(self, number: int, config: TrialConfig) -> int | None:
        """The trial before `number` that trains the same setting on the same seed, if there is one."""
        first = self._first.get((config.identity(), config.seed), number)
        return first if first < number else None

    def fresh_seed(self, config: TrialConfig) -> int:
        """The smallest seed above the configuration's own that its setting was not trained on."""
        identity, seed = config.identity(), config.seed
        while (identity, seed) in self._first:
            seed += 1
        return seed
