"""What a sampler promises: points of the space that depend on the record, the seed and the trial, and on nothing else.

    from tune_mixup.testing import SamplerContract

    class TestMine(SamplerContract):
        part = Mine(startup_trials=3)

Choose settings with which a sampler that learns has begun to learn after five trials.
"""

import warnings
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import TrialState, create_trial

from tune_mixup.optuna_internals import reopened
from tune_mixup.samplers import AnySampler, Sampler, TrialSampler
from tune_mixup.samplers.base import Draw
from tune_mixup.sweep_config import SweepConfig
from tune_mixup.testing.kills import killed_after_each_write, read_from_record
from tune_mixup.testing.made_up_sweep import FINITE_SPACE, SPACE
from tune_mixup.testing.parts import PartContract
from tune_mixup.testing.watching import global_generators_untouched

POINT: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-3, 1.0, log=True),
    "share": FloatDistribution(0.0, 1.0, step=0.25),
    "layers": IntDistribution(1, 9, step=2),
    "method": CategoricalDistribution(("a", "b", "c")),
}
"""A parameter of each kind."""
Point = dict[str, Any]
HUGE_SEEDS = (2**32 - 1, 2**32, 2**63, 2**64, 10**30)
"""Where a sampler keeps its seed in 32 or 64 bits, one of these is too large."""


