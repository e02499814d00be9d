"""What every mixer promises, checked over the registry and over the settings that take other paths."""

import pytest
import torch
from typing_extensions import override

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.alignmixup import AlignMixup
from tune_mixup.mixing.attentivemix import AttentiveMix
from tune_mixup.mixing.base import BatchMixer
from tune_mixup.mixing.comixup import CoMixup
from tune_mixup.mixing.confusion_partners import ConfusionPartners
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.fmix import FMix
from tune_mixup.mixing.generalized_mixup import GeneralizedMixup
from tune_mixup.mixing.gridmix import GridMix
from tune_mixup.mixing.manifold_mixup import ManifoldMixup
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.partners import DerangedPartners
from tune_mixup.mixing.puzzlemix import PuzzleMix
from tune_mixup.mixing.resizemix import ResizeMix
from tune_mixup.mixing.saliencymix import SaliencyMix
from tune_mixup.mixing.smoothmix import SmoothMix
from tune_mixup.mixing.teachers import EmaTeacher
from tune_mixup.testing import MixerContract
from tune_mixup.testing.batches import generator, linear
from tune_mixup.testing.batches import trained_batch as batch

ONCE = [name for name, mixer in MIXERS.items() if issubclass(mixer, BatchMixer)]
"""Methods that mix a batch once; what the others promise is checked beside them."""
SETTINGS = {name: MIXERS[name]() for name in ONCE} | {
    "mixup alpha 0.2": Mixup(alpha=0.2),
    "mixup per sample": Mixup(per="sample"),
    "cutmix half": CutMix(applied=0.5),
    "cutmix per sample": CutMix(per="sample", applied=0.5),
    "smoothmix per sample": SmoothMix(per="sample"),
    "gridmix per sample": GridMix(per="sample", alpha=1.0),
    "resizemix per sample": ResizeMix(per="sample", interpolation="bilinear", alpha=0.5),
    "fmix per sample": FMix(per="sample", max_soft=0.1),
    "smoothmix openmixup": SmoothMix(variant="openmixup"),
    "gridmix openmixup": GridMix(variant="openmixup", per="sample"),
    "fmix official": FMix(variant="official", per="sample"),
    "cutmix deranged": CutMix(partners=DerangedPartners()),
    "generalized per sample": GeneralizedMixup(per="sample"),
    "generalized sequential": GeneralizedMixup(pairing="sequential"),
    "generalized independent": GeneralizedMixup(pairing="independent"),
    "generalized permuted": GeneralizedMixup(rows="permuted", power_diagonal=False, diagonal=0.1),
    "generalized published": GeneralizedMixup(variant="published", gamma=1.0),
    "cutmix by published confusion": CutMix(partners=ConfusionPartners(variant="published")),
    "manifold per sample": ManifoldMixup(per="sample", layers=(1, 2)),
    "alignmixup per sample": AlignMixup(per="sample", layer=2, aligned=0.7),
    "alignmixup published": AlignMixup(variant="published", normalised=True, sweeps=5),
    "attentivemix per sample": AttentiveMix(per="sample", teacher=EmaTeacher(momentum=0.5)),
    "attentivemix published": AttentiveMix(variant="published"),
    "saliencymix per sample": SaliencyMix(per="sample", applied=0.5),
    "saliencymix official": SaliencyMix(variant="official"),
    "saliencymix gradient": SaliencyMix(saliency="gradient"),
    "saliencymix fine grained": SaliencyMix(saliency="fine_grained"),
    "puzzlemix per sample": PuzzleMix(per="sample", num_labels=2, t_eps=0.05),
    "puzzlemix published": PuzzleMix(variant="published", num_labels=4, t_eps=0.05, t_size=2),
    "puzzlemix in place": PuzzleMix(transport=False),
    "comixup in parts": CoMixup(part_size=4, grid=2, tau=0.5, threshold="soft", omega=0.3),
    "comixup beside clean images": CoMixup(clean_lam=0.5),
    "cutmix by confusion": CutMix(partners=ConfusionPartners(gamma=1.0)),
    "manifold by confusion": ManifoldMixup(partners=ConfusionPartners(pairing="independent")),
    "mixture per sample": Mixture(
        members={"erm": Erm(), "mixup": Mixup(per="sample"), "cutmix": CutMix(), "saliencymix": SaliencyMix()},
        weights={"erm": 0.5, "mixup": 1.0, "cutmix": 2.0, "saliencymix": 1.0},
        per="sample",
    ),
    "mixture of kinds": Mixture(
        members={
            "deep": ManifoldMixup(),
            "aligned": AlignMixup(),
            "attentive": AttentiveMix(),
            "guided": GeneralizedMixup(),
            "smoothmix": SmoothMix(),
            "cutmix": CutMix(partners=ConfusionPartners(pairing="sequential")),
        }
    ),
    "mixture of many": Mixture(
        members={"comixup": CoMixup(), "cutmix": CutMix(partners=ConfusionPartners(pairing="sequential"))}
    ),
    "mixture of many per sample": Mixture(members={"comixup": CoMixup(), "mixup": Mixup()}, per="sample"),
    "mixture of one": Mixture(members={"fmix": FMix()}),
}
every_mixer = pytest.mark.parametrize("mixer", SETTINGS.values(), ids=SETTINGS.keys())
MISLABELLED = {
    "smoothmix openmixup",
    "attentivemix published",
    "puzzlemix",
    "puzzlemix per sample",
    "puzzlemix published",
}
"""What reproduces published code whose labels do not weigh as much as the pixels, or moves pixels before it mixes."""
ONE_ROW = FMix(variant="official", per="sample")
"""What can't mix images of one row, and says so."""


