"""What every mixer promises, checked over the registry and over the settings that take other paths."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing import MIXERS, AnyMixer
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
from tune_mixup.mixing.resizemix import ResizeMix
from tune_mixup.mixing.saliencymix import SaliencyMix
from tune_mixup.mixing.smoothmix import SmoothMix
from tune_mixup.models.base import StagedNetwork

CPU = torch.device("cpu")
SETTINGS = {name: mixer() for name, mixer in MIXERS.items()} | {
    "mixup alpha 0.2": Mixup(alpha=0.2),
    "mixup per sample": Mixup(per="sample"),
    "cutmix half": CutMix(probability=0.5),
    "cutmix per sample": CutMix(per="sample", probability=0.5),
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
    "manifold per sample": ManifoldMixup(per="sample", layers=(1, 2)),
    "saliencymix per sample": SaliencyMix(per="sample", probability=0.5),
    "saliencymix official": SaliencyMix(variant="official"),
    "saliencymix gradient": SaliencyMix(saliency="gradient"),
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
            "guided": GeneralizedMixup(),
            "smoothmix": SmoothMix(),
            "cutmix": CutMix(partners=ConfusionPartners(pairing="sequential")),
        }
    ),
    "mixture of one": Mixture(members={"fmix": FMix()}),
}
every_mixer = pytest.mark.parametrize("mixer", SETTINGS.values(), ids=SETTINGS.keys())
MISLABELLED = {"smoothmix openmixup"}
"""What reproduces published code whose labels do not weigh as much as the pixels."""
ONE_ROW = FMix(variant="official", per="sample")
"""What can't mix images of one row, and says so."""
HONEST = {name: mixer for name, mixer in SETTINGS.items() if mixer.min_stages == 0 and name not in MISLABELLED}
every_honest_input_mixer = pytest.mark.parametrize("mixer", HONEST.values(), ids=HONEST.keys())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(mixer, num_classes=5, *, size=None, channels=3, height=8, width=6, dtype=torch.float32):
    """Inputs, one-hot targets, and a state that has seen an epoch, so that partners are not drawn evenly."""
    if mixer.needs_stratified_batches:
        classes = torch.arange(num_classes).repeat(max(1, (size or 4 * num_classes) // num_classes))
        classes = classes[torch.randperm(len(classes), generator=generator(1))]
    else:
        classes = torch.randint(num_classes, (size or 13,), generator=generator(1))
    inputs = torch.randn(len(classes), channels, height, width, generator=generator(2)).to(dtype)
    targets = torch.eye(num_classes)[classes]
    state = mixer.init(num_classes, device=CPU, generator=generator(3))
    for epoch in range(2):
        model = linear(channels * height * width, num_classes)
        output = mixer.step(
            model, inputs.float(), targets, state, epoch=epoch, generator=generator(5 + epoch), loss=CrossEntropy()
        )
        state = mixer.end_epoch(output.state, epoch=epoch, generator=generator(7 + epoch))
    return inputs, targets, state


def linear(num_inputs: int, num_classes: int) -> StagedNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return StagedNetwork(
            nn.Flatten(), [nn.Linear(num_inputs, 8), nn.Linear(8, 8), nn.Identity()], nn.Linear(8, num_classes)
        )


def mix(mixer, inputs, targets, state, *, seed=0):
    """The mixed batch, made by the mixer for a linear network."""
    model = linear(inputs[0].numel(), targets.shape[1]).to(inputs.dtype)
    return mixer.blend(model, inputs, targets, state, epoch=0, generator=generator(seed))


def clones(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in tensors]


def check_mixed(mixed, inputs, targets) -> None:
    size, num_classes = targets.shape
    assert mixed.inputs.shape == inputs.shape
    assert mixed.inputs.dtype == inputs.dtype
    assert bool(mixed.inputs.isfinite().all())
    assert mixed.soft_targets.shape == (size, num_classes)
    assert mixed.soft_targets.dtype == torch.float32
    assert bool((mixed.soft_targets >= 0).all())
    torch.testing.assert_close(mixed.soft_targets.sum(1), torch.ones(size))
    assert mixed.lam.dtype == torch.float32
    assert mixed.lam.shape in [(), (size,)]
    assert bool(((mixed.lam >= 0) & (mixed.lam <= 1)).all())
    assert mixed.partner.dtype == torch.int64
    assert mixed.partner.shape == (size,)
    lam = mixed.lam.expand(size)[:, None]
    torch.testing.assert_close(mixed.soft_targets, lam * targets + (1 - lam) * targets[mixed.partner])


def test_every_mixer_is_registered_under_its_own_name():
    assert {name: mixer().name for name, mixer in MIXERS.items()} == {name: name for name in MIXERS}


@every_mixer
def test_settings_survive_their_plain_form(mixer):
    plain = mixer.model_dump(mode="json")
    assert type(mixer).parse(plain) == mixer
    assert TypeAdapter(AnyMixer).validate_python(plain) == mixer


@every_mixer
def test_targets_are_distributions_weighted_by_lam(mixer):
    inputs, targets, state = batch(mixer)
    for seed in range(20):
        mixed = mix(mixer, inputs, targets, state, seed=seed)
        check_mixed(mixed, inputs, targets)


@every_mixer
@pytest.mark.parametrize(
    ("num_classes", "size", "channels", "height", "width"),
    [(2, 1, 3, 8, 8), (2, 2, 3, 8, 8), (3, 33, 1, 7, 5), (4, 4, 1, 160, 101), (200, 200, 3, 4, 4), (10, 30, 2, 1, 9)],
)
def test_any_shape(mixer, num_classes, size, channels, height, width):
    if mixer == ONE_ROW and height == 1:
        with pytest.raises(ValueError, match="needs at least 2 rows"):
            mixer.check_data(height=height, width=width, num_classes=num_classes)
        return
    inputs, targets, state = batch(mixer, num_classes, size=size, channels=channels, height=height, width=width)
    assert len(inputs) == size or mixer.needs_stratified_batches
    check_mixed(mix(mixer, inputs, targets, state), inputs, targets)


@every_mixer
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_any_precision_of_the_inputs(mixer, dtype):
    inputs, targets, state = batch(mixer, dtype=dtype)
    check_mixed(mix(mixer, inputs, targets, state), inputs, targets)


@every_honest_input_mixer
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_mean_of_constant_images_says_lam(mixer, dtype):
    """Image i is a constant: after mixing, the mean pixel is lam of it and 1 - lam of its partner's."""
    inputs, targets, state = batch(mixer, height=12, width=10)
    value = torch.linspace(-1, 1, len(inputs))
    constant = value[:, None, None, None].expand(inputs.shape).to(dtype)
    for seed in range(10):
        mixed = mix(mixer, constant, targets, state, seed=seed)
        expected = mixed.lam * value + (1 - mixed.lam) * value[mixed.partner]
        tolerance = 1e-5 if dtype == torch.float32 else 2**-6
        torch.testing.assert_close(mixed.inputs.double().mean((1, 2, 3)).float(), expected, atol=tolerance, rtol=0)


@every_mixer
def test_memory_format_is_kept(mixer):
    inputs, targets, state = batch(mixer)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    mixed = mix(mixer, inputs, targets, state)
    assert mixed.inputs.is_contiguous(memory_format=torch.channels_last)


@every_mixer
def test_equal_generators_give_equal_batches(mixer):
    inputs, targets, state = batch(mixer)
    first = mix(mixer, inputs, targets, state, seed=1)
    again = mix(mixer, inputs, targets, state, seed=1)
    for name, value in first._asdict().items():
        torch.testing.assert_close(value, getattr(again, name), rtol=0, atol=0, msg=name)
    if mixer.name != "erm":
        other = mix(mixer, inputs, targets, state, seed=2)
        assert not torch.equal(first.soft_targets, other.soft_targets)


@every_mixer
def test_equal_generators_give_equal_trainings(mixer):
    """Two epochs, states and logits, to the last bit."""
    (_, _, first), (_, _, again) = batch(mixer), batch(mixer)
    assert first.keys() == again.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    inputs, targets, state = batch(mixer)
    one, other = (
        mixer.step(linear(144, 5), inputs, targets, state, epoch=2, generator=generator(9), loss=CrossEntropy())
        for _ in range(2)
    )
    assert torch.equal(one.logits, other.logits) and torch.equal(one.loss, other.loss)


@every_mixer
def test_no_global_generator_is_asked(mixer):
    """torch's is watched in every test (conftest.py); these are the others that a method might draw from."""
    before = random.getstate(), np.random.get_state()
    _, _, state = batch(mixer)
    mixer.snapshot(state)
    after = random.getstate(), np.random.get_state()
    assert before[0] == after[0]
    assert all(np.array_equal(old, new) for old, new in zip(before[1], after[1], strict=True))


@every_mixer
def test_nothing_that_comes_in_is_changed(mixer):
    inputs, targets, state = batch(mixer)
    before = clones(inputs, targets, *state.values())
    output = mixer.step(
        linear(3 * 8 * 6, 5), inputs, targets, state, epoch=2, generator=generator(), loss=CrossEntropy()
    )
    mixer.end_epoch(state, epoch=2, generator=generator())
    mixer.snapshot(state)
    assert all(torch.equal(old, new) for old, new in zip(before, [inputs, targets, *state.values()], strict=True))
    after_step = clones(*output.state.values())
    mixer.end_epoch(output.state, epoch=2, generator=generator())
    assert all(torch.equal(old, new) for old, new in zip(after_step, output.state.values(), strict=True))


@every_mixer
def test_step_is_the_soft_loss_of_the_mixed_batch(mixer):
    inputs, targets, state = batch(mixer)
    model = linear(3 * 8 * 6, 5)
    output = mixer.step(model, inputs, targets, state, epoch=0, generator=generator(4), loss=CrossEntropy())
    mixed = mix(mixer, inputs, targets, state, seed=4)

    def blended(lam, features):
        lam = lam.reshape(-1, *[1] * (features.ndim - 1))
        return lam * features + (1 - lam) * features[mixed.partner]

    logits = model(mixed.inputs, edits={depth: partial(blended, lam) for depth, lam in mixed.hidden.items()})
    torch.testing.assert_close(output.logits, logits)
    assert torch.equal(output.soft_targets, mixed.soft_targets)
    torch.testing.assert_close(output.loss, -(mixed.soft_targets * logits.log_softmax(1)).sum(1).mean())
    output.loss.backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters())
    assert not any(tensor.requires_grad for tensor in output.state.values())
    assert output.state.keys() == state.keys()


@every_mixer
def test_state_keeps_its_names_shapes_types_and_device(mixer):
    fresh = mixer.init(5, device=CPU, generator=generator(3))
    _, _, trained = batch(mixer)
    assert {name: (t.shape, t.dtype, t.device) for name, t in fresh.items()} == {
        name: (t.shape, t.dtype, t.device) for name, t in trained.items()
    }


@every_mixer
def test_snapshots_are_copies_on_the_cpu_of_finite_numbers(mixer):
    _, _, state = batch(mixer)
    snapshot = mixer.snapshot(state)
    assert bool(state) == bool(snapshot)
    for tensor in snapshot.values():
        assert tensor.device == CPU
        assert bool(tensor.isfinite().all())


MASKED = {"cutmix", "smoothmix", "saliencymix", "gridmix", "resizemix", "fmix"}
every_mask = [
    pytest.param(mixer, id=name) for name, mixer in SETTINGS.items() if mixer.name in MASKED and name not in MISLABELLED
]


@pytest.mark.parametrize("mixer", every_mask)
def test_masks_weigh_pixels_as_lam_weighs_labels(mixer):
    inputs, targets, state = batch(mixer, height=9, width=7)
    for seed in range(5):
        mixed = mix(mixer, inputs, targets, state, seed=seed)
        lam = mixed.lam.reshape(-1)
        assert mixed.mask.shape == (len(lam), 1, 9, 7)
        assert mixed.mask.dtype == torch.float32
        assert bool(((mixed.mask >= 0) & (mixed.mask <= 1)).all())
        torch.testing.assert_close(mixed.mask.double().mean((1, 2, 3)).float(), lam, rtol=0, atol=1e-6)
        own, gone = (mixed.mask == 1).expand_as(inputs), (mixed.mask < 1).expand_as(inputs)
        assert torch.equal(mixed.inputs[own], inputs[own])
        pasted = gone & (mixed.partner != torch.arange(len(inputs)))[:, None, None, None]
        assert bool((mixed.inputs != inputs)[pasted].all())


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


@every_mixer
def test_an_example_whose_lam_is_one_stays_as_it_is(mixer):
    inputs, targets, state = batch(mixer)
    for seed in range(30):
        mixed = mix(mixer, inputs, targets, state, seed=seed)
        whole = (mixed.lam == 1).expand(len(inputs))
        assert torch.equal(mixed.soft_targets[whole], targets[whole])
        assert torch.equal(mixed.inputs[whole], inputs[whole])


@pytest.mark.parametrize("name", [name for name, mixer in MIXERS.items() if "alpha" in mixer.model_fields])
@pytest.mark.parametrize("alpha", [-0.1, 1e-9, 9.9e-4, float("nan"), float("inf"), "1"])
def test_alphas_that_cannot_be_drawn_from_are_refused(name, alpha):
    with pytest.raises(ValueError, match="^alpha: got"):
        MIXERS[name].parse({"alpha": alpha})
    assert MIXERS[name].parse({"alpha": 1e-3}).canonical() != MIXERS["erm"]()


@every_mixer
def test_canonical_settings_are_their_own_canonical_settings(mixer):
    assert mixer.canonical().canonical() == mixer.canonical()


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


OTHER_PATHS = ("saliencymix gradient", "gridmix openmixup", "fmix official", "manifold by confusion")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MIXERS, *OTHER_PATHS])
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