class SamplerContract(PartContract[Sampler]):
    """For classes derived from `Sampler`."""

    kind = AnySampler
    trials: int = 8
    """Of the sweep that is killed at each of its writes."""

    def test_each_draw_has_a_sampler_of_its_own(self) -> None:
        """One that is shared by two draws would carry something from the first to the second."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # some of Optuna's own are
            made = [self.part.make(Draw(0, 3)) for _ in range(2)]
        assert all(isinstance(one, BaseSampler) for one in made), f"make() gave {made[0]!r}, must be Optuna's sampler"
        assert made[0] is not made[1], "make() gives one object twice; make a new one for each draw"

    def test_points_are_in_the_space(self) -> None:
        """Within the limits, on the steps, among the choices; at the beginning and after some trials have ended."""
        for ended in (0, 3, 12):
            for number in range(ended, ended + 3):
                for key, value in self._point(ended, number).items():
                    inside = _contains(POINT[key], value)
                    assert inside, f"{key}={value!r} after {ended} trials is not in {POINT[key]}"

    def test_a_draw_depends_on_record_seed_and_trial_alone(self) -> None:
        """Asked again, in another process perhaps, it is the same; for another trial or seed it is another."""
        for ended in (0, 12):
            with global_generators_untouched():
                first, again = (self._point(ended, ended, seed=1) for _ in range(2))
            assert first == again, f"asked twice for trial {ended}: {first}, then {again}; seed by draw.own_seed()"
            others = [self._point(ended, ended + k, seed=1) for k in range(1, 4)]
            assert any(other != first for other in others), "all trials get one point; seed by draw.own_seed()"
            other_seeds = [self._point(ended, ended, seed=seed) for seed in (2, 3, 4)]
            assert any(other != first for other in other_seeds), "the sweep's seed changes nothing; use draw.seed"

    def test_any_seed_will_do(self) -> None:
        """However large it is; each is another one."""
        for ended in (0, 12):
            points = [self._point(ended, ended, seed=seed) for seed in HUGE_SEEDS]
            assert any(point != points[0] for point in points), "huge seeds all give one point"

    def test_a_parameter_by_itself_does_not_depend_on_those_drawn_before(self) -> None:
        """A process that was killed while it asked goes on with the parameters that are missing."""
        study, trial = _study(5, 5)
        for key, distribution in POINT.items():
            alone = TrialSampler(self.part, seed=0, number=5)
            expected = alone.sample_independent(study, trial, key, distribution)
            later = TrialSampler(self.part, seed=0, number=5)
            for other in POINT:
                found = later.sample_independent(study, trial, other, POINT[other])
                if other == key:
                    assert found == expected, f"{key} is {expected} when asked first, {found} when asked later"

    def test_a_sweep_killed_after_each_write_asks_as_one_that_never_was(self) -> None:
        """Every process dies once it has written one thing; suggestions and decisions come out the same."""
        outcome = killed_after_each_write(self._sweep())
        assert outcome.killed == outcome.unbroken, "a sweep that was killed at each write went another way"

    def test_a_draw_that_was_broken_off_goes_on_the_same(self) -> None:
        """A process that dies between two parameters has written the first ones; another asks for the others."""
        for after in range(len(POINT)):
            whole, broken_off = _study(12, 12, running=False)[0], _study(12, 12, running=False)[0]
            expected = _suggested(self._asking(whole).ask(), list(POINT))
            begun = self._asking(broken_off).ask()
            _suggested(begun, list(POINT)[:after])
            again = reopened(self._asking(broken_off), broken_off.get_trials()[-1])
            found = _suggested(again, list(POINT))
            assert found == expected, f"asked at once: {expected}; broken off after {after} parameters: {found}"

    def test_the_record_of_a_sweep_holds_its_settings(self) -> None:
        """`resume` makes the same sampler of it."""
        assert read_from_record(self._sweep()) == self._sweep(), "what is read from the record is another sweep"

    def _asking(self, study: optuna.Study) -> optuna.Study:
        study.sampler = TrialSampler(self.part, seed=3, number=12)
        return study

    def _sweep(self) -> SweepConfig:
        return SweepConfig.parse(
            {
                "name": "contract",
                "space": FINITE_SPACE if self.part.finite else SPACE,
                "sampler": self.part,
                "stopping": {"name": "asha", "grace_epochs": 1},
                "metric": "val_accuracy",
                "trials": self.trials,
            }
        )

    def _point(self, ended: int, number: int, *, seed: int = 0) -> Point:
        """What the sampler suggests for trial `number` when the first `ended` are known to have ended."""
        study, trial = _study(ended, number)
        sampler = TrialSampler(self.part, seed=seed, number=number)
        joint = sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial))
        return {
            key: joint[key] if key in joint else sampler.sample_independent(study, trial, key, distribution)
            for key, distribution in POINT.items()
        }


def _study(ended: int, number: int, *, running: bool = True) -> tuple[optuna.Study, optuna.trial.FrozenTrial]:
    """A study of `ended` trials and, unless told otherwise, one that runs, whose number is `number`; and the last."""
    study = optuna.create_study(direction="maximize", study_name="contract", sampler=optuna.samplers.RandomSampler(0))
    for place in range(ended):
        share = (place % 5) / 4
        point: Point = {
            "rate": 10 ** (-3 * share), "share": share, "layers": 1 + 2 * (place % 5), "method": "abc"[place % 3]
        }  # fmt: skip
        study.add_trial(create_trial(params=point, distributions=POINT, value=1 - abs(share - 0.4)))
    if running:
        study.add_trial(create_trial(state=TrialState.RUNNING))
    trial = study.get_trials()[-1]
    trial.number = number
    return study, trial


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    match distribution:
        case CategoricalDistribution():
            return value in distribution.choices
        case IntDistribution() | FloatDistribution():
            steps = 0.0 if distribution.step is None else (value - distribution.low) / distribution.step
            on_a_step = abs(steps - round(steps)) < 1e-9
            return isinstance(value, int | float) and distribution.low <= value <= distribution.high and on_a_step
    return False


def _suggested(trial: optuna.Trial, keys: list[str]) -> Point:
    """The parameters `keys` of a trial, asked for in turn."""
    point: Point = {}
    for key in keys:
        match POINT[key]:
            case CategoricalDistribution(choices=choices):
                point[key] = trial.suggest_categorical(key, choices)
            case IntDistribution() as whole:
                point[key] = trial.suggest_int(key, whole.low, whole.high, step=whole.step, log=whole.log)
            case FloatDistribution() as real:
                point[key] = trial.suggest_float(key, real.low, real.high, step=real.step, log=real.log)
    return point
