import pytest
from session_contract import SessionContract

from tune_mixup.samplers import SAMPLERS
from tune_mixup.samplers.gp import Gp
from tune_mixup.samplers.tpe import Tpe
from tune_mixup.stopping import STOPPING
from tune_mixup.stopping.asha import Asha
from tune_mixup.stopping.hyperband import Hyperband
from tune_mixup.stopping.median import Median

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

EARLY = {"tpe": Tpe(startup_trials=2), "gp": Gp(startup_trials=2)}
"""Those that learn, from the third trial on."""
SHORT = {
    "asha": Asha(grace_epochs=1, strata="none", control_fraction=0.0),
    "hyperband": Hyperband(grace_epochs=1, reduction_factor=2, strata="none", control_fraction=0.0),
    "median": Median(grace_epochs=1, min_others=2, control_fraction=0.0),
}
"""Those that stop trials, early enough for four epochs."""


@pytest.mark.parametrize("name", SAMPLERS, scope="class")
class TestSamplers(SessionContract):
    @pytest.fixture(autouse=True)
    def _chosen(self, name):
        self.name = name

    def sampler(self):
        return EARLY.get(self.name) or SAMPLERS[self.name]()


@pytest.mark.parametrize("name", STOPPING, scope="class")
class TestStoppingRules(SessionContract):
    @pytest.fixture(autouse=True)
    def _chosen(self, name):
        self.name = name

    def stopping(self):
        return SHORT.get(self.name) or STOPPING[self.name]()
