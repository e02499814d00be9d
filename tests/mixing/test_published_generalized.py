"""Generalized mixup as its released code trains it, against what that code put out (`golden/generalized_*.npz`)."""

from collections import Counter
from itertools import permutations

import mixing_reference as reference
import numpy as np
import pytest
import torch
from golden import cases
from scipy import stats

from tune_mixup.config import TrialConfig
from tune_mixup.data.base import Split
from tune_mixup.data.batches import order_of_appearance
from tune_mixup.data.loading import TrainingData
from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing.base import MixedBatch
from tune_mixup.mixing.confusion_partners import ConfusionPartners
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.generalized_mixup import GeneralizedMixup
from tune_mixup.mixing.pairing import draw_by_slot, slot_weights
from tune_mixup.training.fitting import draw_batches

CPU = torch.device("cpu")
FILES = ("generalized_1", "generalized_2")
PUBLISHED = {
    "mixing.name": "generalized_mixup",
    "mixing.variant": "published",
    "data.batches": "fixed",
    "data.name": "synthetic",
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data_of(labels, class_order=None) -> TrainingData:
    """Training data with these labels and no pixels worth a look."""
    targets = torch.tensor(labels).long()
    num_classes = int(targets.max()) + 1
    split = Split(torch.zeros(len(targets), 1, 8, 8, dtype=torch.uint8), targets)
    order = tuple(order_of_appearance(targets, num_classes).tolist()) if class_order is None else class_order
    names = tuple(f"class {number}" for number in range(num_classes))
    return TrainingData(split, split, torch.zeros(1, 1, 1), torch.ones(1, 1, 1), names, class_order=order)


def batches_of(data: TrainingData, batch_size: int, *, epoch: int = 0, seed: int = 0) -> torch.Tensor:
    settings = {"training.batch_size": batch_size, "data.num_classes": data.num_classes, "seed": seed}
    return draw_batches(TrialConfig.from_dotted(PUBLISHED, settings), data, epoch)


def state_before_drawing(mixer: GeneralizedMixup, confusion: np.ndarray):
    """The state after an epoch without counts whose moving average comes out as `confusion`."""
    num_classes = len(confusion)
    uncounted = np.full((num_classes, num_classes), 0.9 / (num_classes - 1))
    np.fill_diagonal(uncounted, 0.1)
    before = (confusion.astype(np.float64) - (1 - mixer.mu) * uncounted) / mixer.mu
    state = mixer.init(num_classes, device=CPU, generator=generator())
    return mixer.end_epoch({**state, "confusion": torch.tensor(before)}, epoch=0, generator=generator())


def test_the_recorded_pairs_come_of_the_recorded_draws():
    """NumPy's draws of the recorded seeds, with our weights for each slot: every partner is the recorded one."""
    for settings, recorded in cases(*FILES, part="pairing"):
        mixer = GeneralizedMixup(variant="published", gamma=settings["gamma"], alpha=settings["alpha"])
        state = state_before_drawing(mixer, recorded["confusion"])
        np.testing.assert_allclose(state["pairing"].numpy(), recorded["pairing_matrix"], atol=3e-7)
        draw = np.random.RandomState(settings["seed_pairing"])
        for batch, partner, lam in zip(recorded["batches_epoch0"], recorded["partner"], recorded["lam"], strict=False):
            classes = torch.tensor(recorded["labels"][batch]).long()
            weights = slot_weights(state["pairing"], classes).numpy()
            left, met = np.arange(len(batch)), []
            for row in weights:
                share = row[left] / row[left].sum()
                met.append(draw.choice(left, len(batch) // len(weights), p=share, replace=False))
                left = np.setdiff1d(left, met[-1])
            assert np.concatenate(met).tolist() == partner.tolist()
            assert draw.beta(settings["alpha"], settings["alpha"]) == lam


def test_slots_weigh_what_is_left_as_recorded():
    for settings, recorded in cases(*FILES, part="pairing", K=10):
        mixer = GeneralizedMixup(variant="published", gamma=settings["gamma"])
        state = state_before_drawing(mixer, recorded["confusion"])
        batch, partner = recorded["batches_epoch0"][0], recorded["partner"][0]
        classes = torch.tensor(recorded["labels"][batch]).long()
        weights = slot_weights(state["pairing"], classes).numpy()
        for slot, expected in enumerate(recorded["slot_weights_first_batch"]):
            left = np.ones(len(batch), dtype=bool)
            left[partner[: slot * len(batch) // 10]] = False
            got = np.where(left, weights[slot], 0)
            np.testing.assert_allclose(got / got.sum(), expected, atol=1e-6)


def test_balancing_by_rounds_gives_the_recorded_matrices():
    for settings, recorded in cases(*FILES, part="sinkhorn"):
        for gamma, expected in zip(settings["gammas"], recorded["pairing"], strict=True):
            mixer = GeneralizedMixup(variant="published", gamma=gamma)
            pairing = state_before_drawing(mixer, recorded["confusion"])["pairing"].numpy()
            np.testing.assert_allclose(pairing, expected, atol=3e-7)


def test_rounds_leave_the_row_errors_that_were_recorded():
    worst = 0.0
    for settings, recorded in cases(*FILES, part="sinkhorn"):
        for gamma, expected in zip(settings["gammas"], recorded["row_sum_error"], strict=True):
            pairing = state_before_drawing(GeneralizedMixup(variant="published", gamma=gamma), recorded["confusion"])
            error = float((pairing["pairing"].sum(1) - 1).abs().max())
            assert error == pytest.approx(float(expected), abs=1e-5)
            worst = max(worst, error)
    assert worst > 0.01


def test_gamma_grows_as_recorded_and_as_documented():
    for settings, recorded in cases(*FILES, part="gamma_growth"):
        for values, coded, documented in zip(
            settings["settings"], recorded["gamma_as_coded"], recorded["gamma_as_documented"], strict=True
        ):
            grown = {"gamma": values["gamma"], "growth_factor": values["growth"], "step_size": values["step"]}
            published = GeneralizedMixup(variant="published", max_gamma=32.0, **grown)
            assert [published.gamma_at(epoch) for epoch in range(100)] == pytest.approx(coded.tolist(), rel=1e-12)
            intended = GeneralizedMixup(max_gamma=32.0, **grown)
            capped = np.minimum(documented, 32.0).tolist()
            assert [intended.gamma_at(epoch) for epoch in range(100)] == pytest.approx(capped, rel=1e-12)


def test_gamma_of_an_epoch_is_what_its_pairs_are_drawn_by():
    """Epoch 2, of step size 2, has the larger gamma, and epoch 3 the first one again."""
    (settings, recorded), *_ = cases(*FILES, part="sinkhorn")
    by_gamma = dict(zip(settings["gammas"], recorded["pairing"], strict=True))
    mixer = GeneralizedMixup(variant="published", gamma=0.5, growth_factor=2.0, step_size=2)
    before = state_before_drawing(mixer, recorded["confusion"])["confusion"]
    uncounted = torch.full((10, 10), 0.1, dtype=torch.float64)
    for epoch, gamma in ((1, 0.5), (2, 1.0), (3, 0.5), (4, 1.0)):
        mean = (before - (1 - mixer.mu) * uncounted) / mixer.mu
        state = {**mixer.init(10, device=CPU, generator=generator()), "confusion": mean}
        after = mixer.end_epoch(state, epoch=epoch - 1, generator=generator())
        np.testing.assert_allclose(after["pairing"].numpy(), by_gamma[gamma], atol=3e-7)


def test_confusions_losses_and_averages_are_the_recorded_ones():
    """Whole trainings: the recorded logits go in, and each epoch's confusion matrix comes out."""
    trained = 0
    for settings, recorded in cases(*FILES, part="train"):
        mixer = GeneralizedMixup(variant="published", mu=settings["mu"])
        state = mixer.init(settings["K"], device=CPU, generator=generator())
        for epoch in range(settings["epochs"]):
            for batch in range(settings["n_batches"]):
                step = epoch * settings["n_batches"] + batch
                own, met = (torch.tensor(recorded[f"targets_{side}"][step]).long() for side in "ab")
                assert torch.equal(own, torch.tensor(recorded["labels"][batch]).long())
                partner = (met[:, None] == own).int().argmax(1)  # anyone of the class that was met
                lam = torch.tensor(recorded["lam"][step], dtype=torch.float32)
                targets = torch.eye(settings["K"])[own]
                soft = lam * targets + (1 - lam) * targets[partner]
                logits = torch.tensor(recorded["logits"][step])
                mixed = MixedBatch(torch.zeros(len(own), 1), soft, lam, partner)
                assert CrossEntropy()(logits, soft).item() == pytest.approx(recorded["losses"][step], rel=1e-6)
                state = mixer.observe(state, mixed, targets, logits)
            state = mixer.end_epoch(state, epoch=epoch, generator=generator())
            expected = recorded["confusion_after"][epoch]
            np.testing.assert_allclose(state["confusion"].numpy(), expected, atol=1e-6)
            trained += 1
    assert trained == 8


# Batches and the map from slots to rows

CIFAR10_BEGINS = [6, 9, 9, 4, 1, 1, 2, 7, 8, 3, 4, 7, 7, 2, 9, 9, 9, 3, 2, 6, 4, 3, 6, 6, 2, 6, 3, 5, 4, 0]
"""The labels of the first training images of CIFAR-10."""


def cycles(row_of_class: dict[int, int]) -> list[list[int]]:
    """The cycles of a permutation, the longest first, each from its smallest class on."""
    left, found = set(row_of_class), []
    while left:
        cycle = [min(left)]
        while (after := row_of_class[cycle[-1]]) != cycle[0]:
            cycle.append(after)
        left -= set(cycle)
        found.append(cycle)
    return sorted(found, key=len, reverse=True)


def test_on_cifar10_classes_use_each_other_s_rows_in_a_cycle_of_eight_and_one_of_two():
    labels = CIFAR10_BEGINS + [label for label in range(10) for _ in range(10)]
    data = data_of(labels)
    batch = batches_of(data, 20)[0]
    row_of_class = {label: place // 2 for place, label in enumerate(data.train.targets[batch].tolist())}
    assert cycles(row_of_class) == [[0, 9, 1, 3, 7, 5, 8, 6], [2, 4]]
    # A pairing matrix that sends row r to class r shows whose row a class is paired by.
    classes = data.train.targets[batch]
    met = classes[draw_by_slot(torch.eye(10, dtype=torch.float64), classes, generator=generator())]
    assert dict(zip(classes.tolist(), met.tolist(), strict=True)) == row_of_class


def test_batches_hold_the_recorded_classes_in_the_recorded_order():
    for settings, recorded in cases(*FILES, part="pairing"):
        labels = recorded["labels"].astype(np.int64)
        data = data_of(labels)
        assert list(data.class_order) == recorded["class_order"].tolist()
        assert recorded["slot_row"].tolist() == list(range(settings["K"]))
        batches = batches_of(data, settings["batch"])
        assert settings["epochs_identical"]
        assert torch.equal(batches, batches_of(data, settings["batch"], epoch=7))
        assert not torch.equal(batches, batches_of(data, settings["batch"], seed=1))
        published = recorded["batches_epoch0"]
        assert np.array_equal(labels[batches], labels[published])
        slots = labels[batches[0]].reshape(settings["K"], -1)
        assert (slots == recorded["slot_class"][:, None]).all()
        assert sorted(batches.flatten().tolist()) == sorted(published.flatten().tolist())


def test_the_order_of_classes_is_that_of_the_whole_set_whatever_the_split_leaves():
    """Class 2 comes first in the whole set, but not among the examples that are trained on."""
    data = data_of([0, 1, 2, 2, 1, 0], class_order=(2, 0, 1))
    assert data.train.targets[batches_of(data, 3)].tolist() == [[2, 0, 1]] * 2


# The law of the draws


def law_by_slot(matrix: np.ndarray, classes: list[int]) -> dict[tuple[int, ...], float]:
    """The probability of every assignment: places in their order, each by the row of its slot, from what is left."""
    per_slot = len(classes) // len(matrix)
    law = {}
    for assignment in permutations(range(len(classes))):
        share, left = 1.0, list(range(len(classes)))
        for place, met in enumerate(assignment):
            row = matrix[place // per_slot]
            share *= row[classes[met]] / sum(row[classes[j]] for j in left)
            left.remove(met)
        law[assignment] = share
    return law


@pytest.mark.parametrize("classes", [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0]])
def test_draws_have_the_law_of_the_published_rule(classes):
    matrix = np.array([[0.8, 0.2], [0.35, 0.65]])
    law = law_by_slot(matrix, classes)
    assert sum(law.values()) == pytest.approx(1)
    made, repeats = generator(), 4_000
    seen = Counter(
        tuple(draw_by_slot(torch.tensor(matrix), torch.tensor(classes), generator=made).tolist())
        for _ in range(repeats)
    )
    got, expected = [seen[key] for key in law], [repeats * share for share in law.values()]
    assert stats.chisquare(got, expected).pvalue > 0.01


def test_draws_agree_with_the_loop_on_a_batch():
    """Many classes and members, the loop of the reference, and the classes in another order than their numbers."""
    matrix = reference.confusion_like(5, spread=1.0)
    classes = np.array([3, 0, 4, 1, 2]).repeat(4)
    rng, made, repeats = np.random.default_rng(0), generator(), 300
    slow, fast = np.zeros((5, 5)), np.zeros((5, 5))
    for _ in range(repeats):
        loop = np.array(reference.published_pairing(matrix, classes.tolist(), rng))
        slow += reference.class_pair_counts(classes, loop, 5)
        ours = draw_by_slot(torch.tensor(matrix), torch.tensor(classes), generator=made)
        assert sorted(ours.tolist()) == list(range(20))
        fast += reference.class_pair_counts(classes, ours.numpy(), 5)
    assert (abs(slow - fast) < 4 * np.sqrt((slow + fast).clip(1))).all()
    assert abs(slow / repeats / 4 - matrix).max() > 0.1  # no class gets its own row


def test_a_slot_without_weight_on_what_is_left_draws_anything():
    """Both slots want class 0 only; the second gets what remains."""
    matrix = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    for seed in range(10):
        partner = draw_by_slot(matrix, torch.tensor([0, 0, 1, 1]), generator=generator(seed)).tolist()
        assert sorted(partner[:2]) == [0, 1] and sorted(partner[2:]) == [2, 3]


def test_batches_that_are_no_whole_slots_are_refused():
    with pytest.raises(ValueError, match=r"a batch of 7 can't be 2 slots of equal size.* multiple of 2"):
        draw_by_slot(torch.eye(2, dtype=torch.float64), torch.zeros(7, dtype=torch.int64), generator=generator())


# Settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data.batches": "stratified"}, "data.batches: got 'stratified', .* set data.batches=fixed"),
        ({"data.batches": "shuffled"}, "data.batches: got 'shuffled', .* set data.batches=fixed"),
        ({"mixing.pairing": "independent"}, "pairing: got 'independent', but variant=published"),
        ({"mixing.diagonal": 0.3}, "diagonal: got 0.3, but variant=published"),
        ({"mixing.power_diagonal": False}, "power_diagonal: got False, but variant=published"),
        ({"mixing.rows": "permuted"}, "rows: got 'permuted', but variant=published"),
        ({"mixing.variant": "official"}, "mixing.variant: got 'official', must be"),
    ],
    ids=str,
)
def test_settings_that_contradict_the_variant_are_refused_in_one_line(settings, words):
    with pytest.raises(ValueError, match=words) as error:
        TrialConfig.from_dotted(PUBLISHED, settings)
    assert "\n" not in str(error.value)


def test_fixed_batches_serve_every_method_and_the_variant_every_method_with_partners():
    fixed = {"data.batches": "fixed", "data.name": "synthetic"}
    for mixing in ({"mixing.name": "generalized_mixup"}, {"mixing.name": "mixup"}):
        TrialConfig.from_dotted(fixed, mixing)
    guided = {"mixing.name": "cutmix", "mixing.partners.name": "confusion", "mixing.partners.variant": "published"}
    assert isinstance(TrialConfig.from_dotted(fixed, guided).mixing, CutMix)
    for batches in ("stratified", "shuffled"):
        with pytest.raises(ValueError, match="set data.batches=fixed"):
            TrialConfig.from_dotted(guided, {"data.batches": batches})
        members = {"mixing.name": "mixture", "mixing.members.a": {"name": "generalized_mixup", "variant": "published"}}
        with pytest.raises(ValueError, match="set data.batches=fixed"):
            TrialConfig.from_dotted(members, {"data.batches": batches, "mixing.members.mixup": {}})


def test_the_variant_has_identities_of_its_own():
    values = [{}, {"mixing.gamma": 0.0}, {"mixing.gamma": 1.0}, {"mixing.growth_factor": 2.0}]
    identities = {TrialConfig.from_dotted(PUBLISHED, more).identity() for more in values}
    others = [{"mixing.variant": "intended", **more} for more in values]
    assert len(identities | {TrialConfig.from_dotted(PUBLISHED, more).identity() for more in others}) == 8
    unused = TrialConfig.from_dotted(PUBLISHED, {"mixing.step_size": 3})
    assert unused.identity() == TrialConfig.from_dotted(PUBLISHED).identity()


def test_a_captured_step_of_one_variant_does_not_serve_the_other():
    """The two draw by other operations, while gamma and mu only change what is in the state."""
    rule = ConfusionPartners()
    assert {"gamma", "mu"} <= rule.changeable
    assert not {"variant", "pairing"} & rule.changeable


def test_the_rule_itself_draws_by_the_row_of_the_slot_whichever_class_stands_there():
    """Row s allows class s alone: the slots, which hold the classes 2, 0 and 1, meet the classes 0, 1 and 2."""
    rule = ConfusionPartners(variant="published")
    classes = torch.tensor([2, 2, 0, 0, 1, 1])
    state = {"pairing": torch.eye(3, dtype=torch.float64)}
    partner = rule.draw(torch.eye(3)[classes], state, generator=generator())
    assert classes[partner].tolist() == [0, 0, 1, 1, 2, 2]
