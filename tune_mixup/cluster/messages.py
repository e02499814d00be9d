"""A worker's report as a result of Ray's. One text: Ray flattens whatever is nested before it hands results on."""

import json
from collections.abc import Mapping
from typing import Any

from tune_mixup.record.facts import Report

REPORT = "report"


def to_ray(report: Report) -> dict[str, Any]:
    """What `Trainable.step` returns."""
    return {"done": report.ending is not None, REPORT: json.dumps(report.plain())}


def from_ray(result: Mapping[str, Any]) -> Report:
    """The report in a result, among the keys that Ray adds."""
    return Report.parse(json.loads(result[REPORT]))
