"""Optuna's side of a sampler: what the study asks for one trial, drawn by samplers that are made anew each time."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from typing_extensions import override

from tune_mixup.distributions import Range, as_drawn, ends, in_study
from tune_mixup.optuna_internals import OtherTrials, WithStandIns, annotate, joint_draw, queued_point
from tune_mixup.record.facts import TrialFacts
from tune_mixup.samplers.base import Draw, Sampler
from tune_mixup.search_space import DRAWS, Params, SearchSpace

ATTEMPTS = 16
"""Points that the sampler draws for a trial before random ones are tried, each of which costs a model of the space."""


class TrialSampler(BaseSampler):
    """The sampler of one trial.

    Its draws depend on the record, the sweep's seed, the trial and the parameter, never on the process or on which
    parameters it has drawn before: a resumed sweep asks what the unbroken one would have asked.

    In a space with constraints the whole point is drawn at once, again and again until the constraints hold, and is
    noted in the trial before its first parameter is: whoever goes on with the trial finds it there.
    """

    def __init__(
        self,
        sampler: Sampler,
        *,
        seed: int,
        number: int,
        space: SearchSpace | None = None,
        stand_ins: Mapping[int, FrozenTrial | None] | None = None,
    ) -> None:
        """`space` says what draws stand for and what must hold; without one they are taken as they come.

        `stand_ins` are shown to it for the trials of these numbers; None: such a trial is not shown.
        """
        self._sampler = sampler
        self._draw = Draw(seed, number)
        self._joint = _make(sampler, self._draw)
        self._space = space
        self._stand_ins = stand_ins or {}
        self._drawn: Mapping[str, Any] = {}

    @override
    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._joint.infer_relative_search_space(study, trial)

    @override
    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        study = self._shown(study)
        if self._space is not None and self._space.constraints:
            self._drawn = TrialFacts.parse(trial.user_attrs).drawn or self._draw_whole(self._space, study, trial)
            return {key: value for key, value in self._drawn.items() if key in search_space}
        noted = joint_draw(trial, self._sampler.notes)  # by an earlier process, which was killed while it asked
        joint = noted if noted is not None else self._joint.sample_relative(study, trial, search_space)
        return {key: self._stands_for(key, search_space[key], value) for key, value in joint.items()}

    @override
    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if param_name in self._drawn:
            return self._drawn[param_name]
        sampler = _make(self._sampler, self._draw._replace(key=param_name))
        value = sampler.sample_independent(self._shown(study), trial, param_name, param_distribution)
        return self._stands_for(param_name, param_distribution, value)

    @override
    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._joint.after_trial(study, trial, state, values)

    def _shown(self, study: Study) -> Study:
        return WithStandIns(study, self._stand_ins) if self._stand_ins else study

    def _stands_for(self, key: str, distribution: BaseDistribution, value: Any) -> Any:
        own = distribution if self._space is None else self._space.free.get(key, distribution)
        return as_drawn(own, value)

    def _draw_whole(self, space: SearchSpace, study: Study, trial: FrozenTrial) -> Params:
        """The first point for which the constraints hold, or where there is none the last one that was tried."""
        point = Params()
        for point in self._points(space, OtherTrials(study, trial.number), trial):
            if space.allows(point):
                break
        for key, value in TrialFacts(drawn=point).plain().items():
            annotate(study, trial, key, value)
        return point

    def _points(self, space: SearchSpace, study: Study, trial: FrozenTrial) -> Iterator[Params]:
        """The queued point alone; else what the sampler draws, attempt by attempt, and then random points."""
        queued = queued_point(trial)
        if queued:
            yield space.as_recorded(queued)
            return
        for attempt in range(ATTEMPTS):
            yield self._attempt(space, study, trial, self._draw._replace(attempt=attempt))
        yield from islice(space.uniform(self._draw._replace(attempt=ATTEMPTS).own_seed()), DRAWS)

    def _attempt(self, space: SearchSpace, study: Study, trial: FrozenTrial, draw: Draw) -> Params:
        sampler = _make(self._sampler, draw)
        joint = sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial))

        def choose(key: str, distribution: Range) -> Any:
            held = in_study(distribution)
            if held.single():
                return ends(distribution)[0]
            if key in joint:
                return as_drawn(distribution, joint[key])
            alone = _make(self._sampler, draw._replace(key=key))
            return as_drawn(distribution, alone.sample_independent(study, trial, key, held))

        return space.point(choose)


def _make(sampler: Sampler, draw: Draw) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # TPE's `group` and QMC are
        return sampler.make(draw)
