"""What is read from the source, beside what the classes themselves say when they are imported."""

import json
import subprocess
import sys

import pytest

from tune_mixup.config import TrialConfig
from tune_mixup.data import DATASETS
from tune_mixup.loss import LOSSES
from tune_mixup.mixing import MIXERS
from tune_mixup.models import MODELS
from tune_mixup.optimizer import OPTIMIZERS
from tune_mixup.outline import Source, check_settings
from tune_mixup.samplers import SAMPLERS
from tune_mixup.schedule import SCHEDULES
from tune_mixup.stopping import STOPPING
from tune_mixup.sweep_config import SweepConfig

REGISTRIES = {
    ("data", "DATASETS"): DATASETS,
    ("loss", "LOSSES"): LOSSES,
    ("mixing", "MIXERS"): MIXERS,
    ("models", "MODELS"): MODELS,
    ("optimizer", "OPTIMIZERS"): OPTIMIZERS,
    ("schedule", "SCHEDULES"): SCHEDULES,
    ("samplers", "SAMPLERS"): SAMPLERS,
    ("stopping", "STOPPING"): STOPPING,
}


@pytest.mark.parametrize("place", REGISTRIES, ids=str)
def test_the_names_of_a_registry_are_those_in_its_source(place):
    assert Source(place[0]).registry(place[1]) == list(REGISTRIES[place])


@pytest.mark.parametrize("place", REGISTRIES, ids=str)
def test_no_field_of_any_part_is_missing(place):
    known = Source(place[0]).all_fields()
    for part in REGISTRIES[place].values():
        assert part.model_fields.keys() <= known, part


def test_the_sections_are_those_of_the_classes():
    assert Source("config").fields("TrialConfig").keys() == TrialConfig.model_fields.keys()
    assert Source("sweep_config").fields("SweepConfig").keys() == SweepConfig.model_fields.keys()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mixing": {"alhpa": 1}}, "mixing.alhpa: there is no such setting here (got 1); did you mean mixing.alpha?"),
        ({"mixing": {"name": "mixupp"}}, "mixing.name: got 'mixupp', which is not known; did you mean mixup?"),
        ({"trainig": {}}, "trainig: there is no such setting here (got {}); did you mean training?"),
        ({"training": {"epoch": 1}}, "training.epoch: there is no such setting here (got 1); did you mean "
         "training.epochs?"),
        ({"training": {"compile": "modl"}}, "training.compile: got 'modl', must be 'none', 'model', 'step', 'graph' or "
         "'model+graph'; did you mean model?"),
        ({"sweep": {"outside": "foo"}}, "sweep.outside: got 'foo', must be 'drop', 'clip' or 'refuse'"),
        ({"sweep": {"trails": 3}}, "sweep.trails: there is no such setting here (got 3); did you mean sweep.trials?"),
        ({"sweep": {"sampler": "tpee"}}, "sweep.sampler.name: got 'tpee', which is not known; did you mean tpe?"),
        ({"sweep": {"sampler": "bayes"}}, "sweep.sampler.name: got 'bayes', which is not known; known: cmaes, gp, "
         "grid, qmc, random, tpe"),
        ({"sweep": {"stopping": {"grace_epoch": 2}}}, "sweep.stopping.grace_epoch: there is no such setting here (got "
         "2); did you mean sweep.stopping.grace_epochs?"),
    ],
)  # fmt: skip
def test_a_slip_of_the_pen_is_refused_with_what_was_meant(settings, words):
    with pytest.raises(ValueError) as caught:
        check_settings(settings)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"seed": 1, "sweep": {"scheduler": "asha", "max_epochs": 3, "stopping": {"name": "pbt"}}},
        {"sweep": {"grace_epochs": 3, "reduction_factor": 3, "strata": (), "smoothing": 1, "control_fraction": 0.1}},
        {"mixing": {"name": "my_parts.Mixer"}},
        {"mixing": {"name": "my_parts:Mixer", "alhpa": 1}},
        {"mixing": {"name": "mixup", "partners": {"name": "deranged"}}, "data": {"augment": {"flip": True}}},
        {"mixing": 3, "sweep": 3, "zzz": 1},
    ],
)
def test_what_is_no_slip_is_left_to_the_classes(settings):
    check_settings(settings)


def test_nothing_heavy_is_imported():
    code = (
        "import json, sys; from tune_mixup.outline import check_settings\n"
        "check_settings({'mixing': {'alpha': 1}, 'sweep': {'sampler': 'tpe'}})\n"
        "print(json.dumps([name for name in ('torch', 'ray', 'optuna', 'pandas', 'numpy') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
