"""Trial configurations: what is refused when they are parsed, before anything starts, and what counts as the same."""

import math
import subprocess
import sys

import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data.digits import Digits
from tune_mixup.data.synthetic import Synthetic
from tune_mixup.mixing import METHODS
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.training.fitting import load_fitting

MIXTURE = {"mixing.name": "mixture"}
MANIFOLD = {"mixing.name": "manifold_mixup"}
STRATIFIED = {"data.batches": "stratified"}

BAD = [
    # Impossible probabilities
    (MIXTURE | {"mixing.weights.mixup": 0, "mixing.weights.cutmix": 0}, "must have a positive, finite sum"),
    (MIXTURE | {"mixing.weights.mixup": -1, "mixing.weights.cutmix": 2}, "mixing.weights.mixup: got -1"),
    (MIXTURE | {"mixing.weights.mixup": math.nan, "mixing.weights.cutmix": 1}, "mixing.weights.mixup: got nan"),
    (MIXTURE | {"mixing.weights.mixup": math.inf, "mixing.weights.cutmix": 1}, "mixing.weights.mixup: got inf"),
    (MIXTURE | {"mixing.weights.mixup": 1}, "mixing: weights.cutmix is missing"),
    ({"mixing.name": "cutmix", "mixing.probability": 1.5}, "mixing.applied: got 1.5"),
    ({"mixing.name": "cutmix", "mixing.probability": -0.1}, "mixing.applied: got -0.1"),
    ({"mixing.name": "saliencymix", "mixing.probability": 1.5}, "mixing.applied: got 1.5"),
    ({"mixing.name": "cutmix", "mixing.probability": math.nan}, "mixing.applied: got nan"),
    (MIXTURE | {"mixing.weights.mixup": "0.4", "mixing.weights.cutmix": 0.6}, "mixing.weights.mixup: got '0.4'"),
    (MIXTURE | {"mixing.members.cutmix.probability": 2.0}, "mixing.members.cutmix.applied: got 2.0"),
    (MIXTURE | {"mixing.repeats": 0}, "mixing.repeats: got 0"),
    # Unknown methods and members
    ({"mixing.name": "mixupp"}, "mixing.name: got 'mixupp', which is not known; did you mean mixup?"),
    (MIXTURE | {"mixing.members.cutmixx.alpha": 1.0}, "mixing.members.cutmixx.name: got 'cutmixx', which is not known"),
    (MIXTURE | {"mixing.members.a.name": "cutmixx"}, "mixing.members.a.name: got 'cutmixx', which is not known"),
    (MIXTURE | {"mixing.members": {}}, "mixing.members: got {}, must be settings of one method or more"),
    (MIXTURE | {"mixing.weights.a": 1, "mixing.weights.mixup": 1, "mixing.weights.cutmix": 1}, "weights.a is for no"),
    # A mixture inside a mixture
    (MIXTURE | {"mixing.members.mixture.per": "batch"}, "mixing.members: a mixture can't hold another mixture"),
    (MIXTURE | {"mixing.members.a.name": "mixture"}, "mixing.members: a mixture can't hold another mixture"),
    # Features of networks that have too few stages
    (MANIFOLD | {"mixing.layers": [0, 4]}, "mixing.name=manifold_mixup mixes features after stage 4, but "),
    (MANIFOLD | {"mixing.layers": "1 4", "model.name": "wide_resnet"}, "model.name=wide_resnet has 3 stages"),
    (MIXTURE | {"mixing.members.manifold_mixup.layers": [6], "model.name": "vgg11"}, "model.name=vgg11 has 5 stages"),
    (MANIFOLD | {"mixing.layers": [-1]}, "mixing.layers: got [-1]"),
    (MANIFOLD | {"mixing.layers": []}, "mixing.layers: got []"),
    (MIXTURE | {"mixing.members.manifold_mixup.alpha": 2.0, "mixing.per": "sample"}, "manifold_mixup mixes features"),
    # alpha
    *(
        ({"mixing.name": name, "mixing.alpha": alpha} | STRATIFIED, f"mixing.alpha: got {alpha}")
        for name in METHODS
        if "alpha" in METHODS[name].model_fields
        for alpha in (-1.0, 1e-4, math.nan, math.inf)
    ),
    ({"mixing.name": "mixup", "mixing.alpha": "1"}, "mixing.alpha: got '1', must be a number"),
    (MIXTURE | {"mixing.members.cutmix.alpha": -1.0}, "mixing.members.cutmix.alpha: got -1.0"),
    (MIXTURE | {"mixing.members.cutmix.alpha": 1e-4}, "mixing.members.cutmix.alpha: got 0.0001"),
    # Ranges that leave nothing
    ({"mixing.name": "resizemix", "mixing.min_tau": 0.9, "mixing.max_tau": 0.5}, "mixing.max_tau: got 0.5"),
    ({"mixing.name": "resizemix", "mixing.min_tau": 0.0}, "mixing.min_tau: got 0"),
    ({"mixing.name": "resizemix", "mixing.max_tau": 1.5}, "mixing.max_tau: got 1.5"),
    ({"mixing.name": "resizemix", "mixing.min_tau": math.nan}, "mixing.min_tau: got nan"),
    ({"mixing.name": "gridmix", "mixing.min_area": 0.0}, "mixing.min_area: got 0"),
    ({"mixing.name": "gridmix", "mixing.min_aspect": 3.0}, "mixing.max_aspect: got 2, must be at least min_aspect"),
    ({"mixing.name": "fmix", "mixing.decay": -1.0}, "mixing.decay: got -1.0"),
    # Variants and measures that nobody has
    ({"mixing.name": "fmix", "mixing.variant": "openmixup"}, "mixing.variant: got 'openmixup', must be"),
    ({"mixing.name": "gridmix", "mixing.variant": "official"}, "mixing.variant: got 'official', must be"),
    (
        {"mixing.name": "saliencymix", "mixing.saliency": "gradients"},
        "'gradients', which is not known; did you mean gra",
    ),
    ({"mixing.name": "cutmix", "mixing.per": "pixel"}, "mixing.per: got 'pixel', must be 'batch' or 'sample'"),
    ({"mixing.name": "smoothmix", "mixing.min_sigma": 0.6}, "mixing.max_sigma: got 0.5, must be at least min_sigma"),
    ({"mixing.name": "gridmix", "mixing.min_holes": 7}, "mixing.max_holes: got 6, must be at least min_holes"),
    # Partners
    (
        {"mixing.name": "cutmix", "mixing.partners.name": "confusion"},
        "data.batches: got 'shuffled', but mixing.name=cut",
    ),
    ({"mixing.name": "cutmix", "mixing.partners.name": "derranged"}, "did you mean deranged?"),
    ({"mixing.name": "cutmix", "mixing.partners.gamma": 1.0}, "mixing.partners.name: is missing"),
    ({"mixing.name": "generalized_mixup"}, "data.batches: got 'shuffled'"),
    (
        MIXTURE | {"mixing.members.generalized_mixup.gamma": 1.0},
        "data.batches: got 'shuffled', but mixing.name=mixture",
    ),
    # Losses
    ({"loss.name": "focal"}, "loss.name: got 'focal', which is not known"),
    ({"loss.label_smoothing": 1.0}, "loss.label_smoothing: got 1.0, must be less than 1"),
    ({"loss.eta": 0.1}, "loss.eta: there is no such setting"),
]


