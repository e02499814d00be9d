"""Amounts in a sweep's settings, as people write them: a number or `auto`, seconds or a duration."""

import sys
from typing import Annotated, Literal

from pydantic import BeforeValidator

from tune_mixup.faults import shown
from tune_mixup.options import parse_duration


def _refuse_other_words(amount: object) -> object:
    number = isinstance(amount, (int, float)) and not isinstance(amount, bool) and abs(amount) <= sys.float_info.max
    if not number and amount != "auto":
        raise ValueError(f"got {shown(amount)}, must be a number, or auto to have it measured")
    return amount


Amount = Annotated[float | Literal["auto"], BeforeValidator(_refuse_other_words)]
"""A number, or `auto`: a probe of the space's largest setting decides when the sweep starts."""

Seconds = Annotated[float, BeforeValidator(lambda text: parse_duration(text, "") if isinstance(text, str) else text)]
"""A number, or a duration such as 1h30m."""


def check_resources(cpus_per_trial: Amount, gpus_per_trial: Amount, *, gpu_hours: float | None) -> None:
    """Raise ValueError, beginning with the setting's name, for amounts that no trial can have."""
    if gpu_hours is not None and not gpus_per_trial:
        raise ValueError(f"gpu_hours: got {gpu_hours:g}, but trials use no GPU; give gpus_per_trial too")
    if cpus_per_trial == "auto" and gpus_per_trial:
        raise ValueError("cpus_per_trial: got auto, but trials use a GPU; give a number (1 will do)")
    for field, amount in (("cpus_per_trial", cpus_per_trial), ("gpus_per_trial", gpus_per_trial)):
        if amount == "auto":
            continue
        if amount < 0 or (amount == 0 and field == "cpus_per_trial"):
            least = "greater than 0" if field == "cpus_per_trial" else "0 or more"
            raise ValueError(f"{field}: got {amount:g}, must be {least}, or auto")
        if amount > 1 and field == "gpus_per_trial":
            raise ValueError(
                f"{field}: got {amount:g}, must be at most 1, since a trial trains on one GPU; use 1, a share such "
                "as 0.25, or auto"
            )
        if amount > 1 and amount != int(amount):
            raise ValueError(f"{field}: got {amount}, must be at most 1 or a whole number; use {round(amount)}")
