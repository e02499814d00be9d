import subprocess
import sys

import pytest
from stopping_contract import StoppingContract

from tune_mixup.stopping import STOPPING
from tune_mixup.stopping.asha import Asha
from tune_mixup.stopping.base import Objective
from tune_mixup.stopping.hyperband import Hyperband
from tune_mixup.stopping.median import Median
from tune_mixup.stopping.never import Never

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


@pytest.mark.parametrize("name", SETTINGS, scope="class")
class TestStoppingRules(StoppingContract):
    @pytest.fixture(autouse=True)
    def _chosen(self, name):
        self.chosen = SETTINGS[name]

    def settings(self):
        return self.chosen


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
    assert rule.rungs(100) == [10, 30] and (rule.one_in, rule.share_spared, rule.by_strength) == (3, 0.05, True)
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
