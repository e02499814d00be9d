"""What stopping trials early costs and saves, on made-up mixup curves of which strong mixing rises late but ends higher.

    python benchmarks/early_stopping.py [--repeats 200]

Our rule with its defaults and less one part at a time, Ray's ASHA and no stopping get the same trials, curves, order
and epoch times. Trials run in 4 slots and are decided on as their reports come in. No model is trained.
docs/early_stopping.md says what the numbers mean and draws them.
"""

import heapq
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from tune_mixup.config import Options, SweepConfig, TrialConfig, plan
from tune_mixup.mixing.base import mean_minor_share
from tune_mixup.search_space import load_space
from tune_mixup.tuning.control import longer_grace
from tune_mixup.tuning.control_group import ControlGroup
from tune_mixup.tuning.scheduler import Seat
from tune_mixup.tuning.seats import RULES, Raise, Seats
from tune_mixup.tuning.strata import draw, strength

Floats = NDArray[np.float64]

TRIALS, EPOCHS, SLOTS = 81, 200, 4
"""Sweeps of as many trials, each of as many epochs at the full budget, as many at a time."""
SPACE = "mixup"
"""The search space, as shipped: alpha, learning rate, weight decay."""
SEVERITIES = {"none": 0.0, "mild": 0.028, "strong": 0.2}
"""How much longer the strongest mixing takes to rise, as a share of the time of none."""
MEDIAN = 5
"""Epochs over which `val_accuracy_median` is taken."""


class Curves(NamedTuple):
    """The law of the curves: accuracies in points, times in epochs."""

    ceiling: float = 95.0
    """Final accuracy of no mixing at the best learning rate and weight decay."""
    gain: float = 1.1
    """Added by the strongest mixing of the space, in proportion to the strength."""
    misfit: float = 2.0
    """Lost at the end of the range of learning rate or weight decay, with the square of the distance to the best."""
    luck: float = 0.1
    """SD of what a setting has beside that."""
    start: float = 10.0
    """Accuracy before the first epoch."""
    rise: float = 6.7
    """Time constant without mixing."""
    uneven: float = 0.003
    """SD of the logarithm of a trial's time constant, beside its strength."""
    noise: float = 0.14
    """SD of one epoch's accuracy."""


class Sweep(NamedTuple):
    """What every method gets alike: trials in the order in which they are asked."""

    settings: list[TrialConfig]
    true: Floats
    """Accuracy after the last epoch without noise, [trials], in points."""
    raw: Floats
    """Accuracy as measured after each epoch, [trials, epochs], in points."""
    median: Floats
    """Median of `raw` over the last `MEDIAN` epochs so far."""
    ends: Floats
    """Time from a trial's begin to the end of each epoch, [trials, epochs]; 1 is a usual epoch."""


@cache
def settings_of(repeat: int) -> list[TrialConfig]:
    """The space's baseline and random points, as a sweep with `--sampler random` runs them."""
    config = config_of(repeat)
    return [config.trial(p) for p in (*config.space.baselines, *draw(config.space, TRIALS, seed=10_000 + repeat))][
        :TRIALS
    ]


@cache
def config_of(repeat: int, **options: Any) -> SweepConfig:
    """The configuration of a sweep with our defaults but for `options`."""
    given = cast(Options, {"trials": TRIALS, "max_epochs": EPOCHS, "sampler": "random", "seed": repeat, **options})
    return plan(SPACE, **given)


def make_sweep(repeat: int, slower: float, law: Curves = Curves()) -> Sweep:
    """Curves that rise as 1 - exp(-t / tau) to a final value; the same but for `slower` at every severity."""
    rng = np.random.default_rng(repeat)
    settings = settings_of(repeat)
    mixing = np.array([strength(trial) or 0.0 for trial in settings]) / mean_minor_share(ends_of("mixing.alpha")[1])
    misfit = sum(
        (position(key, np.array([getattr(trial.optimizer, key.split(".")[1]) for trial in settings])) - best) ** 2
        for key, best in zip(("optimizer.lr", "optimizer.weight_decay"), rng.uniform(0.3, 0.7, 2), strict=True)
    )
    final = law.ceiling + law.gain * mixing - 4 * law.misfit * misfit + rng.normal(0, law.luck, TRIALS)
    tau = law.rise * (1 + slower * mixing) * np.exp(rng.normal(0, law.uneven, TRIALS))
    true = final[:, None] - (final[:, None] - law.start) * np.exp(-np.arange(1, EPOCHS + 1) / tau[:, None])
    raw = true + rng.normal(0, law.noise, true.shape)
    padded = np.concatenate([np.full((TRIALS, MEDIAN - 1), np.nan), raw], axis=1)
    median = np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, MEDIAN, axis=1), axis=2)
    speed = np.exp(rng.normal(0, 0.1, (TRIALS, 1))) * np.exp(rng.normal(0, 0.02, true.shape))
    return Sweep(settings, true[:, -1], raw, median, speed.cumsum(axis=1))


@cache
def ends_of(key: str) -> tuple[float, float]:
    """The range of a free parameter."""
    distribution = load_space(SPACE).free[key]
    assert isinstance(distribution, FloatDistribution) and distribution.log
    return distribution.low, distribution.high


def position(key: str, values: Floats) -> Floats:
    """Where values lie in a parameter's range on its logarithmic scale, 0 to 1."""
    low, high = ends_of(key)
    return cast(Floats, np.log(values / low) / np.log(high / low))


