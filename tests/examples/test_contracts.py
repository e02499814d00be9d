"""The examples keep the promises of `tune_mixup.testing`, which users check in the same way."""

from pathlib import Path

from tune_mixup.outside import importing_from
from tune_mixup.testing import DatasetContract, MixerContract, ModelContract, StoppingContract

with importing_from([Path(__file__).parents[2] / "examples"]):
    from my_dataset import Bars
    from my_mixer import Stripes
    from my_model import SmallNet
    from my_stopping_rule import Patience


class TestStripes(MixerContract):
    part = Stripes(alpha=0.5, period=6)


class TestSmallNet(ModelContract):
    part = SmallNet()


class TestBars(DatasetContract):
    part = Bars(per_class=30)


class TestPatience(StoppingContract):
    part = Patience(patience=2)
