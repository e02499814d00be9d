"""Which settings can't be told apart by the seeds they were trained on."""

from collections.abc import Sequence

from tune_mixup.record.merit import Setting

LEVEL = 0.95


def noise(settings: Sequence[Setting]) -> tuple[float, int] | None:
    """One seed's standard deviation, pooled over settings of several seeds, and its degrees of freedom.

    None where each has one seed: then nothing is known of the noise.
    """
    squares, freedom = 0.0, 0
    for setting in settings:
        squares += sum((value - setting.mean) ** 2 for value in setting.values)
        freedom += len(setting.values) - 1
    return ((squares / freedom) ** 0.5, freedom) if freedom else None


def tied(settings: Sequence[Setting]) -> list[bool | None]:
    """Of each setting whether its mean differs from the first one's by no more than the noise of their seeds.

    That is a two-sample t test at 95 % with the pooled deviation, each setting by itself. None for the first, and for
    all where the noise is not known.
    """
    known = noise(settings)
    if known is None:
        return [None] * len(settings)
    from scipy.stats import t

    deviation, freedom = known
    first, reach = settings[0], float(t.ppf((1 + LEVEL) / 2, freedom)) * deviation
    apart = [
        abs(one.mean - first.mean) > reach * (1 / len(one.values) + 1 / len(first.values)) ** 0.5 for one in settings
    ]
    return [None, *(not one for one in apart[1:])]
