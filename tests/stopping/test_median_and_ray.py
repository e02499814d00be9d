"""Our median rule beside Ray's, which it must agree with, on sequences of reports as they come from a sweep."""

import math
import random
from typing import NamedTuple

import pytest
from ray.tune.schedulers import MedianStoppingRule

from tune_mixup.stopping.base import Seat
from tune_mixup.stopping.median import MedianRule


class Name(NamedTuple):
    """All that Ray's rule wants of a trial."""

    trial_id: str


class Rays:
    """Ray's rule, told of a report that nobody decides on as of one that ends a trial, and never pausing any."""

    def __init__(self, mode, grace, min_others):
        self.rule = MedianStoppingRule(
            time_attr="epoch", metric="value", mode=mode, grace_period=grace, min_samples_required=min_others,
            min_time_slice=math.inf,
        )  # fmt: skip

    def report(self, trial, epoch, value):
        return self.rule.on_trial_result(None, Name(str(trial)), {"epoch": epoch, "value": value}) == "STOP"

    def note(self, trial, epoch, value):
        self.rule.on_trial_complete(None, Name(str(trial)), {"epoch": epoch, "value": value})


def values(rng, kind):
    """A value: of few different ones, so that medians, means and bests tie; of a slow rise; or any."""
    if kind == "ties":
        return rng.choice([0.1, 0.2, 0.3])
    if kind == "equal":
        return 0.1
    return rng.gauss(0, 1) * 10 ** rng.randrange(-3, 4)


@pytest.mark.parametrize("kind", ["ties", "equal", "any"])
@pytest.mark.parametrize(("mode", "direction"), [("max", "maximize"), ("min", "minimize")])
def test_it_decides_as_rays_does(kind, mode, direction):
    stops = goes_on = 0
    for seed in range(60):
        rng = random.Random(seed)
        grace, others, spared = rng.choice([1, 2, 5]), rng.choice([1, 3]), rng.randrange(9)
        ours, rays = MedianRule(direction, grace_epochs=grace, min_others=others), Rays(mode, grace, others)
        at = dict.fromkeys(range(9), 0)
        for _ in range(150):
            if not at:
                break
            trial = rng.choice(sorted(at))
            at[trial] = epoch = at[trial] + rng.choice([1, 1, 1, 3])
            value = values(rng, kind)
            if trial == spared or rng.random() < 0.1:  # a trial of the control group, or a report from the record
                rays.note(trial, epoch, value)
                if trial == spared:
                    assert ours.report(trial, epoch, value, Seat((), spared=True)) is None
                else:
                    ours.note(trial, epoch, value, Seat(()))
                continue
            stop = rays.report(trial, epoch, value)
            decision = ours.report(trial, epoch, value, Seat(()))
            assert (decision is not None and decision.stop) == stop, (seed, trial, epoch)
            if stop:
                del at[trial]
            stops, goes_on = stops + stop, goes_on + (not stop)
    assert goes_on > 100 and stops > (0 if kind == "equal" else 50)  # equal curves differ in their last bits only