class TestMixers(MixerContract):
    @pytest.fixture(autouse=True, params=SETTINGS, ids=str)
    def settings(self, request):
        self.part = SETTINGS[request.param]
        self.weighs_pixels = request.param not in MISLABELLED

    @override
    def takes(self, shape):
        """More than `check_data` lets through, which also refuses what would be mixed to no purpose."""
        members = self.part.members.values() if isinstance(self.part, Mixture) else [self.part]
        if any(isinstance(member, PuzzleMix | CoMixup) for member in members):  # cut images into blocks of one size
            return super().takes(shape)
        return self.part != ONE_ROW or shape[1].height > 1


def mix(mixer, inputs, targets, state, *, seed=0):
    """The mixed batch, made by the mixer for a linear network."""
    model = linear(inputs[0].numel(), targets.shape[1]).to(inputs.dtype)
    return mixer.blend(model, inputs, targets, state, epoch=0, generator=generator(seed))


def test_every_mixer_is_registered_under_its_own_name():
    assert {name: mixer().name for name, mixer in MIXERS.items()} == {name: name for name in MIXERS}


MASKED = {"attentivemix", "comixup", "cutmix", "smoothmix", "saliencymix", "gridmix", "resizemix", "fmix", "puzzlemix"}


@pytest.mark.parametrize("name", [name for name, mixer in SETTINGS.items() if mixer.name in MASKED])
def test_methods_that_paste_say_where(name):
    """What the mask must hold is in the contract; that there is one is checked here."""
    assert mix(SETTINGS[name], *batch(SETTINGS[name])).mask is not None


def test_images_of_one_row_are_refused_by_the_method_that_can_not_mix_them():
    with pytest.raises(ValueError, match="needs at least 2 rows"):
        ONE_ROW.check_data(height=1, width=9, num_classes=10)


@every_mixer
def test_other_generators_give_other_batches(mixer):
    made = [mix(mixer, *batch(mixer), seed=seed).soft_targets for seed in (1, 2)]
    assert torch.equal(*made) == (mixer.name == "erm")


@every_mixer
def test_what_is_remembered_is_worth_a_snapshot(mixer):
    """Settings that the state holds, such as alpha, are not remembered; a teacher's weights are too many."""
    state = batch(mixer).state
    remembered = [name for name in state if name.rpartition(".")[2] not in ("alpha", "teacher")]
    assert bool(remembered) == bool(mixer.snapshot(state))


def without_alpha(mixer):
    """The same settings with alpha = 0, also those of members; None for methods that lack an alpha."""
    if isinstance(mixer, Mixture):
        members = {label: without_alpha(member) or Erm() for label, member in mixer.members.items()}
        return mixer.replace(members=members)
    return mixer.replace(alpha=0.0) if "alpha" in type(mixer).model_fields else None


