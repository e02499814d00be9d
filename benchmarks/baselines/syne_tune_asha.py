"""Syne Tune's ASHA in an environment of its own: answers lines of JSON on standard input. Needs Syne Tune 0.13 alone.

`{"begin": {...}}` makes a scheduler (free: key -> [low, high] on a logarithmic scale, grace_period, reduction_factor,
max_t, seed); `{"ask": trial}` is answered with a point, `{"report": trial, "epoch", "accuracy"}` with whether the trial
stops, `{"end": trial, "epoch", "accuracy"}` with null: a trial that was not stopped has ended.
"""

import json
import sys
from contextlib import redirect_stdout
from datetime import datetime
from typing import Any

with redirect_stdout(sys.stderr):  # it tells of what is not installed, which is no answer
    from syne_tune.backend.trial_status import Trial
    from syne_tune.config_space import loguniform
    from syne_tune.optimizer.baselines import ASHA
    from syne_tune.optimizer.scheduler import SchedulerDecision


class Scheduler:
    """The stopping variant, with random points."""

    def __init__(self, begin: dict[str, Any]) -> None:
        self.scheduler = ASHA(
            {key: loguniform(low, high) for key, (low, high) in begin["free"].items()},
            metric="accuracy",
            resource_attr="epoch",
            mode="max",
            type="stopping",
            max_t=begin["max_t"],
            grace_period=begin["grace_period"],
            reduction_factor=begin["reduction_factor"],
            random_seed=begin["seed"],
            points_to_evaluate=[],  # else the first point is the middle of the space
        )
        self.trials: dict[int, Trial] = {}

    def ask(self, number: int) -> dict[str, float]:
        """The next trial's point."""
        point = self.scheduler.suggest(number).config
        self.trials[number] = Trial(trial_id=number, config=point, creation_time=datetime.now())
        self.scheduler.on_trial_add(self.trials[number])
        return point

    def report(self, number: int, result: dict[str, Any]) -> bool:
        """Whether the trial stops."""
        stops = self.scheduler.on_trial_result(self.trials[number], result) == SchedulerDecision.STOP
        if stops:
            self.scheduler.on_trial_remove(self.trials[number])
        return stops

    def end(self, number: int, result: dict[str, Any]) -> None:
        """The trial has reached its last epoch."""
        self.scheduler.on_trial_complete(self.trials[number], result)


def main() -> None:
    """Answer until the input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what the library prints later is none either
    scheduler = None
    for line in sys.stdin:
        said = json.loads(line)
        result = {key: said[key] for key in ("epoch", "accuracy") if key in said}
        answer: Any = None
        if "begin" in said:
            scheduler = Scheduler(said["begin"])
        elif scheduler is None:
            raise ValueError(f"got {line.strip()} before a scheduler was begun; send begin first")
        elif "ask" in said:
            answer = scheduler.ask(said["ask"])
        elif "report" in said:
            answer = scheduler.report(said["report"], result)
        else:
            scheduler.end(said["end"], result)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
