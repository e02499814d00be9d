"""Every stopping rule keeps the promises of `tune_mixup.testing`."""

import pytest

from tune_mixup.stopping import STOPPING, AnyStopping
from tune_mixup.stopping.asha import Asha
from tune_mixup.stopping.hyperband import Hyperband
from tune_mixup.stopping.median import Median
from tune_mixup.stopping.never import Never
from tune_mixup.sweep_config import SweepConfig
from tune_mixup.testing import StoppingContract
from tune_mixup.testing.kills import killed_after_each_write
from tune_mixup.testing.made_up_sweep import SPACE
from tune_mixup.testing.parts import PartContract

SETTINGS = {
    "asha": Asha(grace_epochs=1),
    "asha of single reports": Asha(grace_epochs=1, smoothing=1, strata="none", reduction_factor=2),
    "hyperband": Hyperband(grace_epochs=1),
    "median": Median(grace_epochs=2),
    "none": Never(),
}


class TestStopping(StoppingContract):
    @pytest.fixture(autouse=True, params=SETTINGS)
    def settings(self, request):
        self.part = SETTINGS[request.param]


class TestDefaults(PartContract):
    kind = AnyStopping

    @pytest.fixture(autouse=True, params=STOPPING)
    def settings(self, request):
        self.part = STOPPING[request.param]()


def test_the_suite_is_over_the_whole_registry():
    assert {type(rule) for rule in SETTINGS.values()} == set(STOPPING.values())
    assert {name: rule().name for name, rule in STOPPING.items()} == {name: name for name in STOPPING}


def test_the_sweep_that_is_killed_has_trials_of_every_fate():
    config = SweepConfig.parse(
        {"name": "s", "space": SPACE, "sampler": {"name": "random"}, "stopping": SETTINGS["asha"], "trials": 8,
         "metric": "val_accuracy"}
    )  # fmt: skip
    outcome = killed_after_each_write(config)
    assert outcome.killed == outcome.unbroken and outcome.kills > 50
    assert all(fate in outcome.unbroken for fate in (b"COMPLETE", b"PRUNED", b"epoch 3: diverged", b"ValueError: no"))
