import io
import math

import mixing_reference as reference
import numpy as np
import pytest
import torch
from torch import nn

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing.birkhoff import POOL_SIZE
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.generalized_mixup import GeneralizedMixup

CPU = torch.device("cpu")
K = 5


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def examples(num_classes: int = K, per_class: int = 4, seed: int = 0):
    classes = torch.arange(num_classes).repeat(per_class)
    classes = classes[torch.randperm(len(classes), generator=generator(seed))]
    inputs = torch.randn(len(classes), 1, 4, 3, generator=generator(seed + 1))
    return inputs, torch.eye(num_classes)[classes]


def model(num_classes: int = K) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(12, num_classes))


def train(mixer, *, epochs: int = 3, steps: int = 3, state=None, network=None, first: int = 0, num_classes: int = K):
    """A short real training; returns the losses, the last state, the network and each epoch's snapshot."""
    state = mixer.init(num_classes, device=CPU, generator=generator(10)) if state is None else state
    network = model(num_classes) if network is None else network
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    losses, snapshots = [], []
    for epoch in range(first, first + epochs):
        made = generator(20 + epoch)
        for step in range(steps):
            inputs, targets = examples(num_classes, seed=100 * epoch + step)
            output = mixer.step(network, inputs, targets, state, epoch=epoch, generator=made, loss=CrossEntropy())
            state = output.state
            optimizer.zero_grad()
            output.loss.backward()
            optimizer.step()
            losses.append(output.loss.item())
        snapshots.append(mixer.snapshot(state))
        state = mixer.end_epoch(state, epoch=epoch, generator=generator(30 + epoch))
    return losses, state, network, snapshots


def learnt(mixer: GeneralizedMixup, num_classes: int = 10, *, epoch: int = 0):
    """The state after an epoch whose counts are known and uneven, and those counts."""
    state = mixer.init(num_classes, device=CPU, generator=generator())
    counts = reference.confusion_like(num_classes)
    np.fill_diagonal(counts, 0)
    state = mixer.end_epoch({**state, "counts": torch.tensor(counts)}, epoch=epoch, generator=generator(1))
    return state, counts


@pytest.mark.parametrize(
    ("gamma", "growth_factor", "step_size", "expected"),
    [
        (0.125, 1.5, 20, {0: 0.125, 19: 0.125, 20: 0.1875, 40: 0.28125, 60: 0.421875, 80: 0.6328125, 99: 0.6328125}),
        (0.25, 2.0, 20, {0: 0.25, 20: 0.5, 40: 1.0, 60: 2.0, 80: 4.0, 100: 8.0, 120: 8.0, 10**9: 8.0}),
        (0.25, 1.0, 20, {0: 0.25, 10**9: 0.25}),
        (0.25, 1.0, 1, {0: 0.25, 1: 0.25}),
        (1.0, 0.5, 1, {0: 1.0, 1: 0.5, 3: 0.125, 10**6: 0.0}),
        (16.0, 0.5, 1, {0: 8.0, 1: 8.0, 2: 4.0}),
        (0.0, 2.0, 1, {0: 0.0, 10**6: 0.0}),
        (1e-9, 1e300, 1, {0: 1e-9, 1: 8.0, 10**9: 8.0}),
    ],
)
def test_gamma_grows_cumulatively_up_to_its_cap(gamma, growth_factor, step_size, expected):
    mixer = GeneralizedMixup(gamma=gamma, growth_factor=growth_factor, step_size=step_size)
    for epoch, value in expected.items():
        assert math.isclose(mixer.gamma_at(epoch), value, rel_tol=1e-12), epoch


def test_state_starts_without_any_confusion():
    state = GeneralizedMixup(gamma=1.0).init(K, device=CPU, generator=generator())
    uniform = torch.full((K, K), 1 / K, dtype=torch.float64)
    assert torch.equal(state["confusion"], uniform)
    assert torch.equal(state["pairing"], uniform)
    assert torch.equal(state["counts"], torch.zeros_like(uniform))
    assert state["rows"].tolist() == list(range(K))
    assert state["pool"].shape == (POOL_SIZE, K)
    assert "pool" not in GeneralizedMixup(pairing="independent").init(K, device=CPU, generator=generator())


