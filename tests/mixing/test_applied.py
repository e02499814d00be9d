"""Which batches are mixed: under the old name as ever, and as plain training where they are not."""

import pytest
import torch
from torch import nn
from typing_extensions import override

from tune_mixup.config import TrialConfig
from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.alignmixup import AlignMixup
from tune_mixup.mixing.base import BatchMixer, Mixer, StepOutput
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.first_state import first_state
from tune_mixup.mixing.generalized_mixup import GeneralizedMixup
from tune_mixup.mixing.manifold_mixup import ManifoldMixup
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.saliencymix import SaliencyMix
from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.parts import structure
from tune_mixup.training.trainer import Trainer

CPU = torch.device("cpu")
K = 4
HARDLY_EVER, HARDLY_NEVER = 1e-9, 1 - 1e-9
METHODS = sorted(MIXERS.keys() - {"erm"})
ONCE = [name for name in METHODS if issubclass(MIXERS[name], BatchMixer)]
"""Methods that mix a batch once, before the network sees it."""
SMALL = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 80,
    "data.num_test": 40,
    "data.size": 12,
    "model.name": "tiny_resnet",
    "model.width": 4,
    "optimizer.lr": 0.05,
    "training.epochs": 2,
    "training.batch_size": 16,
}


def made(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TinyResNet(width=2).build(channels=3, num_classes=K)


def examples():
    return torch.randn(8, 3, 8, 8, generator=made(1)), torch.eye(K).repeat(2, 1)


def begun(mixer: Mixer, model: nn.Module | None = None):
    return first_state(mixer, model or network(), K, image=(3, 8, 8), device=CPU, generator=made(2))


def batch_of(mixer: BatchMixer, generator: torch.Generator):
    return mixer.mixed_batch(network(), *examples(), begun(mixer), epoch=0, generator=generator)


# As commit 136a237 drew it, where CutMix and SaliencyMix alone had it: pixels pasted, of 144, and partners.

OLD = [
    (
        CutMix(probability=0.5),
        [[2], [60], [0], [0]],
        [[3, 4, 0, 1, 5, 2], [4, 0, 1, 3, 2, 5], [5, 4, 2, 0, 1, 3], [4, 2, 0, 5, 1, 3]],
    ),
    (
        CutMix(probability=0.5, per="sample"),
        [[0, 0, 0, 49, 24, 16], [64, 36, 0, 35, 0, 4], [0, 0, 36, 12, 0, 4], [100, 0, 56, 24, 30, 0]],
        [[0, 2, 5, 4, 3, 1], [5, 0, 2, 1, 3, 4], [4, 3, 0, 2, 5, 1], [3, 2, 1, 5, 4, 0]],
    ),
    (
        SaliencyMix(probability=0.5),
        [[2, 4, 4, 4, 4, 4], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [100, 90, 100, 90, 63, 50]],
        [[4, 5, 3, 1, 2, 0], [4, 1, 3, 0, 2, 5], [1, 3, 2, 5, 4, 0], [1, 5, 3, 2, 0, 4]],
    ),
    (
        SaliencyMix(probability=0.5, per="sample"),
        [[0, 0, 0, 64, 30, 16], [0, 0, 0, 16, 63, 0], [4, 63, 0, 0, 36, 100], [64, 0, 4, 32, 0, 90]],
        [[2, 4, 5, 3, 0, 1], [2, 4, 3, 5, 0, 1], [2, 0, 4, 3, 5, 1], [1, 0, 5, 4, 3, 2]],
    ),
]


@pytest.mark.parametrize(("mixer", "pasted", "partners"), OLD)
def test_draws_are_those_of_the_old_name(mixer, pasted, partners):
    inputs, targets, draws = torch.rand(6, 1, 12, 12, generator=made(5)), torch.eye(6), made(11)
    for areas, partner in zip(pasted, partners, strict=True):
        mixed = mixer.mixed_batch(nn.Identity(), inputs, targets, {}, epoch=0, generator=draws)
        assert ((1 - mixed.lam) * 144).round().reshape(-1).tolist() == areas
        assert mixed.partner.tolist() == partner


OLD_TRIALS = [
    ({"mixing.name": "cutmix", "mixing.probability": 0.5}, "a73785689518", [1.388371, 1.284118], 1.355068),
    (
        {"mixing.name": "saliencymix", "mixing.probability": 0.3, "mixing.per": "sample"},
        "9a8422a9fdb7",
        [1.382501, 1.330259],
        1.356789,
    ),
    (
        {
            "mixing.name": "mixture",
            "mixing.members.cutmix.probability": 0.5,
            "mixing.members.mixup.alpha": 0.4,
        },
        "c974360e9a4c",
        [1.40456, 1.310809],
        1.348531,
    ),
]


@pytest.mark.parametrize(("settings", "identity", "losses", "nll"), OLD_TRIALS)
def test_old_trials_have_their_identity_and_their_numbers_also_after_a_resume(
    settings, identity, losses, nll, tmp_path
):
    renamed = {key.replace("probability", "applied"): value for key, value in settings.items()}
    old, new = (TrialConfig.from_dotted(SMALL, one) for one in (settings, renamed))
    assert old == new and old.identity() == new.identity() == identity
    assert TrialConfig.parse(old.plain()) == old
    first = Trainer(old, folder=tmp_path)
    first.train_epoch()
    first.save()
    first.close()
    history = Trainer(new, folder=tmp_path).run()
    assert [row["train_loss"] for row in history] == pytest.approx(losses, abs=5e-4)
    assert history[-1]["val_nll"] == pytest.approx(nll, abs=5e-4)


def test_what_else_was_there_keeps_its_identity():
    for settings, identity in (
        ({"mixing.name": "saliencymix", "mixing.probability": 0.3}, "f75e1f54ed7e"),
        ({"mixing.name": "cutmix", "mixing.probability": 0.5}, "2fba76af5122"),
        ({"mixing.name": "alignmixup"}, "3d346dd34d89"),
        ({"mixing.name": "attentivemix"}, "261c5ba58604"),
        ({"mixing.name": "puzzlemix"}, "4e906c3df4af"),
    ):
        assert TrialConfig.from_dotted(settings).identity() == identity


def test_two_names_of_one_setting_are_refused_together():
    with pytest.raises(ValueError, match="got applied and probability, which are one setting; drop probability"):
        TrialConfig.from_dotted({"mixing.name": "cutmix", "mixing.probability": 0.5, "mixing.applied": 0.5})


def test_methods_that_never_had_the_old_name_do_not_take_it():
    with pytest.raises(ValueError, match="mixing.probability: there is no such setting"):
        TrialConfig.from_dotted({"mixing.name": "mixup", "mixing.probability": 0.5})


def test_a_derived_class_with_the_old_name_is_told_the_new_one():
    with pytest.raises(TypeError, match="got the setting probability, which is called applied now; rename it"):

        class Half(CutMix):
            probability: float = 0.5


# Batches


@pytest.mark.parametrize("name", ONCE)
def test_the_share_of_batches_is_mixed_and_the_others_stay_as_they_came(name):
    inputs, targets = examples()
    some, every = MIXERS[name](applied=0.4), MIXERS[name]()
    stayed = 0
    for seed in range(60):
        mixed, full = batch_of(some, made(seed)), batch_of(every, made(seed))
        if bool((mixed.lam == 1).all()) and not bool((full.lam == 1).all()):
            stayed += 1
            assert torch.equal(mixed.inputs, inputs) and torch.equal(mixed.soft_targets, targets)
            assert all(bool((lam == 1).all()) for lam in mixed.hidden.values())
        else:
            assert torch.equal(mixed.inputs, full.inputs) and torch.equal(mixed.soft_targets, full.soft_targets)
            for depth, lam in full.hidden.items():
                assert bool((mixed.hidden[depth] == lam).all())
    assert 60 * 0.6 - 4 * (60 * 0.24) ** 0.5 - 4 <= stayed <= 60 * 0.6 + 4 * (60 * 0.24) ** 0.5


@pytest.mark.parametrize("name", ONCE)
def test_a_batch_draws_the_same_whether_it_is_mixed_or_not(name):
    generators = [made(3), made(3)]
    for applied, generator in zip((HARDLY_EVER, HARDLY_NEVER), generators, strict=True):
        batch_of(MIXERS[name](applied=applied), generator)
    assert torch.equal(generators[0].get_state(), generators[1].get_state())


@pytest.mark.parametrize("name", METHODS)
def test_an_unmixed_batch_trains_to_the_bit_as_erm_does(name):
    found = []
    for mixer in (MIXERS[name](applied=HARDLY_EVER), Erm()):
        model = network()
        output = mixer.take_step(
            model, *examples(), begun(mixer), epoch=0, generator=made(4), loss=CrossEntropy(label_smoothing=0.1)
        )
        output.loss.backward()
        found.append([output.loss.detach(), output.logits.detach(), *(p.grad for p in model.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_the_step_of_an_unmixed_epoch_is_that_of_erm(name):
    mixer = MIXERS[name]()
    outputs = [one.plain_step(network(), *examples(), begun(one), loss=CrossEntropy()) for one in (mixer, Erm())]
    assert torch.equal(outputs[0].loss, outputs[1].loss)
    assert torch.equal(outputs[0].soft_targets, examples()[1])
    assert outputs[0].state.keys() == begun(mixer).keys()


class OwnStep(Mixer):
    """Goes through the batch twice, by a step of its own."""

    @override
    def step(self, model, inputs, targets, state, *, epoch, generator, loss):
        order = torch.randperm(len(inputs), generator=generator)
        logits, soft = model(inputs[order]).repeat(2, 1), targets[order].repeat(2, 1)
        return StepOutput(5 + loss(logits, soft), logits, soft, {"steps": state["steps"] + 1})


def test_a_step_of_its_own_is_taken_for_the_share_of_batches():
    state, plain = {"steps": torch.zeros(())}, 0
    expected = Erm().plain_step(network(), *examples(), {}, loss=CrossEntropy())
    for seed in range(40):
        outputs = [
            OwnStep(applied=applied).take_step(
                network(), *examples(), state, epoch=0, generator=made(seed), loss=CrossEntropy()
            )
            for applied in (0.3, 1.0)
        ]
        assert outputs[0].state["steps"] == 1
        unmixed = bool(outputs[0].loss < 5)
        plain += unmixed
        assert torch.equal(outputs[0].loss, expected.loss if unmixed else outputs[1].loss)
        assert torch.equal(outputs[0].logits, expected.logits.repeat(2, 1) if unmixed else outputs[1].logits)
        assert torch.equal(outputs[0].soft_targets, examples()[1].repeat(2, 1) if unmixed else outputs[1].soft_targets)
    assert 28 - 4 * (40 * 0.21) ** 0.5 <= plain <= 28 + 4 * (40 * 0.21) ** 0.5


def test_confusions_are_learned_from_batches_as_they_came():
    """With everybody as their own partner, all classes but one are wrong: counts are the softmax itself."""
    mixer = GeneralizedMixup().canonical()
    model, (inputs, targets) = network(), examples()
    state = mixer.plain_step(model, inputs, targets, begun(mixer), loss=CrossEntropy()).state
    likely = network()(inputs).softmax(1).double()
    expected = torch.zeros(K, K, dtype=torch.float64)
    for row, own in enumerate(targets.argmax(1).tolist()):
        for other in range(K):
            expected[own, other] += likely[row, other] if other != own else 0
    torch.testing.assert_close(state["counts"], expected, atol=1e-6, rtol=1e-5)


# Settings


@pytest.mark.parametrize("name", METHODS)
def test_what_is_never_mixed_is_plain_training(name):
    assert MIXERS[name](applied=0.0, warmup_epochs=1).simplest() == Erm()
    assert Erm(applied=0.5, warmup_epochs=1).simplest() == Erm()


@pytest.mark.parametrize("name", METHODS)
def test_the_simplest_form_is_applied_when_the_method_is(name):
    settings = {"applied": 0.5, "warmup_epochs": 2, "cooldown_epochs": 3}
    simplest = MIXERS[name](**settings).simplest()
    assert simplest.when_applied() == settings
    assert simplest.simplest() == simplest


@pytest.mark.parametrize(
    "mixer",
    [
        ManifoldMixup(layers=(0,), applied=0.5, warmup_epochs=1, alpha=1.0),
        AlignMixup(aligned=0.0, applied=0.5, warmup_epochs=1, alpha=1.0),
        Mixture(members={"mixup": Mixup(applied=0.5)}, warmup_epochs=1),
        Mixture(members={"mixup": Mixup()}, applied=0.5, warmup_epochs=1),
        Mixture(members={"mixup": Mixup(applied=0.625)}, applied=0.8, warmup_epochs=1),
    ],
)
def test_other_names_of_mixup_are_applied_likewise(mixer):
    assert mixer.simplest() == Mixup(applied=0.5, warmup_epochs=1)


def test_settings_count_for_the_identity_where_they_have_an_effect():
    settings = [{}, {"applied": 0.5}, {"warmup_epochs": 1}, {"cooldown_epochs": 1}, {"warmup_epochs": 2}]
    configs = [TrialConfig(mixing=kind(**one)) for kind in (Mixup, CutMix) for one in settings]
    assert len({config.identity() for config in configs}) == len(configs)


def test_one_captured_step_serves_any_warm_up():
    assert structure(Mixup(warmup_epochs=1)) == structure(Mixup(warmup_epochs=2, cooldown_epochs=3))
    assert structure(Mixup(applied=0.5)) != structure(Mixup())


def test_strength_is_the_mean_over_mixed_epochs():
    for mixer in (Mixup(applied=0.4), Mixup(applied=0.4, warmup_epochs=5), CutMix(applied=0.4)):
        for nominal in (False, True):
            full = mixer.nominal_strength() if nominal else mixer.strength()
            assert mixer.mean_strength(nominal=nominal) == pytest.approx(0.4 * full) and full > 0
    assert Mixup().mean_strength() == pytest.approx(0.25)


@pytest.mark.parametrize("name", sorted(MIXERS))
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"applied": 1.1}, "applied: got 1.1, must be less than or equal to 1"),
        ({"applied": -0.1}, "applied: got -0.1, must be greater than or equal to 0"),
        ({"warmup_epochs": -1}, "warmup_epochs: got -1, must be greater than or equal to 0"),
        ({"cooldown_epochs": -1}, "cooldown_epochs: got -1, must be greater than or equal to 0"),
        ({"warmup_epochs": 1.5}, "warmup_epochs: got 1.5, must be a whole number"),
    ],
)
def test_bad_settings_are_refused_by_name(name, bad, words):
    with pytest.raises(ValueError, match=f"^mixing.{words}"):
        TrialConfig.from_dotted({"mixing.name": name, **{f"mixing.{key}": value for key, value in bad.items()}})


def test_some_epoch_must_be_mixed():
    five = {"mixing.name": "mixup", "training.epochs": 5}
    TrialConfig.from_dotted(five, {"mixing.warmup_epochs": 2, "mixing.cooldown_epochs": 2})
    for warm, cool in ((2, 3), (5, 0), (0, 6)):
        with pytest.raises(ValueError, match=f"got {warm}, and {cool} for .* fewer than training.epochs=5 in all"):
            TrialConfig.from_dotted(five, {"mixing.warmup_epochs": warm, "mixing.cooldown_epochs": cool})


def test_members_share_the_epochs_of_their_mixture():
    with pytest.raises(ValueError, match="members.mixup: got warmup_epochs=2 and cooldown_epochs=0, must be 0"):
        Mixture(members={"mixup": Mixup(warmup_epochs=2), "cutmix": CutMix()})


def test_epochs_that_are_mixed():
    mixer = Mixup(warmup_epochs=2, cooldown_epochs=1)
    assert [mixer.mixes_in(epoch, epochs=5) for epoch in range(5)] == [False, False, True, True, False]