@pytest.mark.parametrize(("settings", "message"), BAD, ids=lambda value: str(value))
def test_what_can_not_work_is_refused_in_one_line(settings, message):
    with pytest.raises(ValueError) as error:
        TrialConfig.from_dotted(settings)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# What does not fit the data: digits are 8 x 8 pixels in 10 classes, which is known before they are read.
UNFIT = [
    ({"mixing.name": "resizemix"}, "mixing.min_tau: got 0.1, which gives empty boxes on images of 8 x 8 pixels"),
    (MIXTURE | {"mixing.members.resizemix.min_tau": 0.2}, "mixing.min_tau: got 0.2, which gives empty boxes"),
    ({"mixing.name": "gridmix", "mixing.min_holes": 8, "mixing.max_holes": 8}, "gridmix: a cell with a hole needs 2 x"),
    (MIXTURE | {"mixing.members.gridmix.hole_aspect": 0.25}, "gridmix: a cell with a hole needs 2 x 2 pixels"),
    ({"mixing.name": "generalized_mixup", "model.num_classes": 12} | STRATIFIED, "model.num_classes: got 12"),
    ({"model.num_classes": 9}, "the data has 10 classes, model.num_classes is 9"),
    ({"mixing.name": "mixup", "model.name": "vgg11"}, "the images are 8 x 8 pixels, model vgg11 needs at least 16"),
]


@pytest.mark.parametrize(("settings", "message"), UNFIT, ids=lambda value: str(value))
def test_what_does_not_fit_the_data_is_refused_in_one_line(settings, message):
    with pytest.raises(ValueError) as error:
        TrialConfig.from_dotted({"data.name": "digits"}, settings)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("settings", "message"), UNFIT, ids=lambda value: str(value))
