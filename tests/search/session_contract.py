"""What a sampler and a stopping rule promise together: a sweep killed at any write to its record decides alike."""

import json
import math
from contextlib import contextmanager
from unittest.mock import patch

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.record.journal import Journal
from tune_mixup.record.sweep_record import SweepRecord, load_sweep
from tune_mixup.samplers.random_search import RandomSearch
from tune_mixup.search.session import Session
from tune_mixup.search_space import SearchSpace
from tune_mixup.stopping.asha import Asha
from tune_mixup.sweep_config import SweepConfig

EPOCHS = 4
SPACE = SearchSpace(
    fixed={"data.name": "synthetic", "mixing.name": "mixup", "training.epochs": EPOCHS},
    free={
        "mixing.alpha": FloatDistribution(0.1, 4.0, log=True),
        "optimizer.lr": FloatDistribution(0.01, 0.4, step=0.13),
        "optimizer.name": CategoricalDistribution(("sgd", "adamw")),
    },
)
FINITE = SPACE.fix({"mixing.alpha": 1.0})
TRIALS = 6


class Killed(BaseException):
    """What a kill at a write looks like from inside."""


class SessionContract:
    """Derive from it and give your `sampler` or your `stopping`; the other one may stay as it is."""

    def sampler(self):
        return RandomSearch()

    def stopping(self):
        return Asha(grace_epochs=1, strata="none", control_fraction=0.0)

    def config(self):
        sampler = self.sampler()
        space = FINITE if sampler.finite else SPACE
        return SweepConfig.parse(
            {
                "name": "s", "space": space, "trials": TRIALS, "metric": "val_accuracy", "sampler": sampler,
                "stopping": self.stopping(),
            }
        )  # fmt: skip

    def test_a_sweep_killed_at_every_write_decides_as_one_that_never_was(self, tmp_path):
        config = self.config()
        whole = created(tmp_path / "whole", config)
        work(Session(whole, config))
        assert len(whole.asked()) == TRIALS and all(trial.state.is_finished() for trial in whole.asked())

        killed, write, known = created(tmp_path / "killed", config), 2, None
        while dies(killed, config, write=write):
            before, known = known, written(killed)
            # a sampler may note the same once more before it goes on, so that a session comes no further
            write = write + 1 if known == before else 2
            assert write < 6, "sessions that repeat what others have written come to no end"
        assert log_of(load_sweep(killed.path)) == log_of(whole)

    def test_the_configuration_on_record_is_the_sweeps(self, tmp_path):
        config = self.config()
        assert SweepConfig.from_record(created(tmp_path, config).config()) == config


def created(root, config):
    return SweepRecord.create(root, config.name, config.model_dump(mode="json"), direction=config.direction)


@contextmanager
def dying_at(write):
    """Makes the `write`-th write to any journal, and all later ones, raise Killed; yields a list of those made."""
    made, append = [], Journal.append_logs

    def die(journal, logs):
        if write is not None and len(made) + 1 >= write:
            raise Killed
        made.append(logs)
        append(journal, logs)

    with patch.object(Journal, "append_logs", die):
        yield made


def dies(record, config, *, write):
    """Run a session until its `write`-th write; False when it came to its end before."""
    try:
        with dying_at(write):
            work(Session(load_sweep(record.path), config))
    except Killed:
        return True
    return False


def work(session):
    """One slot: each trial reports a smooth curve of its setting, its folder first."""
    while (begin := session.next()) is not None:
        folder = session.record.trial_folder(begin.number)
        folder.path.mkdir(parents=True, exist_ok=True)
        for epoch in range(len(folder.read_epochs()) + 1, EPOCHS + 1):
            height = 1 / (1 + abs(math.log(begin.config.optimizer.lr / 0.08)) + begin.number % 3)
            row = {"epoch": epoch, "val_accuracy": height * (1 - math.exp(-epoch / 2)), "diverged": 0}
            folder.append_epoch(row)
            if epoch == EPOCHS or session.report(begin.number, row):
                session.complete(begin.number, row)
                break


def written(record):
    """All that the study knows of its trials."""
    trials = load_sweep(record.path).study.get_trials()
    return [(t.state, t.params, t.intermediate_values, t.user_attrs, t.system_attrs) for t in trials]


def log_of(record):
    """Everything about every trial, byte for byte."""
    facts = [(t.number, t.state.name, t.params, t.intermediate_values, t.user_attrs) for t in record.asked()]
    return json.dumps(facts).encode()
