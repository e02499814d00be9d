"""Which settings can't be told apart by the seeds they were trained on."""

from collections.abc import Sequence

from tune_mixup.record.merit import Setting
from tune_mixup.statistics import additive

LEVEL = 0.95


def tied(settings: Sequence[Setting]) -> list[bool | None]:
    """Of each setting whether it can't be told apart from the first one by their seeds; None where that is not known.

    It is known of finalists, and where there are none, of settings of several seeds: if the difference from the first
    is within a t test at 95 %, each setting by itself, with what varies among seeds alike for all taken out. It is not
    known of what the search alone has seen, and where all have one seed.
    """
    finals = any(one.is_finalist for one in settings)
    compared = {one.trial: one for one in settings if (one.is_finalist if finals else len(one.values) > 1)}
    if not settings or settings[0].trial not in compared:
        return [None] * len(settings)
    fit = additive({trial: one.by_seed for trial, one in compared.items()})
    if fit.deviation is None:
        return [None] * len(settings)
    from scipy.stats import t

    first, reach = settings[0].trial, float(t.ppf((1 + LEVEL) / 2, fit.freedom))
    found: list[bool | None] = []
    for one in settings:
        error = fit.error(first, one.trial) if one.trial in compared and one.trial != first else None
        found.append(None if error is None else abs(fit.means[one.trial] - fit.means[first]) <= reach * error)
    return found
