"""Every architecture keeps the promises of `tune_mixup.testing`."""

import pytest

from tune_mixup.models import MODELS
from tune_mixup.models.preact_resnet import PreActResNet18
from tune_mixup.models.vgg import Vgg11
from tune_mixup.models.wide_resnet import WideResNet
from tune_mixup.testing import ModelContract

SETTINGS = {name: model() for name, model in MODELS.items()} | {
    "preact_resnet18 puzzlemix": PreActResNet18(variant="puzzlemix"),
    "preact_resnet18 puzzlemix stride 2": PreActResNet18(variant="puzzlemix", stem_stride=2),
    "vgg11 speech": Vgg11(variant="speech"),
    # The full width is the same code and takes seconds; its topology is checked by the parameter counts.
    "wide_resnet": WideResNet(depth=10, width=1),
    "wide_resnet puzzlemix": WideResNet(depth=10, width=1, variant="puzzlemix"),
    "wide_resnet fmix": WideResNet(depth=10, width=1, variant="fmix"),
    "wide_resnet saliencymix": WideResNet(depth=10, width=1, variant="saliencymix"),
    "wide_resnet openmixup": WideResNet(depth=10, width=1, variant="openmixup"),
}


class TestModels(ModelContract):
    @pytest.fixture(autouse=True, params=SETTINGS)
    def settings(self, request):
        self.part = SETTINGS[request.param]


def test_every_model_is_registered_under_its_own_name():
    assert {name: model().name for name, model in MODELS.items()} == {name: name for name in MODELS}
