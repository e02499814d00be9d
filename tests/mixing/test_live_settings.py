import pytest
import torch

from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.base import Mixer
from tune_mixup.mixing.confusion_partners import ConfusionPartners
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.first_state import first_state
from tune_mixup.mixing.generalized_mixup import GeneralizedMixup
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.parts import structure

CPU = torch.device("cpu")
K = 5
MIXTURE = Mixture(members={"mixup": Mixup(alpha=0.3), "cutmix": CutMix(alpha=2.0), "alpha": Mixup(alpha=0.7)})


def made(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TinyResNet(width=2).build(channels=3, num_classes=K)


def blend(mixer: Mixer, state):
    """What a mixer makes of a batch with a state."""
    model = network()
    targets = torch.eye(K)[torch.arange(20) % K]
    inputs = torch.randn(20, 3, 16, 16, generator=made(1))
    return mixer.blend(model, inputs, targets, state, epoch=0, generator=made(3))


def begun(mixer: Mixer):
    return first_state(mixer, network(), K, image=(3, 16, 16), device=CPU, generator=made(2))


def equal(first, second) -> None:
    for one, other in zip(first[:4], second[:4], strict=True):
        assert torch.equal(one, other)
    assert first.hidden.keys() == second.hidden.keys()


@pytest.mark.parametrize("mixer", [*(known().canonical() for known in MIXERS.values()), MIXTURE.canonical()], ids=str)
def test_a_number_in_the_state_mixes_to_the_bit_as_the_setting_does(mixer):
    state = begun(mixer)
    numbers = {name for name in state if name.rpartition(".")[2] == "alpha"}
    assert all(state[name].dtype == torch.float64 and state[name].shape == () for name in numbers)
    without = {name: tensor for name, tensor in state.items() if name not in numbers}
    equal(blend(mixer, state), blend(mixer, without))


@pytest.mark.parametrize("alpha", [0.05, 0.2, 3.0])
def test_the_state_turns_a_step_into_another_trials(alpha):
    for first, second in (
        (Mixup(alpha=1.0), Mixup(alpha=alpha)),
        (
            CutMix(alpha=1.0, partners=ConfusionPartners(gamma=0.5)).canonical(),
            CutMix(alpha=alpha, partners=ConfusionPartners(gamma=2.0, mu=0.9, growth_factor=1.5)).canonical(),
        ),
        (
            Mixture(members={"mixup": Mixup(alpha=1.0), "cutmix": CutMix(alpha=0.5)}),
            Mixture(members={"mixup": Mixup(alpha=alpha), "cutmix": CutMix(alpha=2 * alpha)}),
        ),
    ):
        assert structure(first) == structure(second)
        state = begun(second)
        equal(blend(first, state), blend(second, state))
    assert blend(Mixup(), begun(Mixup())).lam != blend(Mixup(), begun(Mixup(alpha=alpha))).lam


def test_no_mixing_is_another_structure_than_a_little():
    assert structure(Mixup(alpha=0.0)) != structure(Mixup(alpha=0.5)) == structure(Mixup(alpha=1.0))
    assert "alpha" not in begun(Mixup(alpha=0.0))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Mixup(), CutMix()),
        (Mixup(per="batch"), Mixup(per="sample")),
        (CutMix(applied=1.0), CutMix(applied=0.5)),
        (GeneralizedMixup(pairing="birkhoff"), GeneralizedMixup(pairing="independent")),
        (Mixup(), GeneralizedMixup()),
        (MIXTURE, Mixture(members=MIXTURE.members, weights={"mixup": 1.0, "cutmix": 2.0, "alpha": 1.0})),
    ],
)
def test_what_a_step_depends_on_is_structure(first, second):
    assert structure(first.canonical()) != structure(second.canonical())


def test_what_acts_between_epochs_is_not():
    structures = [
        structure(GeneralizedMixup(**settings).canonical())
        for settings in ({}, {"gamma": 2.0}, {"gamma": 0.0}, {"growth_factor": 1.5, "step_size": 3}, {"alpha": 0.1})
    ]
    assert all(one == structures[0] for one in structures)


def test_confusion_partners_draw_alike_for_settings_that_act_between_epochs():
    """What `between_epochs` says: given the state, a draw doesn't know them."""
    rule = ConfusionPartners()
    state = rule.init(K, device=CPU, generator=made())
    targets = torch.eye(K)[torch.arange(20) % K]
    changed = {"gamma": 3.0, "growth_factor": 2.0, "step_size": 1, "mu": 0.1, "max_gamma": 4.0, "diagonal": 0.3}
    changed |= {"power_diagonal": False, "rows": "permuted"}
    assert changed.keys() == rule.between_epochs
    expected = rule.draw(targets, state, generator=made())
    for key, value in changed.items():
        assert torch.equal(rule.replace(**{key: value}).draw(targets, state, generator=made()), expected)
