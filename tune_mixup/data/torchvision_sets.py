"""The data sets of torchvision, one class for each: how they are asked for, and what they let one choose.

Omniglot is not among them: torchvision numbers its characters by the order in which a folder lists them, which is
another one on each host. CIFAR and Fashion-MNIST have names of their own: `cifar10`, `cifar100`, `fashion_mnist`.
"""

from typing import ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from tune_mixup.data.torchvision_set import (
    TRAIN_OR_NOT,
    TRAIN_TEST,
    TRAIN_TEST_VAL,
    WHOLE,
    Arguments,
    Offered,
    TorchvisionSet,
)


class Svhn(TorchvisionSet):
    """Street View House Numbers: digits, 32 x 32 colour.

    Netzer et al., "Reading Digits in Natural Images with Unsupervised Feature Learning", NIPS workshop 2011.
    """

    offered: ClassVar[Offered] = Offered("SVHN", ("train_32x32.mat", "test_32x32.mat"), TRAIN_TEST, names=None)
    name: Literal["torchvision:svhn"] = "torchvision:svhn"


class Mnist(TorchvisionSet):
    """Handwritten digits, 28 x 28 grey.

    LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998.
    """

    offered: ClassVar[Offered] = Offered("MNIST", ("MNIST/raw",), TRAIN_OR_NOT)
    name: Literal["torchvision:mnist"] = "torchvision:mnist"
    channels: Literal[1, 3] = 1


class Kmnist(TorchvisionSet):
    """Kuzushiji-MNIST: ten Japanese characters, 28 x 28 grey.

    Clanuwat et al., "Deep Learning for Classical Japanese Literature", arXiv:1812.01718.
    """

    offered: ClassVar[Offered] = Offered("KMNIST", ("KMNIST/raw",), TRAIN_OR_NOT)
    name: Literal["torchvision:kmnist"] = "torchvision:kmnist"
    channels: Literal[1, 3] = 1


class Emnist(TorchvisionSet):
    """Handwritten digits and letters, 28 x 28 grey, lying on their side as in the files.

    Cohen et al., "EMNIST: an extension of MNIST to handwritten letters", arXiv:1702.05373.
    """

    offered: ClassVar[Offered] = Offered("EMNIST", ("EMNIST/raw",), TRAIN_OR_NOT)
    name: Literal["torchvision:emnist"] = "torchvision:emnist"
    channels: Literal[1, 3] = 1
    split: Literal["byclass", "bymerge", "balanced", "letters", "digits", "mnist"] = "balanced"
    """Which of its six selections of characters, by the names that its authors gave them."""

    @property
    @override
    def arguments(self) -> Arguments:
        return {"split": self.split}


class Qmnist(TorchvisionSet):
    """MNIST made anew from its source, with all 60,000 test digits, 28 x 28 grey.

    Yadav and Bottou, "Cold Case: the Lost MNIST Digits", NeurIPS 2019.
    """

    offered: ClassVar[Offered] = Offered("QMNIST", ("QMNIST/raw",), TRAIN_OR_NOT)
    name: Literal["torchvision:qmnist"] = "torchvision:qmnist"
    channels: Literal[1, 3] = 1


class Usps(TorchvisionSet):
    """Digits from envelopes, 16 x 16 grey.

    Hull, "A database for handwritten text recognition research", IEEE PAMI 1994.
    """

    offered: ClassVar[Offered] = Offered("USPS", ("usps.bz2", "usps.t.bz2"), TRAIN_OR_NOT, names=None)
    name: Literal["torchvision:usps"] = "torchvision:usps"
    channels: Literal[1, 3] = 1


class Stl10(TorchvisionSet):
    """STL-10: ten classes, 96 x 96 colour; its images without labels are not read.

    Coates, Lee and Ng, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning", AISTATS 2011.
    """

    offered: ClassVar[Offered] = Offered("STL10", ("stl10_binary",), TRAIN_TEST)
    name: Literal["torchvision:stl10"] = "torchvision:stl10"


class Gtsrb(TorchvisionSet):
    """German traffic signs, called by their numbers, colour, of many sizes.

    Stallkamp et al., "Man vs. computer", Neural Networks 2012.
    """

    offered: ClassVar[Offered] = Offered("GTSRB", ("gtsrb",), TRAIN_TEST, names=None)
    name: Literal["torchvision:gtsrb"] = "torchvision:gtsrb"


class Food101(TorchvisionSet):
    """Food-101: dishes, colour, of many sizes.

    Bossard, Guillaumin and Van Gool, "Food-101", ECCV 2014.
    """

    offered: ClassVar[Offered] = Offered("Food101", ("food-101",), TRAIN_TEST)
    name: Literal["torchvision:food101"] = "torchvision:food101"


class Pets(TorchvisionSet):
    """Oxford-IIIT Pet: breeds of cats and dogs, colour, of many sizes.

    Parkhi et al., "Cats and Dogs", CVPR 2012.
    """

    offered: ClassVar[Offered] = Offered(
        "OxfordIIITPet", ("oxford-iiit-pet",), {"train": {"split": "trainval"}, "test": {"split": "test"}}
    )
    name: Literal["torchvision:pets"] = "torchvision:pets"