WEAK = {name: weak for name, mixer in SETTINGS.items() if (weak := without_alpha(mixer)) is not None}


@pytest.mark.parametrize("mixer", WEAK.values(), ids=WEAK.keys())
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lam_of_one_is_the_identity(mixer, dtype):
    inputs, targets, state = batch(mixer, dtype=dtype)
    mixed = mix(mixer, inputs, targets, state)
    assert bool((mixed.lam == 1).all())
    assert torch.equal(mixed.inputs, inputs)
    assert torch.equal(mixed.soft_targets, targets)
    model = linear(3 * 8 * 6, 5).to(dtype)
    output = mixer.step(model, inputs, targets, state, epoch=0, generator=generator(), loss=CrossEntropy())
    assert torch.equal(output.logits, model(inputs))
    assert mixer.canonical() == MIXERS["erm"]()


@pytest.mark.parametrize("name", [name for name, mixer in MIXERS.items() if "alpha" in mixer.model_fields])
@pytest.mark.parametrize("alpha", [-0.1, 1e-9, 9.9e-4, float("nan"), float("inf"), "1"])
def test_alphas_that_cannot_be_drawn_from_are_refused(name, alpha):
    with pytest.raises(ValueError, match="^alpha: got"):
        MIXERS[name].parse({"alpha": alpha})
    assert MIXERS[name].parse({"alpha": 1e-3}).canonical() != MIXERS["erm"]()


def test_mixup_against_a_loop():
    inputs, targets, _ = batch(Mixup(), size=9)
    mixed = Mixup(alpha=1.0).mix(inputs, targets, {}, epoch=0, generator=generator())
    lam = mixed.lam.item()
    assert 0 < lam < 1
    assert sorted(mixed.partner.tolist()) == list(range(9))
    for i, j in enumerate(mixed.partner.tolist()):
        torch.testing.assert_close(mixed.inputs[i], lam * inputs[i] + (1 - lam) * inputs[j])
        torch.testing.assert_close(mixed.soft_targets[i], lam * targets[i] + (1 - lam) * targets[j])


def test_mixup_with_a_lam_for_each_example_against_a_loop():
    inputs, targets, _ = batch(Mixup(), size=9)
    mixed = Mixup(per="sample").mix(inputs, targets, {}, epoch=0, generator=generator())
    assert len(mixed.lam.unique()) == 9
    for i, (j, lam) in enumerate(zip(mixed.partner.tolist(), mixed.lam.tolist(), strict=True)):
        torch.testing.assert_close(mixed.inputs[i], lam * inputs[i] + (1 - lam) * inputs[j])
        torch.testing.assert_close(mixed.soft_targets[i], lam * targets[i] + (1 - lam) * targets[j])


def test_mixup_partners_are_a_uniform_permutation():
    inputs, targets = torch.zeros(3, 1, 1, 1), torch.eye(3)
    made = generator()
    seen: dict[tuple[int, ...], int] = {}
    for _ in range(1_200):
        drawn = tuple(Mixup().mix(inputs, targets, {}, epoch=0, generator=made).partner.tolist())
        seen[drawn] = seen.get(drawn, 0) + 1
    assert len(seen) == 6
    assert all(abs(count - 200) < 4 * (1_200 * 5 / 36) ** 0.5 for count in seen.values())


OTHER_PATHS = (
    "saliencymix gradient",
    "gridmix openmixup",
    "fmix official",
    "puzzlemix per sample",
    "manifold by confusion",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ONCE, *OTHER_PATHS])
def test_compiled_mixing_is_the_same_mixing(name):
    mixer = SETTINGS[name]
    inputs, targets, state = batch(mixer)
    model = linear(3 * 8 * 6, 5)
    compiled = torch.compile(mixer.blend, backend="aot_eager")
    for seed in range(2):
        got = compiled(model, inputs, targets, state, epoch=0, generator=generator(seed))
        expected = mix(mixer, inputs, targets, state, seed=seed)
        for one, other in zip(got[:4], expected[:4], strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