def test_steps_count_the_wrong_predictions_before_the_update():
    mixer = GeneralizedMixup()
    inputs, targets = examples()
    state, network = mixer.init(K, device=CPU, generator=generator()), model()
    expected = np.zeros((K, K))
    for seed in range(3):
        mixed = mixer.mix(inputs, targets, state, epoch=0, generator=generator(seed))
        own = targets.argmax(1)
        logits = network(mixed.inputs).detach().numpy()
        lam = [mixed.lam.item()] * len(own)
        expected += reference.soft_counts(logits, own.tolist(), own[mixed.partner].tolist(), lam)
        state = mixer.step(
            network, inputs, targets, state, epoch=0, generator=generator(seed), loss=CrossEntropy()
        ).state
    np.testing.assert_allclose(state["counts"].numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("mu", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("diagonal", ["uniform", 0.0, 0.4])
def test_confusion_is_a_moving_average_of_row_shares(mu, diagonal):
    state, counts = learnt(GeneralizedMixup(mu=mu, diagonal=diagonal))
    share = 0.1 if diagonal == "uniform" else diagonal
    newest = (1 - share) * counts / counts.sum(1, keepdims=True) + share * np.eye(10)
    np.testing.assert_allclose(state["confusion"].numpy(), mu * 0.1 + (1 - mu) * newest, atol=1e-14)
    assert torch.equal(state["counts"], torch.zeros(10, 10, dtype=torch.float64))


@pytest.mark.parametrize("power_diagonal", [True, False])
def test_without_new_confusions_pairing_stays_exactly_uniform(power_diagonal):
    for num_classes in (3, 6, 7, 10):  # balancing powers of 1 / K would round, differently for each K
        mixer = GeneralizedMixup(mu=1.0, gamma=3.0, power_diagonal=power_diagonal)
        state, _ = learnt(mixer, num_classes)
        uniform = torch.full((num_classes, num_classes), 1 / num_classes, dtype=torch.float64)
        assert torch.equal(state["confusion"], uniform)
        assert torch.equal(state["pairing"], uniform)


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_next_epoch_pairs_by_its_own_gamma(epoch):
    mixer = GeneralizedMixup(gamma=0.5, growth_factor=2.0, step_size=2, mu=0.0)
    state, _ = learnt(mixer, epoch=epoch)
    gamma = 0.5 * 2.0 ** ((epoch + 1) // 2)
    expected = reference.sinkhorn(state["confusion"].numpy() ** gamma, 300)
    np.testing.assert_allclose(state["pairing"].numpy(), expected, atol=1e-7)


def test_pool_of_the_next_epoch_averages_to_the_pairing_matrix():
    state, _ = learnt(GeneralizedMixup(gamma=1.0, mu=0.0))
    share = np.zeros((10, 10))
    for permutation in state["pool"].tolist():
        share[range(10), permutation] += 1 / POOL_SIZE
    assert abs(share - state["pairing"].numpy()).max() < 1 / POOL_SIZE + 1e-9
    assert abs(share - 0.1).max() > 0.1


def realised(mixer: GeneralizedMixup, state, num_classes: int, *, repeats: int = 400) -> np.ndarray:
    """The share of each class among the partners of each class, over many batches."""
    inputs, targets = examples(num_classes, per_class=8)
    classes, made = targets.argmax(1), generator(9)
    counts = np.zeros((num_classes, num_classes))
    for _ in range(repeats):
        partner = mixer.mix(inputs, targets, state, epoch=1, generator=made).partner
        np.add.at(counts, (classes.numpy(), classes[partner].numpy()), 1)
    return counts / counts.sum(1, keepdims=True)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    beside = ~np.eye(len(a), dtype=bool)
    return float(np.corrcoef(a[beside], b[beside])[0, 1])


@pytest.mark.parametrize("pairing", ["birkhoff", "sequential", "independent"])
def test_aligned_rows_pair_by_confusion_and_permuted_rows_by_another_class(pairing):
    aligned, permuted = (
        GeneralizedMixup(gamma=1.0, mu=0.0, pairing=pairing, rows=rows) for rows in ("aligned", "permuted")
    )
    state, counts = learnt(aligned)
    misaligned, _ = learnt(permuted)
    assert torch.equal(state["confusion"], misaligned["confusion"])
    assert correlation(realised(aligned, state, 10), state["pairing"].numpy()) > 0.95
    assert correlation(realised(aligned, state, 10), counts) > 0.8
    assert abs(correlation(realised(permuted, misaligned, 10), counts)) < 0.3
    # It pairs as strictly, only by the wrong row: that of one other class each, in a single cycle.
    rows = misaligned["rows"]
    assert sorted(rows.tolist()) == list(range(10))
    assert bool((rows != torch.arange(10)).all())
    assert torch.equal(misaligned["pairing"], state["pairing"][rows])
    assert correlation(realised(permuted, misaligned, 10), state["pairing"][rows].numpy()) > 0.95


def test_permuted_rows_stay_for_the_whole_training():
    mixer = GeneralizedMixup(rows="permuted")
    start = mixer.init(K, device=CPU, generator=generator(10))["rows"]
    assert torch.equal(train(mixer)[1]["rows"], start)


def test_batches_need_equal_classes_only_for_class_permutations():
    needs = {p: GeneralizedMixup(pairing=p).needs_stratified_batches for p in ("birkhoff", "sequential", "independent")}
    assert needs == {"birkhoff": True, "sequential": False, "independent": False}
    inputs, targets = examples()
    mixer = GeneralizedMixup()
    state = mixer.init(K, device=CPU, generator=generator())
    with pytest.raises(ValueError, match="a batch of 19 can't hold each of 5 classes equally often"):
        mixer.mix(inputs[:19], targets[:19], state, epoch=0, generator=generator())


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="got 1, must be at least 2"):
        GeneralizedMixup().init(1, device=CPU, generator=generator())


@pytest.mark.parametrize("num_classes", [2, 3, 10, 200])
@pytest.mark.parametrize("power_diagonal", [True, False])
@pytest.mark.parametrize("diagonal", ["uniform", 0.0])
def test_nothing_is_ever_nan(num_classes, power_diagonal, diagonal):
    """Broken logits, predictions that are certain, classes that never occur, the largest gamma, no memory."""
    mixer = GeneralizedMixup(gamma=8.0, mu=0.0, diagonal=diagonal, power_diagonal=power_diagonal)
    inputs, targets = examples(num_classes, per_class=2)
    certain = torch.full((num_classes,), -1e30)
    certain[0] = 1e30
    state = mixer.init(num_classes, device=CPU, generator=generator())
    for epoch, row in enumerate((certain, torch.full_like(certain, torch.nan), torch.full_like(certain, torch.inf))):
        for _ in range(2):
            network = lambda x, row=row: row.expand(len(x), -1)  # noqa: E731
            state = mixer.step(
                network, inputs, targets, state, epoch=epoch, generator=generator(epoch), loss=CrossEntropy()
            ).state
        state = mixer.end_epoch(state, epoch=epoch, generator=generator(epoch))
        for name in ("confusion", "pairing", "counts"):
            assert bool((state[name] >= 0).all()), name
        np.testing.assert_allclose(state["confusion"].sum(1).numpy(), 1, atol=1e-12)
        np.testing.assert_allclose(state["pairing"].sum(0).numpy(), 1, atol=1e-8)
        np.testing.assert_allclose(state["pairing"].sum(1).numpy(), 1, atol=1e-8)


def test_counts_are_exact_under_autocast():
    mixer = GeneralizedMixup()
    inputs, targets = examples()
    state = mixer.init(K, device=CPU, generator=generator())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = mixer.mix(inputs, targets, state, epoch=0, generator=generator(1))
        output = mixer.step(model(), inputs, targets, state, epoch=0, generator=generator(1), loss=CrossEntropy())
    assert output.logits.dtype == torch.bfloat16
    own = targets.argmax(1)
    expected = reference.soft_counts(
        output.logits.detach().double().numpy(),
        own.tolist(),
        own[mixed.partner].tolist(),
        [mixed.lam.item()] * len(own),
    )
    np.testing.assert_allclose(output.state["counts"].numpy(), expected, atol=1e-10)


@pytest.mark.parametrize(
    "drawing",
    [
        *({"pairing": p, "rows": "permuted"} for p in ("birkhoff", "sequential", "independent")),
        {"variant": "published"},
    ],
    ids=str,
)
def test_restored_training_equals_uninterrupted_training(drawing):
    mixer = GeneralizedMixup(gamma=1.0, growth_factor=2.0, step_size=1, **drawing)
    losses, whole, _, _ = train(mixer, epochs=3)
    first, state, network, _ = train(mixer, epochs=2)
    file = io.BytesIO()
    torch.save(dict(state), file)
    file.seek(0)
    second, resumed, _, _ = train(mixer, epochs=1, state=torch.load(file), network=network, first=2)
    assert first + second == losses
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_learning_changes_the_pairing():
    snapshots = train(GeneralizedMixup(gamma=2.0))[3]
    assert torch.equal(snapshots[0]["pairing"], torch.full((K, K), 1 / K, dtype=torch.float64))
    assert snapshots[2]["pairing"].std() > 0.01


# Identity: settings that train alike, and only those

SAME = [
    ({"gamma": 0.0, "growth_factor": 2.0, "step_size": 1}, {"gamma": 0.0}),
    ({"gamma": 0.0, "mu": 0.9, "max_gamma": 2.0, "rows": "permuted"}, {"gamma": 0.0}),
    ({"gamma": 0.0, "diagonal": 0.3}, {"gamma": 0.0}),
    ({"gamma": 0.0, "power_diagonal": False}, {"gamma": 0.0}),
    (
        {"gamma": 0.0, "power_diagonal": False, "diagonal": 0.3, "mu": 0.1},
        {"gamma": 0.0, "power_diagonal": False, "diagonal": 0.3},
    ),
    ({"mu": 1.0, "gamma": 1.0, "growth_factor": 2.0, "step_size": 1, "rows": "permuted"}, {"gamma": 0.0}),
    ({"mu": 1.0, "power_diagonal": False, "diagonal": 0.3}, {"gamma": 0.0, "power_diagonal": False, "diagonal": 0.3}),
    ({"growth_factor": 1.0, "step_size": 1}, {}),
    ({"gamma": 0.5, "max_gamma": 0.5, "growth_factor": 3.0, "step_size": 1}, {"gamma": 0.5}),
    ({"gamma": 9.0}, {"gamma": 8.0}),
    ({"gamma": 12.0, "max_gamma": 16.0}, {"gamma": 12.0, "max_gamma": 12.0}),
    ({"gamma": 2.0, "growth_factor": 0.5, "max_gamma": 3.0}, {"gamma": 2.0, "growth_factor": 0.5}),
    ({"variant": "published", "growth_factor": 1.0, "step_size": 1}, {"variant": "published"}),
    ({"variant": "published", "gamma": 0.0, "mu": 0.1, "max_gamma": 2.0}, {"variant": "published", "gamma": 0.0}),
    ({"variant": "published", "mu": 1.0, "growth_factor": 2.0}, {"variant": "published", "gamma": 0.0}),
    (
        {"variant": "published", "gamma": 8.0, "growth_factor": 3.0, "step_size": 1},
        {"variant": "published", "gamma": 9.0},
    ),
    (
        {"variant": "published", "gamma": 2.0, "growth_factor": 0.5, "max_gamma": 3.0, "step_size": 1},
        {"variant": "published", "gamma": 2.0, "growth_factor": 0.5, "step_size": 1},
    ),
]


def describe(pair) -> str:
    return " ".join(f"{key}={value}" for key, value in pair.items()) if isinstance(pair, dict) else str(pair)


@pytest.mark.parametrize(("one", "other"), SAME, ids=describe)
def test_settings_without_effect_share_an_identity_and_train_alike(one, other):
    one, other = GeneralizedMixup(**one), GeneralizedMixup(**other)
    assert one.canonical() == other.canonical()
    for mixer in (one, other):
        assert train(mixer)[0] == train(mixer.canonical())[0]
    assert train(one)[0] == train(other)[0]


@pytest.mark.parametrize("pairing", ["birkhoff", "sequential", "independent"])
def test_no_alpha_trains_as_plain_training(pairing):
    mixer = GeneralizedMixup(alpha=0.0, pairing=pairing)
    assert mixer.canonical() == Erm()
    assert train(mixer)[0] == train(Erm())[0]


DIFFERENT = [
    {},
    {"gamma": 0.0},
    {"gamma": 0.0, "power_diagonal": False, "diagonal": 0.0},
    {"gamma": 0.0, "power_diagonal": False, "diagonal": 0.5},
    {"gamma": 0.0, "power_diagonal": False, "diagonal": 0.5, "rows": "permuted"},
    {"gamma": 0.0, "pairing": "sequential"},
    {"gamma": 0.0, "pairing": "independent"},
    {"gamma": 0.0, "alpha": 0.5},
    {"gamma": 4.0},
    {"gamma": 4.0, "mu": 0.0},
    {"gamma": 4.0, "power_diagonal": False},
    {"gamma": 4.0, "rows": "permuted"},
    {"gamma": 4.0, "diagonal": 0.0},
    {"gamma": 4.0, "growth_factor": 2.0, "step_size": 1, "max_gamma": 6.0},
    {"gamma": 4.0, "growth_factor": 2.0, "step_size": 1},
    {"gamma": 4.0, "growth_factor": 2.0, "step_size": 2},
    {"gamma": 12.0, "max_gamma": 16.0},
    {"gamma": 12.0, "growth_factor": 0.5, "step_size": 1},
    {"gamma": 4.0, "variant": "published"},
    {"gamma": 0.0, "variant": "published"},
    {"gamma": 4.0, "variant": "published", "mu": 0.0},
    {"gamma": 4.0, "variant": "published", "growth_factor": 2.0, "step_size": 2},
]


def test_settings_that_train_differently_have_different_identities():
    mixers = [GeneralizedMixup(**values) for values in DIFFERENT]
    assert len({mixer.canonical() for mixer in mixers}) == len(mixers)
    losses = [train(mixer)[0] for mixer in mixers]
    assert len({tuple(each) for each in losses}) == len(mixers)
    assert losses == [train(mixer.canonical())[0] for mixer in mixers]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"alpha": -1.0}, "alpha: got -1.0"),
        ({"gamma": -0.1}, "gamma: got -0.1"),
        ({"gamma": math.inf}, "gamma: got inf"),
        ({"growth_factor": 0.0}, "growth_factor: got 0.0"),
        ({"step_size": 0}, "step_size: got 0"),
        ({"step_size": 2.5}, "step_size: got 2.5"),
        ({"mu": 1.5}, "mu: got 1.5"),
        ({"max_gamma": 0.0}, "max_gamma: got 0.0"),
        ({"pairing": "random"}, "pairing: got 'random'"),
        ({"rows": "shuffled"}, "rows: got 'shuffled'"),
        ({"diagonal": 1.0}, "diagonal: got 1.0, must be 'uniform' or a number from 0 to below 1"),
        ({"diagonal": "zero"}, "diagonal: got 'zero', must be 'uniform' or a number from 0 to below 1"),
        ({"diagonal": math.nan}, "diagonal: got nan, must be"),
        ({"diagonal": True}, "diagonal: got True, must be"),
        ({"gama": 1.0}, "gama: there is no such setting"),
    ],
    ids=describe,
)
def test_bad_settings_are_refused_in_one_line(bad, message):
    with pytest.raises(ValueError) as error:
        GeneralizedMixup.parse(bad)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
