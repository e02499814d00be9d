"""Architectures: name -> settings that build the network. A new architecture is one file and one line here.

torchvision, which brings torch's compiler along, is imported where ResNet-50 is built and nowhere else.
"""

from typing import Annotated

from tune_mixup.models.base import Model
from tune_mixup.models.base import StagedNetwork as StagedNetwork
from tune_mixup.models.preact_resnet import PreActResNet18
from tune_mixup.models.resnet import ResNet18, ResNet50, ResNext50
from tune_mixup.models.resnext29 import ResNext29
from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.models.vgg import Vgg11
from tune_mixup.models.wide_resnet import WideResNet
from tune_mixup.parts import PartOf

MODELS: dict[str, type[Model]] = {
    "tiny_resnet": TinyResNet,
    "preact_resnet18": PreActResNet18,
    "resnet18": ResNet18,
    "wide_resnet": WideResNet,
    "resnext29_4x24": ResNext29,
    "resnext50_32x4d": ResNext50,
    "vgg11": Vgg11,
    "resnet50": ResNet50,
}

AnyModel = Annotated[Model, PartOf(MODELS, "a model")]
