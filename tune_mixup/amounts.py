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