class Flowers102(TorchvisionSet):
    """Oxford Flowers: 102 kinds, colour, of many sizes.

    Nilsback and Zisserman, "Automated Flower Classification over a Large Number of Classes", ICVGIP 2008.
    """

    offered: ClassVar[Offered] = Offered("Flowers102", ("flowers-102",), TRAIN_TEST_VAL)
    name: Literal["torchvision:flowers102"] = "torchvision:flowers102"


class Dtd(TorchvisionSet):
    """Describable Textures, colour, of many sizes.

    Cimpoi et al., "Describing Textures in the Wild", CVPR 2014.
    """

    offered: ClassVar[Offered] = Offered("DTD", ("dtd",), TRAIN_TEST_VAL)
    name: Literal["torchvision:dtd"] = "torchvision:dtd"
    partition: int = Field(default=1, ge=1, le=10)
    """Which of the ten published ways to split it."""

    @property
    @override
    def arguments(self) -> Arguments:
        return {"partition": self.partition}


class EuroSat(TorchvisionSet):
    """EuroSAT: land from above, 64 x 64 colour.

    Helber et al., "EuroSAT", IEEE JSTARS 2019.
    """

    offered: ClassVar[Offered] = Offered("EuroSAT", ("eurosat",), WHOLE)
    name: Literal["torchvision:eurosat"] = "torchvision:eurosat"


class FgvcAircraft(TorchvisionSet):
    """FGVC-Aircraft, colour, of many sizes.

    Maji et al., "Fine-Grained Visual Classification of Aircraft", arXiv:1306.5151.
    """

    offered: ClassVar[Offered] = Offered("FGVCAircraft", ("fgvc-aircraft-2013b",), TRAIN_TEST_VAL)
    name: Literal["torchvision:fgvc_aircraft"] = "torchvision:fgvc_aircraft"
    annotation_level: Literal["variant", "family", "manufacturer"] = "variant"
    """What the classes are."""

    @property
    @override
    def arguments(self) -> Arguments:
        return {"annotation_level": self.annotation_level}


class Cars(TorchvisionSet):
    """Stanford Cars, colour, of many sizes; torchvision can't download it any more.

    Krause et al., "3D Object Representations for Fine-Grained Categorization", ICCV workshop 2013.
    """

    offered: ClassVar[Offered] = Offered("StanfordCars", ("stanford_cars",), TRAIN_TEST)
    name: Literal["torchvision:cars"] = "torchvision:cars"


class Caltech101(TorchvisionSet):
    """Caltech 101: objects, of many sizes.

    Li, Fergus and Perona, "Learning Generative Visual Models from Few Training Examples", CVPR workshop 2004.
    """

    offered: ClassVar[Offered] = Offered("Caltech101", ("caltech101",), WHOLE, names="categories")
    name: Literal["torchvision:caltech101"] = "torchvision:caltech101"


class Country211(TorchvisionSet):
    """Photographs by the country that they were taken in, colour, of many sizes.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
    """

    offered: ClassVar[Offered] = Offered("Country211", ("country211",), {**TRAIN_TEST, "val": {"split": "valid"}})
    name: Literal["torchvision:country211"] = "torchvision:country211"


class Sun397(TorchvisionSet):
    """Scenes, colour, of many sizes.

    Xiao et al., "SUN Database", CVPR 2010.
    """

    offered: ClassVar[Offered] = Offered("SUN397", ("SUN397",), WHOLE, ordered=False)
    name: Literal["torchvision:sun397"] = "torchvision:sun397"


class Semeion(TorchvisionSet):
    """Handwritten digits, 16 x 16, black and white.

    Buscema and Terzi, "Semeion Handwritten Digit", UCI Machine Learning Repository, 1994.
    """

    offered: ClassVar[Offered] = Offered("SEMEION", ("semeion.data",), WHOLE, names=None)
    name: Literal["torchvision:semeion"] = "torchvision:semeion"
    channels: Literal[1, 3] = 1


TORCHVISION: dict[str, type[TorchvisionSet]] = {
    "torchvision:svhn": Svhn,
    "torchvision:mnist": Mnist,
    "torchvision:kmnist": Kmnist,
    "torchvision:emnist": Emnist,
    "torchvision:qmnist": Qmnist,
    "torchvision:usps": Usps,
    "torchvision:stl10": Stl10,
    "torchvision:gtsrb": Gtsrb,
    "torchvision:food101": Food101,
    "torchvision:pets": Pets,
    "torchvision:flowers102": Flowers102,
    "torchvision:dtd": Dtd,
    "torchvision:eurosat": EuroSat,
    "torchvision:fgvc_aircraft": FgvcAircraft,
    "torchvision:cars": Cars,
    "torchvision:caltech101": Caltech101,
    "torchvision:country211": Country211,
    "torchvision:sun397": Sun397,
    "torchvision:semeion": Semeion,
}
