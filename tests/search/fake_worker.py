"""Plans and records of the made-up sweep of `tune_mixup.testing`, with its worker under short names."""

from tune_mixup.sweep_config import SweepConfig
from tune_mixup.testing.kills import create as create
from tune_mixup.testing.made_up_sweep import SPACE as SPACE
from tune_mixup.testing.made_up_sweep import decisions as decisions
from tune_mixup.testing.made_up_sweep import row_of as row_of
from tune_mixup.testing.made_up_sweep import step as step
from tune_mixup.testing.made_up_sweep import value_of as value_of
from tune_mixup.testing.made_up_sweep import work as work


def plan(**changes):
    settings = {"name": "s", "space": SPACE, "trials": 10, "grace_epochs": 1, "metric": "val_accuracy", **changes}
    return SweepConfig.from_record(settings)  # whose flat names say less than sections would