# Nothing in a step may make the host wait for the device

WAITING_METHODS = ("item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__int__", "__float__", "__index__")
WAITING_OPERATORS = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::equal",
    "aten::is_nonzero",
    "aten::masked_select",
    "aten::bincount",
    "aten::_unique2",
    "aten::repeat_interleave",
}


class _NoWaiting(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name
        indices = args[1] if name in ("aten::index", "aten::index_put", "aten::index_put_") else ()
        boolean = any(index is not None and index.dtype == torch.bool for index in indices)
        if name in WAITING_OPERATORS or boolean:
            raise AssertionError(f"{name} reads a value on the host")
        return function(*args, **(kwargs or {}))


@contextmanager
def no_host_sync(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within it, whatever would read a device's value on the host raises AssertionError."""

    def refuse(name):
        def refused(*args, **kwargs):
            raise AssertionError(f"Tensor.{name} reads a value on the host")

        return refused

    with monkeypatch.context() as patch, _NoWaiting():
        for name in WAITING_METHODS:
            patch.setattr(torch.Tensor, name, refuse(name))
        yield


@pytest.mark.parametrize(
    "read",
    [
        lambda t: t[0].item(),
        lambda t: bool(t[0]),
        lambda t: t.cpu(),
        lambda t: t[t > 0],
        lambda t: torch.nonzero(t),
        lambda t: torch.bincount(t.long()),
        lambda t: torch.equal(t, t),
        lambda t: range(t.long()[0]),
    ],
)
def test_the_spy_notices_reads_on_the_host(read, monkeypatch):
    with no_host_sync(monkeypatch), pytest.raises(AssertionError, match="on the host"):
        read(torch.ones(3))


@every_mixer
def test_a_step_reads_nothing_on_the_host(mixer, monkeypatch):
    inputs, targets, state = batch(mixer)
    model, made = linear(3 * 8 * 6, 5), generator()
    with no_host_sync(monkeypatch):
        mixer.step(model, inputs, targets, state, epoch=0, generator=made, loss=CrossEntropy())
