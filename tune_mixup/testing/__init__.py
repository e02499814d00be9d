"""Contract suites for parts of your own: what a part of each kind promises, as classes for pytest to run.

    from tune_mixup.testing import MixerContract

    class TestMine(MixerContract):
        part = Mine(alpha=0.4)

The parts of this package pass the same suites.
"""

from tune_mixup.testing.datasets import DatasetContract as DatasetContract
from tune_mixup.testing.losses import LossContract as LossContract
from tune_mixup.testing.metrics import MetricContract as MetricContract
from tune_mixup.testing.mixers import MixerContract as MixerContract
from tune_mixup.testing.models import ModelContract as ModelContract
from tune_mixup.testing.partners import PartnersContract as PartnersContract
from tune_mixup.testing.rates import OptimizerContract as OptimizerContract
from tune_mixup.testing.rates import ScheduleContract as ScheduleContract
from tune_mixup.testing.samplers import SamplerContract as SamplerContract
from tune_mixup.testing.steps import StepContract as StepContract
from tune_mixup.testing.stopping import StoppingContract as StoppingContract
