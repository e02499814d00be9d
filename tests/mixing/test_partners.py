"""Who is mixed with whom, for any method that leaves it open."""

import math

import mixing_reference as reference
import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing import METHODS
from tune_mixup.mixing.applied import AppliedSettings
from tune_mixup.mixing.base import forward
from tune_mixup.mixing.confusion_partners import ConfusionPartners, ConfusionSettings
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.first_state import first_state
from tune_mixup.mixing.generalized_mixup import GeneralizedMixup
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.paired import PARTNERS
from tune_mixup.mixing.partners import DerangedPartners, RandomPartners
from tune_mixup.models.tiny_resnet import TinyResNet

CPU = torch.device("cpu")
K = 5
IMAGE = (3, 8, 8)
PARTNERED = [name for name, method in METHODS.items() if "partners" in method.model_fields]
every_partnered = pytest.mark.parametrize("name", PARTNERED)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def examples(per_class: int = 4, seed: int = 0):
    classes = torch.arange(K).repeat(per_class)[torch.randperm(K * per_class, generator=generator(seed))]
    return torch.randn(len(classes), 3, 8, 8, generator=generator(seed + 1)), torch.eye(K)[classes]


def build() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TinyResNet(width=2).build(channels=3, num_classes=K)


def method(name: str, **settings):
    return METHODS[name].parse({"partners": {"name": "confusion", **settings}})


def train(mixer, *, epochs=3, steps=3):
    network = build()
    state = first_state(mixer, network, K, image=IMAGE, device=CPU, generator=generator(10))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    losses = []
    for epoch in range(epochs):
        made = generator(20 + epoch)
        for step in range(steps):
            batch = examples(seed=100 * epoch + step)
            output = mixer.step(network, *batch, state, epoch=epoch, generator=made, loss=CrossEntropy())
            state = output.state
            optimizer.zero_grad()
            output.loss.backward()
            optimizer.step()
            losses.append(output.loss.item())
        state = mixer.end_epoch(state, epoch=epoch, generator=generator(30 + epoch))
    return losses, state


def test_every_method_with_a_partner_lets_it_be_chosen():
    """Plain training has none, comixup many, and generalized mixup its own."""
    assert set(METHODS) - set(PARTNERED) == {"erm", "comixup", "generalized_mixup"}
    assert {name: rule().name for name, rule in PARTNERS.items()} == {name: name for name in PARTNERS}


@every_partnered
def test_partners_are_random_unless_asked_otherwise(name):
    mixer = METHODS[name]()
    assert mixer.partners == RandomPartners()
    assert mixer.init(K, device=CPU, generator=generator()).keys() <= {"alpha", "unsettled"}, "the rule keeps nothing"
    assert not mixer.needs_stratified_batches


@pytest.mark.parametrize(("size", "derangements"), [(2, 1), (3, 2), (4, 9)])
def test_deranged_partners_are_a_uniform_permutation_without_fixed_points(size, derangements):
    targets, made = torch.eye(size), generator()
    seen: dict[tuple[int, ...], int] = {}
    for _ in range(1_800):
        drawn = tuple(DerangedPartners().draw(targets, {}, generator=made).tolist())
        assert sorted(drawn) == list(range(size))
        seen[drawn] = seen.get(drawn, 0) + 1
    whole = {drawn: count for drawn, count in seen.items() if all(i != j for i, j in enumerate(drawn))}
    assert len(whole) == derangements
    if derangements > 1:
        assert stats.chisquare(list(whole.values())).pvalue > 0.001
    # With two, half of the permutations will do; none of eleven draws is one of them once in 2^11 batches.
    possible = derangements / math.factorial(size)
    expected = 1_800 * (1 - possible) ** 11
    assert abs(1_800 - sum(whole.values()) - expected) < 4 * expected**0.5 + 1


def test_deranged_partners_of_one_example_and_of_many():
    assert DerangedPartners().draw(torch.eye(1), {}, generator=generator()).tolist() == [0]
    itself = torch.arange(100)
    met = [
        int((DerangedPartners().draw(torch.eye(100), {}, generator=generator(seed)) == itself).any())
        for seed in range(300)
    ]
    assert sum(met) <= 10  # 2 are expected; of plain permutations it would be 190


@every_partnered
@pytest.mark.parametrize("pairing", ["birkhoff", "sequential", "independent"])
def test_classes_meet_as_the_pairing_matrix_says(name, pairing):
    mixer = method(name, pairing=pairing, gamma=2.0, mu=0.0)
    network = build()
    state = dict(first_state(mixer, network, K, image=IMAGE, device=CPU, generator=generator()))
    counts = reference.confusion_like(K)
    np.fill_diagonal(counts, 0)
    state["counts"] = torch.tensor(counts)
    state = mixer.end_epoch(state, epoch=0, generator=generator(1))
    (inputs, targets), made = examples(per_class=8), generator(9)
    own, met = targets.argmax(1), np.zeros((K, K))
    for _ in range(150):
        partner = mixer.blend(network, inputs, targets, state, epoch=1, generator=made).partner
        np.add.at(met, (own.numpy(), own[partner].numpy()), 1)
    share = met / met.sum(1, keepdims=True)
    expected = state["pairing"].numpy()
    assert abs(expected - 1 / K).max() > 0.2
    beside = ~np.eye(K, dtype=bool)
    assert np.corrcoef(share[beside], expected[beside])[0, 1] > 0.9


