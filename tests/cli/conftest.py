import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from tune_mixup.cli import run
from tune_mixup.record.study import Outcome
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import plan

SPACE = SearchSpace(
    fixed={"data.name": "digits", "mixing.name": "mixup", "training.epochs": 2},
    free={"mixing.alpha": FloatDistribution(0, 2), "training.batch_size": CategoricalDistribution((20, 50))},
    baselines=({"mixing.alpha": 0.5, "training.batch_size": 50},),
)


class Command:
    """Runs a command line in this process; afterwards `out` and `err` are what it printed."""

    def __init__(self, capsys):
        self.capsys = capsys

    def __call__(self, *arguments):
        self.capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        self.out, self.err = self.capsys.readouterr()
        return code

    def refused(self, *arguments):
        """The one line with which a command refuses its input."""
        assert self(*arguments) == 2, (self.out, self.err)
        assert self.err.startswith("tune-mixup: ") and self.err.count("\n") == 1 and self.err.endswith("\n"), self.err
        return self.err


@pytest.fixture
def command(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNE_MIXUP_TRACEBACK", raising=False)
    monkeypatch.delenv("TUNE_MIXUP_DATA", raising=False)
    return Command(capsys)


@pytest.fixture
def start_sweep(tmp_path):
    """Makes the record of a sweep without running it: trial -> (state, accuracy per epoch)."""

    def start(name="gm", *, root=None, trials=()):
        config = plan(SPACE, name=name, metric="val_accuracy")
        record = SweepRecord.create(
            root or tmp_path / "sweeps", name, config.model_dump(mode="json"), direction="maximize"
        )
        for place, (state, accuracies) in enumerate(trials):
            point = {"mixing.alpha": 0.5 + place / 64, "training.batch_size": 50}  # each another setting
            record.study.optuna.enqueue_trial(point)
            number = record.study.optuna.ask(dict(SPACE.free)).number
            folder = record.folder.trial(number)
            folder.path.mkdir()
            folder.write_config(config.trial(point).plain())
            for epoch, accuracy in enumerate(accuracies, start=1):
                folder.append_epoch({"epoch": epoch, "val_accuracy": accuracy, "val_nll": 1.0})
                record.study.report(number, epoch, accuracy)
            if state != "RUNNING":
                record.study.finish(number, Outcome(TrialState[state], f"reason {number}"))
        return record

    return start