class Judge(Protocol):
    """A method of stopping at work on one sweep."""

    def begin(self, trial: int) -> None:
        """A trial begins."""

    def report(self, trial: int, epoch: int) -> bool:
        """Whether a trial stops after an epoch; not asked after the last one."""

    def end(self, trial: int, epoch: int) -> None:
        """A trial has ended after `epoch` epochs."""


class Ours:
    """Our rule, seats and control group, put together as `tuning/session.py` does."""

    def __init__(self, sweep: Sweep, repeat: int, **options: Any) -> None:
        self.config = config_of(repeat, **options)
        self.settings = sweep.settings
        self.values = sweep.median if self.config.metric.endswith("_median") else sweep.raw
        self.rule = RULES[self.config.scheduler](self.config)
        self.rows = self.values.tolist()
        self.places = Seats(self.config)
        self.control = ControlGroup(self.config, self.places)
        self.seats: dict[int, Seat] = {}
        self.grace: list[Raise] = []

    def begin(self, trial: int) -> None:
        if self.rule.has_rungs:
            found = longer_grace(self.control.table(self.control.spared)) if self.control.spared else None
            if found is not None and all(one["epochs"] < found.epochs for one in self.grace):
                self.grace.append({"from_trial": trial, **found._asdict()})
        self.seats[trial] = self.places.of(trial, self.settings[trial], self.grace)

    def report(self, trial: int, epoch: int) -> bool:
        decision = self.rule.report(trial, epoch, self.rows[trial][epoch - 1], self.seats[trial])
        return decision is not None and decision.stop

    def end(self, trial: int, epoch: int) -> None:
        if epoch == EPOCHS:
            self.rule.note(trial, epoch, self.rows[trial][-1], self.seats[trial])
        self.control.note(self._frozen(trial, epoch), self.settings[trial])

    def _frozen(self, trial: int, epoch: int) -> FrozenTrial:
        values = dict(enumerate(self.rows[trial][:epoch], start=1))
        return FrozenTrial(
            number=trial, trial_id=trial, value=None, datetime_start=None, datetime_complete=None,
            state=TrialState.COMPLETE if epoch == EPOCHS else TrialState.PRUNED,
            params={}, distributions={}, user_attrs={}, system_attrs={}, intermediate_values=values,
        )  # fmt: skip


class RayTrial(NamedTuple):
    """All that Ray's scheduler wants of a trial."""

    trial_id: str


class Rays:
    """Ray's own ASHA, called as its controller does; `max_t` is what a user must set, the rest its defaults."""

    def __init__(self, sweep: Sweep, repeat: int, **options: Any) -> None:
        self.rows = sweep.raw.tolist()
        self.scheduler = AsyncHyperBandScheduler(metric="accuracy", mode="max", max_t=EPOCHS, **options)

    def begin(self, trial: int) -> None:
        self.scheduler.on_trial_add(cast(Any, None), cast(Any, RayTrial(str(trial))))

    def report(self, trial: int, epoch: int) -> bool:
        result = {"training_iteration": epoch, "accuracy": self.rows[trial][epoch - 1]}
        answer = self.scheduler.on_trial_result(cast(Any, None), cast(Any, RayTrial(str(trial))), result)
        return answer == TrialScheduler.STOP

    def end(self, trial: int, epoch: int) -> None:
        result = {"training_iteration": epoch, "accuracy": self.rows[trial][epoch - 1]}
        self.scheduler.on_trial_complete(cast(Any, None), cast(Any, RayTrial(str(trial))), result)


def run(sweep: Sweep, judge: Judge) -> list[int]:
    """How many epochs each trial was trained for: reports are judged in the order of their times."""
    reached = [0] * TRIALS
    ends = sweep.ends.tolist()
    waiting = iter(range(TRIALS))
    running: list[tuple[float, int, float]] = []

    def begin(now: float) -> None:
        trial = next(waiting, None)
        if trial is not None:
            judge.begin(trial)
            heapq.heappush(running, (now + ends[trial][0], trial, now))

    for _ in range(SLOTS):
        begin(0.0)
    while running:
        now, trial, began = heapq.heappop(running)
        reached[trial] += 1
        epoch = reached[trial]
        if epoch == EPOCHS or judge.report(trial, epoch):
            judge.end(trial, epoch)
            begin(now)
        else:
            heapq.heappush(running, (began + ends[trial][epoch], trial, began))
    return reached


class Outcome(NamedTuple):
    """What came of one sweep."""

    regret: float
    """Points of accuracy, without noise: the best trial's less those of the one selected by our leaderboard."""
    regret_by_last: float
    """Likewise when the highest last report of any trial is selected, as Ray's `get_best_result` does."""
    kept: float
    """1 when the best trial was trained to the end, else 0."""
    cost: float
    """Epochs trained, as a share of all trials' full budgets."""


def outcome(sweep: Sweep, reached: Sequence[int]) -> Outcome:
    last = np.array(reached)
    row = np.arange(TRIALS)
    complete = last == EPOCHS
    selected = np.where(complete, sweep.median[:, -1], sweep.median[row, last - 1] - 1000).argmax()
    by_last = sweep.raw[row, last - 1].argmax()
    best = sweep.true.argmax()
    return Outcome(
        regret=float(sweep.true[best] - sweep.true[selected]),
        regret_by_last=float(sweep.true[best] - sweep.true[by_last]),
        kept=float(complete[best]),
        cost=float(last.mean() / EPOCHS),
    )