@every_partnered
def test_confusions_are_counted_on_what_the_method_mixed(name):
    mixer, network = method(name), build()
    inputs, targets = examples()
    state = first_state(mixer, network, K, image=IMAGE, device=CPU, generator=generator())
    network.eval()
    mixed = mixer.blend(network, inputs, targets, state, epoch=0, generator=generator(3))
    output = mixer.step(network, inputs, targets, state, epoch=0, generator=generator(3), loss=CrossEntropy())
    own = targets.argmax(1)
    expected = reference.soft_counts(
        forward(network, mixed).detach().numpy(),
        own.tolist(),
        own[mixed.partner].tolist(),
        mixed.lam.expand(len(own)).tolist(),
    )
    np.testing.assert_allclose(output.state["counts"].numpy(), expected, atol=1e-6)


@every_partnered
def test_training_stays_finite_and_learns_a_pairing(name):
    losses, state = train(method(name, gamma=2.0, mu=0.0))
    assert all(math.isfinite(loss) for loss in losses)
    assert set(method(name).snapshot(state)) - {"unsettled"} == {"confusion", "pairing"}
    assert state["pairing"].std() > 0.01


@pytest.mark.parametrize(
    "settings",
    [
        {"gamma": 1.0, "mu": 0.1},
        {"pairing": "sequential", "growth_factor": 2.0, "step_size": 1},
        {"pairing": "independent", "rows": "permuted", "diagonal": 0.1, "power_diagonal": False},
        {"gamma": 0.0, "mu": 0.9},
    ],
)
@pytest.mark.parametrize("per", ["batch", "sample"])
def test_mixup_by_confusion_is_generalized_mixup(settings, per):
    nested = Mixup(alpha=0.5, per=per, partners=ConfusionPartners(**settings))
    flat = GeneralizedMixup(alpha=0.5, per=per, **settings)
    assert nested.canonical() == flat.canonical()
    one, other = train(nested), train(flat)
    assert one[0] == other[0]
    assert one[1].keys() == other[1].keys()
    assert all(torch.equal(tensor, other[1][key]) for key, tensor in one[1].items())


def test_generalized_mixup_has_the_settings_of_the_rule_as_its_own():
    own = {"name", "alpha", "per", *AppliedSettings.model_fields}
    assert set(GeneralizedMixup.model_fields) == {*own, *ConfusionSettings.model_fields}
    assert set(ConfusionPartners.model_fields) == {"name", *ConfusionSettings.model_fields}


@every_partnered
def test_settings_of_partners_without_effect_share_an_identity(name):
    idle = method(name, gamma=0.0, growth_factor=2.0, mu=0.3, rows="permuted")
    assert idle.canonical() == method(name, gamma=0.0).canonical()
    assert idle.canonical() != METHODS[name]().canonical()
    assert train(idle)[0] == train(idle.canonical())[0]


def test_without_mixing_partners_do_not_matter():
    assert CutMix(alpha=0.0, partners=ConfusionPartners()).canonical() == Erm()
    assert Mixup(alpha=0.0, partners=ConfusionPartners()).canonical() == Erm()


def test_only_class_permutations_need_equal_classes():
    needs = {p: method("cutmix", pairing=p).needs_stratified_batches for p in ("birkhoff", "sequential", "independent")}
    assert needs == {"birkhoff": True, "sequential": False, "independent": False}


@every_partnered
def test_one_class_can_not_be_paired(name):
    with pytest.raises(ValueError, match="got 1, must be at least 2"):
        method(name).check_data(height=32, width=32, num_classes=1)
    METHODS[name]().check_data(height=32, width=32, num_classes=1)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"gamma": 1.0}, "partners.name: is missing"),
        ({"name": "confusing"}, "partners.name: got 'confusing', which is not known; did you mean confusion?"),
        ({"name": "random", "gamma": 1.0}, "partners.gamma: there is no such setting"),
        ({"name": "confusion", "gamma": -1.0}, "partners.gamma: got -1.0, must be greater than or equal to 0"),
        ({"name": "confusion", "pairing": "random"}, "partners.pairing: got 'random'"),
        ({"name": "confusion", "diagonal": 1.0}, "partners.diagonal: got 1.0, must be 'uniform' or a number"),
        ({"name": "confusion", "alpha": 1.0}, "partners.alpha: there is no such setting"),
    ],
)
def test_bad_settings_are_refused_by_name(bad, message):
    with pytest.raises(ValueError) as error:
        CutMix.parse({"partners": bad})
    assert message in str(error.value)


class TakesTheName(RandomPartners):
    """Its state has a name that the method's has."""

    def init(self, num_classes, *, device, generator):
        return {"alpha": torch.zeros(())}


def test_a_rule_whose_state_has_a_name_of_the_methods_is_refused():
    with pytest.raises(ValueError, match="its state has alpha, as mixup"):
        METHODS["mixup"](partners=TakesTheName()).init(K, device=CPU, generator=generator())
