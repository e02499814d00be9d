"""Every stopping rule keeps the promises of `tune_mixup.testing`, and what else ours say of themselves."""

import subprocess
import sys
from unittest import SkipTest

import pytest

from tune_mixup.stopping import STOPPING
from tune_mixup.stopping.asha import Asha
from tune_mixup.stopping.base import Objective
from tune_mixup.stopping.hyperband import Hyperband
from tune_mixup.stopping.median import Median
from tune_mixup.stopping.never import Never
from tune_mixup.sweep_config import SweepConfig
from tune_mixup.testing import StoppingContract
from tune_mixup.testing.kills import killed_after_each_write
from tune_mixup.testing.made_up_sweep import SPACE

SETTINGS = {
    "asha": Asha(grace_epochs=1),
    "asha of halves": Asha(grace_epochs=2, reduction_factor=2, smoothing=1),
    "hyperband": Hyperband(grace_epochs=1),
    "median": Median(grace_epochs=2),
    "median of one other": Median(grace_epochs=1, min_others=1),
    "none": Never(),
}
ACCURACY = Objective("val_accuracy", "maximize")
MEDIAN = Objective("val_accuracy_median", "maximize", is_median=True)


class TestStoppingRules(StoppingContract):
    @pytest.fixture(autouse=True, params=SETTINGS)
    def settings(self, request):
        self.part = SETTINGS[request.param]


def test_the_suite_is_over_the_whole_registry():
    assert {type(rule) for rule in SETTINGS.values()} == set(STOPPING.values())


@pytest.mark.parametrize("name", SETTINGS)
def test_each_stops_a_trial_of_the_suite_unless_it_stops_none(name):
    suite, rule = StoppingContract(), SETTINGS[name]
    suite.part = rule
    if rule.has_rungs or rule.needs_every_epoch:
        suite.test_some_trial_is_stopped()
    else:
        with pytest.raises(SkipTest):
            suite.test_some_trial_is_stopped()


def test_the_sweep_that_is_killed_has_trials_of_every_fate():
    config = SweepConfig.parse(
        {"name": "s", "space": SPACE, "sampler": {"name": "random"}, "stopping": SETTINGS["asha"], "trials": 8,
         "metric": "val_accuracy"}
    )  # fmt: skip
    outcome = killed_after_each_write(config)
    assert outcome.killed == outcome.unbroken and outcome.kills > 50
    assert all(fate in outcome.unbroken for fate in (b"COMPLETE", b"PRUNED", b"epoch 3: diverged", b"ValueError: no"))


@pytest.mark.parametrize("name", STOPPING)
def test_the_registry_names_what_it_holds(name):
    assert STOPPING[name]().name == name


def test_what_rules_say_of_themselves():
    table = {name: (rule.has_rungs, rule.needs_every_epoch) for name, rule in STOPPING.items()}
    assert table == {
        "asha": (True, False),
        "hyperband": (True, False),
        "median": (False, True),
        "none": (False, False),
    }
    assert {name: sorted(set(rule.model_fields) - {"name"}) for name, rule in STOPPING.items()} == {
        "asha": ["control_fraction", "grace_epochs", "reduction_factor", "smoothing", "strata"],
        "hyperband": ["control_fraction", "grace_epochs", "reduction_factor", "smoothing", "strata"],
        "median": ["control_fraction", "grace_epochs", "min_others"],
        "none": [],
    }


def test_settings_are_what_callers_ask_for():
    rule = Asha(grace_epochs=2, reduction_factor=4, strata="none", control_fraction=0.5, smoothing=3)
    assert rule.rungs(40) == [2, 8, 32] and rule.rungs(40, drops=(9,)) == [2, 10, 32]
    assert (rule.one_in, rule.by_strength, rule.share_spared) == (4, False, 0.5)
    assert rule.reports_smoothed(ACCURACY) == 3
    assert Median(grace_epochs=4).rungs(40) == [4, 12] and Median(control_fraction=1.0).share_spared == 1


@pytest.mark.parametrize("name", STOPPING)
def test_without_settings_all_compare_as_asha_does(name):
    rule = STOPPING[name]()
    assert rule.rungs(100) == [18, 54] and (rule.one_in, rule.by_strength) == (3, True)
    assert (rule.reports_smoothed(ACCURACY), rule.reports_smoothed(MEDIAN)) == (5, 1)


def test_medians_are_not_smoothed_again():
    Asha(smoothing=1).check(MEDIAN)
    Asha(smoothing=7).check(ACCURACY)
    with pytest.raises(ValueError, match="^smoothing: got 2, but val_accuracy_median is a median of epochs already"):
        Hyperband(smoothing=2).check(MEDIAN)


def test_no_rule_needs_ray():
    code = (
        "import sys, tune_mixup.stopping as s; [rule() for rule in s.STOPPING.values()]; sys.exit('ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