def test_what_does_not_fit_data_that_must_be_read_is_refused_before_a_model_is_built(monkeypatch, settings, message):
    monkeypatch.setattr(Digits, "known_shape", lambda self: None)  # as of a folder of images
    config = TrialConfig.from_dotted({"data.name": "digits"}, settings)
    with pytest.raises(ValueError) as error:
        load_fitting(config, device=torch.device("cpu"))
    assert message in str(error.value)


def test_batches_that_the_data_can_not_fill_are_refused():
    config = TrialConfig.from_dotted({"mixing.name": "generalized_mixup", "training.batch_size": 64} | STRATIFIED)
    with pytest.raises(ValueError, match="64"):
        load_fitting(config, device=torch.device("cpu"))


@pytest.mark.parametrize("data", [Digits(), Synthetic(num_classes=3, size=12)])
def test_the_shape_that_is_known_is_that_of_the_images(data):
    train, class_names = data.read_train()
    assert data.known_shape() == (len(class_names), *train.images.shape[-2:])


GOOD = [
    MANIFOLD | {"mixing.layers": [0, 1, 2, 3]},
    MANIFOLD | {"mixing.layers": "5", "model.name": "vgg11", "data.name": "cifar10"},
    MIXTURE | {"mixing.weights.mixup": 4, "mixing.weights.cutmix": 6},
    MIXTURE | {"mixing.members.mixup.alpha": 0.1, "mixing.members.cutmix": {}, "mixing.repeats": 2},
    {"mixing.name": "cutmix", "mixing.partners.name": "confusion"} | STRATIFIED,
    {"mixing.name": "cutmix", "mixing.partners.name": "confusion", "mixing.partners.pairing": "independent"},
    {"mixing.name": "cutmix", "mixing.partners.name": "deranged"},
    {"mixing.name": "gridmix", "mixing.variant": "openmixup"},
    {"mixing.name": "saliencymix", "mixing.saliency": "gradient"},
    {"mixing.name": "generalized_mixup", "mixing.per": "sample"} | STRATIFIED,
    {"mixing.name": "mixup", "mixing.alpha": 0, "loss.name": "decoupled", "loss.eta": 1},
]


@pytest.mark.parametrize("settings", GOOD, ids=str)
def test_what_works_survives_its_plain_form(settings):
    config = TrialConfig.from_dotted(settings)
    assert TrialConfig.parse(config.plain()) == config
    assert TrialConfig.parse(config.plain()).identity() == config.identity()


SAME = [
    ({"mixing.name": "mixup", "mixing.alpha": 0.0}, {"mixing.name": "erm"}),
    ({"mixing.name": "smoothmix"}, {"mixing.name": "smoothmix", "mixing.partners.name": "random"}),
    (MIXTURE | {"mixing.members.mixup.alpha": 0.3}, {"mixing.name": "mixup", "mixing.alpha": 0.3}),
    (
        MIXTURE | {"mixing.weights.mixup": 0.4, "mixing.weights.cutmix": 0.6},
        MIXTURE | {"mixing.weights.mixup": 2, "mixing.weights.cutmix": 3},
    ),
    (
        {"mixing.name": "generalized_mixup", "mixing.gamma": 0.5, "mixing.alpha": 0.3} | STRATIFIED,
        {
            "mixing.name": "mixup",
            "mixing.alpha": 0.3,
            "mixing.partners.name": "confusion",
            "mixing.partners.gamma": 0.5,
        }
        | STRATIFIED,
    ),
    (MANIFOLD | {"mixing.layers": [0], "mixing.alpha": 1.0}, {"mixing.name": "mixup", "mixing.alpha": 1.0}),
    ({"loss.name": "decoupled", "loss.eta": 0.0}, {"loss.name": "cross_entropy"}),
    ({"seed": 3}, {"seed": 4}),
]


@pytest.mark.parametrize(("one", "other"), SAME, ids=str)
def test_settings_that_train_alike_have_one_identity(one, other):
    assert TrialConfig.from_dotted(one).identity() == TrialConfig.from_dotted(other).identity()


def test_settings_that_train_differently_have_different_identities():
    settings = [{}, *GOOD, {"loss.label_smoothing": 0.1}, {"loss.name": "softmax_bce"}, MIXTURE, MANIFOLD]
    settings = [each for each in settings if each.get("mixing.alpha") != 0]
    assert len({TrialConfig.from_dotted(each).identity() for each in settings}) == len(settings)


def test_members_given_replace_the_default_ones():
    config = TrialConfig.from_dotted(MIXTURE | {"mixing.members.weak.name": "mixup", "mixing.members.weak.alpha": 0.2})
    assert config.mixing == Mixture(members={"weak": Mixup(alpha=0.2)})


def test_reading_settings_waits_for_no_compiler():
    code = "import sys, tune_mixup.config; print({'torchvision', 'torch._dynamo'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
