"""What a metric promises: one finite number for any logits, whatever their precision and the order of the rows.

from tune_mixup.testing import MetricContract

class TestMine(MetricContract):
    metric = TOP5
"""

from typing import get_args

import torch
from torch import Tensor

from tune_mixup.metrics import Direction, Metric
from tune_mixup.testing.batches import changed, copies, generator
from tune_mixup.testing.watching import global_generators_untouched, no_reads_on_the_host

CLASSES = 12


class MetricContract:
    """For a `Metric`, which has no settings. A subclass sets `metric`."""

    metric: Metric

    def test_it_is_one_finite_number(self) -> None:
        """Also for a network that is very sure, and for one row."""
        for scale, rows in ((0.0, 40), (1.0, 40), (1e4, 40), (1.0, 1)):
            logits, targets = _rows(rows)
            value = self.metric.function(logits * scale, targets)
            assert value.shape == (), f"the metric has the shape {list(value.shape)}, must be one number"
            assert bool(value.isfinite()), f"for {rows} rows of logits of size {scale:g} the metric is {float(value)}"

    def test_its_direction_is_known_and_true(self) -> None:
        """Logits that are right are not worse than logits that are wrong."""
        known = get_args(Direction)
        assert self.metric.direction in known, f"the direction is {self.metric.direction!r}, must be one of {known}"
        _, targets = _rows(40)
        right = 5 * torch.eye(CLASSES)[targets]
        better, worse = (float(self.metric.function(logits, targets)) for logits in (right, right.roll(1, 1)))
        sign = 1 if self.metric.direction == "maximize" else -1
        assert sign * better >= sign * worse, f"right logits give {better:g}, wrong ones {worse:g}; turn the direction"

    def test_the_order_of_the_rows_does_not_matter(self) -> None:
        """Up to rounding: validation goes through the rows as they lie."""
        logits, targets = _rows(40)
        order = torch.randperm(40, generator=generator(3))
        one, other = self.metric.function(logits, targets), self.metric.function(logits[order], targets[order])
        torch.testing.assert_close(
            one, other, msg=f"{float(one)} and {float(other)} for the same rows in another order"
        )

    def test_it_computes_in_float32(self) -> None:
        """Logits of a lower precision are taken as the numbers that they are."""
        logits, targets = _rows(40)
        for dtype in (torch.bfloat16, torch.float16):
            low = logits.to(dtype)
            one, other = self.metric.function(low, targets), self.metric.function(low.float(), targets)
            torch.testing.assert_close(
                one.float(), other, msg=f"for {dtype} it is {float(one)}; begin with logits.float()"
            )

    def test_nothing_is_changed_drawn_or_read_on_the_host(self) -> None:
        """The device goes on while it is computed."""
        logits, targets = _rows(40)
        given = {"logits": logits, "targets": targets}
        before = copies(given)
        with global_generators_untouched(), no_reads_on_the_host():
            self.metric.function(logits, targets)
        wrong = changed(before, given)
        assert not wrong, f"the metric changes {', '.join(wrong)} in place; make new tensors"


def _rows(count: int) -> tuple[Tensor, Tensor]:
    """Logits float32 [count, CLASSES] and targets int64 [count]."""
    return torch.randn(count, CLASSES, generator=generator(1)), torch.arange(count) % CLASSES
