"""Parts of the package under other names: they train bit for bit alike."""

from tune_mixup.data.synthetic import Synthetic
from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.partners import RandomPartners
from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.optimizer import Sgd
from tune_mixup.schedule import Cosine


class MyMixup(Mixup):
    pass


class MyPartners(RandomPartners):
    pass


class MyData(Synthetic):
    pass


class MyModel(TinyResNet):
    pass


class MyLoss(CrossEntropy):
    pass


class MySgd(Sgd):
    pass


class MyCosine(Cosine):
    pass
