import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from tune_mixup.loss import CrossEntropy, SigmoidBce
from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.alignmixup import AlignMixup
from tune_mixup.mixing.attentivemix import AttentiveMix
from tune_mixup.mixing.base import forward
from tune_mixup.mixing.comixup import CoMixup
from tune_mixup.mixing.confusion_partners import ConfusionPartners
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.first_state import first_state
from tune_mixup.mixing.generalized_mixup import GeneralizedMixup
from tune_mixup.mixing.manifold_mixup import ManifoldMixup
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.puzzlemix import PuzzleMix
from tune_mixup.models.tiny_resnet import TinyResNet

CPU = torch.device("cpu")
K = 5


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def examples(per_class: int = 4, seed: int = 0):
    classes = torch.arange(K).repeat(per_class)[torch.randperm(K * per_class, generator=generator(seed))]
    return torch.randn(len(classes), 3, 8, 8, generator=generator(seed + 1)), torch.eye(K)[classes]


def build() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TinyResNet(width=2).build(channels=3, num_classes=K)


def blend(mixer, inputs, targets, *, seed=0, state=None):
    return mixer.blend(build(), inputs, targets, state or {}, epoch=0, generator=generator(seed))


def train(mixer, *, epochs=3, steps=3, state=None, network=None, first=0):
    """A short real training; returns the losses, the last state and the network."""
    state = mixer.init(K, device=CPU, generator=generator(10)) if state is None else state
    network = build() if network is None else network
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    losses = []
    for epoch in range(first, first + epochs):
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
    return losses, state, network


def who(mixed, inputs) -> torch.Tensor:
    """Which member mixed each row, by its pixels: 0 erm, or it met itself; 1 mixup (all moved); 2 CutMix (some)."""
    moved = (mixed.inputs != inputs).any(1).flatten(1)
    met_itself = mixed.partner == torch.arange(len(inputs))
    return torch.where(met_itself, 0, torch.where(moved.all(1), 1, 2))


THREE = {"erm": Erm(), "mixup": Mixup(alpha=50.0), "cutmix": CutMix(alpha=50.0)}
WEIGHTS = {"erm": 1.0, "mixup": 2.0, "cutmix": 5.0}


def drawn(per: str, batches: int) -> list[torch.Tensor]:
    """Who mixed the rows of many batches."""
    mixer, (inputs, targets), made = Mixture(members=THREE, weights=WEIGHTS, per=per), examples(), generator(4)
    return [
        who(mixer.blend(nn.Identity(), inputs, targets, {}, epoch=0, generator=made), inputs) for _ in range(batches)
    ]


def test_batches_are_shared_out_by_the_weights():
    members = [set(rows.tolist()) - {0} or {0} for rows in drawn("batch", 800)]
    assert all(len(member) == 1 for member in members)
    counts = [members.count({member}) for member in range(3)]
    assert stats.chisquare(counts, 800 * np.array([1, 2, 5]) / 8).pvalue > 0.001


def test_examples_are_shared_out_by_the_weights():
    rows = torch.cat(drawn("sample", 200))
    # 1 / 20 of the rows of mixup and CutMix meet themselves and look like plain training.
    expected = np.array([1 + 7 / 20, 2 * 19 / 20, 5 * 19 / 20]) / 8
    assert stats.chisquare(rows.bincount(minlength=3).numpy(), len(rows) * expected).pvalue > 0.001


@pytest.mark.parametrize("per", ["batch", "sample"])
@pytest.mark.parametrize("seed", range(6))
def test_every_row_is_what_one_member_made_of_it(per, seed):
    """Members mix in the order of their labels; each row must be that member's, in all that describes it."""
    inputs, targets = examples()
    mixed = blend(Mixture(members=THREE, weights=WEIGHTS, per=per), inputs, targets, seed=seed)
    made = generator(seed)
    alone = {
        label: THREE[label].mix(inputs, targets, {}, epoch=0, generator=made) for label in ("cutmix", "erm", "mixup")
    }
    uniform = torch.rand((len(inputs),) if per == "sample" else (), dtype=torch.float64, generator=made)
    for i, u in enumerate(uniform.expand(len(inputs)).tolist()):
        label = "cutmix" if u < 5 / 8 else "erm" if u < 6 / 8 else "mixup"
        expected = alone[label]
        assert torch.equal(mixed.inputs[i], expected.inputs[i])
        assert torch.equal(mixed.soft_targets[i], expected.soft_targets[i])
        assert mixed.partner[i] == expected.partner[i]
        assert mixed.lam[i] == expected.lam.expand(len(inputs))[i]
        mask = expected.lam if expected.mask is None else expected.mask.expand(len(inputs), 1, 8, 8)[i, 0]
        assert torch.equal(mixed.mask[i, 0], mask.expand(8, 8))


ASKING = {"puzzlemix": PuzzleMix(t_size=0), "comixup": CoMixup(eta=0.0), "attentivemix": AttentiveMix()}
"""Members that look where the network looks."""


@pytest.mark.parametrize("per", ["batch", "sample"])
@pytest.mark.parametrize("label", ASKING)
def test_rows_of_members_that_ask_the_network_are_those_that_they_make_alone(label, per):
    """Beside CutMix, in the order of the labels; state of their own is found under the label."""
    network, (inputs, targets) = build(), examples()
    mixer = Mixture(members={label: ASKING[label], "cutmix": CutMix(alpha=50.0)}, per=per)
    state = first_state(mixer, network, K, image=(3, 8, 8), device=CPU, generator=generator(1))
    own = first_state(ASKING[label], network, K, image=(3, 8, 8), device=CPU, generator=generator(1))
    assert {f"{label}.{key}" for key in own} | {"cutmix.alpha"} == state.keys()
    drawn = set()
    for seed in range(4):
        mixed = mixer.blend(network, inputs, targets, state, epoch=0, generator=generator(seed))
        made, alone = generator(seed), {}
        for one in sorted([label, "cutmix"]):
            member, kept = mixer.members[one], own if one == label else {}
            alone[one] = member.blend(network, inputs, targets, kept, epoch=0, generator=made)
        uniform = torch.rand((len(inputs),) if per == "sample" else (), dtype=torch.float64, generator=made)
        for i, u in enumerate(uniform.expand(len(inputs)).tolist()):
            name = sorted([label, "cutmix"])[int(u >= 0.5)]
            drawn.add(name)
            assert torch.equal(mixed.inputs[i], alone[name].inputs[i])
            assert torch.equal(mixed.soft_targets[i], alone[name].soft_targets[i])
            assert mixed.lam[i] == alone[name].lam.expand(len(inputs))[i]
    assert drawn == {label, "cutmix"}


def test_aligned_features_are_drawn_for_whole_batches():
    network, (inputs, targets) = build(), examples()
    align = AlignMixup(aligned=1.0, alpha=50.0)
    mixer, seen = Mixture(members={"alignmixup": align, "cutmix": CutMix(alpha=50.0)}), set()
    for seed in range(8):
        mixed = mixer.blend(network, inputs, targets, {}, epoch=0, generator=generator(seed))
        made = generator(seed)
        alone = align.blend(network, inputs, targets, {}, epoch=0, generator=made)
        cut = CutMix(alpha=50.0).blend(network, inputs, targets, {}, epoch=0, generator=made)
        aligned = bool(torch.rand((), dtype=torch.float64, generator=made) < 0.5)
        seen.add(aligned)
        expected = forward(network.eval(), alone if aligned else cut)
        torch.testing.assert_close(forward(network.eval(), mixed), expected)
        assert torch.equal(mixed.soft_targets, (alone if aligned else cut).soft_targets)
    assert seen == {True, False}
    with pytest.raises(ValueError, match="got 'sample', but alignmixup mixes features"):
        Mixture(members={"alignmixup": align, "cutmix": CutMix()}, per="sample")


@pytest.mark.parametrize("name", ["automix", "samix"])
def test_methods_that_learn_masks_are_refused_as_members_in_one_line(name):
    """By their name, under a label of their own, and as objects."""
    words = (
        f"members: got {name}, which makes two mixtures of each batch and trains on both, so a mixture can't hold it"
    )
    for members in ({name: {}, "mixup": {}}, {"mine": {"name": name}}):
        with pytest.raises(ValueError, match=words) as caught:
            Mixture.parse({"members": members})
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="must be a method that mixes a batch once"):
        Mixture.parse({"members": {"mine": MIXERS[name].parse({})}})
    with pytest.raises(ValueError, match="must be a method that mixes a batch once"):
        Mixture.parse({"members": {"mine": {"name": f"tune_mixup.mixing.{name}:{MIXERS[name].__name__}"}}})


def test_features_are_mixed_in_the_batches_of_the_member_that_does_it():
    mixer = Mixture(members={"manifold_mixup": ManifoldMixup(layers=(2,)), "cutmix": CutMix(alpha=50.0)})
    inputs, targets = examples()
    seen = set()
    for seed in range(10):
        mixed = blend(mixer, inputs, targets, seed=seed)
        deep = bool((mixed.hidden[2] != 1).any())
        seen.add(deep)
        assert deep == torch.equal(mixed.inputs, inputs)
        if deep:
            assert torch.equal(mixed.hidden[2], mixed.lam)
        model = build().eval()
        logits = mixer.step(model, inputs, targets, {}, epoch=0, generator=generator(seed), loss=CrossEntropy()).logits
        hidden = model.stages[1](model.stages[0](model.stem(mixed.inputs)))
        lam = mixed.lam[:, None, None, None]
        hidden = lam * hidden + (1 - lam) * hidden[mixed.partner] if deep else hidden
        torch.testing.assert_close(logits, model.head(model.stages[2](hidden)))
    assert seen == {True, False}
    assert mixer.min_stages == 2


@pytest.mark.parametrize("loss", [CrossEntropy(), SigmoidBce()])
def test_repeats_average_the_loss_of_as_many_draws(loss):
    inputs, targets = examples()
    mixer = Mixture(repeats=3)
    model, reference = build(), build()
    output = mixer.step(model, inputs, targets, {}, epoch=0, generator=generator(), loss=loss)
    output.loss.backward()
    once, made, singles = Mixture(), generator(), []
    for _ in range(3):
        singles.append(once.step(reference, inputs, targets, {}, epoch=0, generator=made, loss=loss))
        (singles[-1].loss / 3).backward()
    assert output.loss.item() == pytest.approx(sum(single.loss.item() for single in singles) / 3)
    assert len({single.loss.item() for single in singles}) == 3
    assert torch.equal(output.logits, torch.cat([single.logits for single in singles]))
    assert torch.equal(output.soft_targets, torch.cat([single.soft_targets for single in singles]))
    for one, other in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


GUIDED = Mixture(
    members={
        "guided": GeneralizedMixup(gamma=1.0),
        "cut": CutMix(partners=ConfusionPartners(pairing="sequential", mu=0.0)),
        "mixup": Mixup(),
    },
    repeats=2,
)


def test_every_member_keeps_a_state_of_its_own_and_learns_from_all_batches():
    losses, state, _ = train(GUIDED, epochs=2)
    assert all(math.isfinite(loss) for loss in losses)
    names = {key.partition(".")[0] for key in state if not key.endswith(".alpha")}
    assert names == {"guided", "cut"}
    assert "guided.pool" in state and "cut.pool" not in state
    model, made = build(), generator()
    fresh = GUIDED.init(K, device=CPU, generator=generator(1))
    output = GUIDED.step(model, *examples(), fresh, epoch=0, generator=made, loss=CrossEntropy())
    assert output.state["cut.counts"].sum() > 0
    assert torch.equal(output.state["cut.counts"], output.state["guided.counts"])
    assert set(GUIDED.snapshot(state)) == {"guided.confusion", "guided.pairing", "cut.confusion", "cut.pairing"}
    assert GUIDED.needs_stratified_batches


def test_restored_training_equals_uninterrupted_training():
    losses, whole, _ = train(GUIDED, epochs=3)
    first, state, network = train(GUIDED, epochs=2)
    file = io.BytesIO()
    torch.save(dict(state), file)
    file.seek(0)
    second, resumed, _ = train(GUIDED, epochs=1, state=torch.load(file), network=network, first=2)
    assert first + second == losses
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


# Identity

ALIKE = [
    (Mixture(members={"mixup": Mixup(alpha=0.3)}), Mixup(alpha=0.3)),
    (
        Mixture(members={"mixup": Mixup(alpha=0.3), "cutmix": CutMix()}, weights={"mixup": 2, "cutmix": 0}),
        Mixup(alpha=0.3),
    ),
    (Mixture(members={"mixup": Mixup(alpha=0.0), "cutmix": CutMix(applied=0.0)}), Erm()),
    (Mixture(members={"a": Mixup(), "b": Mixup()}, per="sample"), Mixup()),
    (Mixture(members={"guided": GeneralizedMixup()}), GeneralizedMixup()),
    (Mixture(weights={"mixup": 0.4, "cutmix": 0.6}), Mixture(weights={"mixup": 2.0, "cutmix": 3.0})),
    (
        Mixture(members={"cutmix": CutMix(), "off": Mixup(alpha=0.0), "mixup": Mixup()}),
        Mixture(members={"mixup": Mixup(), "cutmix": CutMix(), "off": Erm()}),
    ),
    (Mixture(members={"mixup": Mixup()}, per="sample", repeats=2), Mixture(members={"mixup": Mixup()}, repeats=2)),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_settings_without_effect_share_an_identity_and_train_alike(one, other):
    assert one.canonical() == other.canonical()
    assert one.canonical().canonical() == one.canonical()
    losses = train(one, epochs=2)[0]
    assert losses == train(other, epochs=2)[0]
    assert losses == train(one.canonical(), epochs=2)[0]


def test_settings_that_train_differently_have_different_identities():
    mixers = [
        Mixture(),
        Mixture(per="sample"),
        Mixture(repeats=2),
        Mixture(weights={"mixup": 1.0, "cutmix": 2.0}),
        Mixture(members={"mixup": Mixup(alpha=0.2), "cutmix": CutMix()}),
        Mixture(members={"mixup": Mixup(alpha=0.1), "cutmix": CutMix(), "erm": Erm()}),
    ]
    identities = [mixer.canonical().model_dump_json() for mixer in mixers]
    assert len(set(identities)) == len(mixers)
    assert len({tuple(train(mixer, epochs=6)[0]) for mixer in mixers}) == len(mixers)


@settings(deadline=None, max_examples=50)
@given(
    weights=st.dictionaries(
        st.sampled_from(["erm", "mixup", "cutmix"]), st.floats(0, 1e30), min_size=3, max_size=3
    ).filter(lambda weights: sum(weights.values()) > 0)
)
def test_probabilities_are_the_weights_over_their_sum(weights):
    mixer = Mixture(members=THREE, weights=weights)
    total = sum(weights.values())
    assert sum(mixer.probabilities.values()) == pytest.approx(1)
    for label, weight in weights.items():
        assert mixer.probabilities.get(label, 0.0) == pytest.approx(weight / total, abs=1e-12)
    assert mixer.canonical().canonical() == mixer.canonical()


def test_members_are_called_after_their_method_unless_they_say_otherwise():
    mixer = Mixture.parse({"members": {"cutmix": {"alpha": 0.2}, "weak": {"name": "mixup", "alpha": 0.1}, "erm": {}}})
    assert mixer.members == {"cutmix": CutMix(alpha=0.2), "weak": Mixup(alpha=0.1), "erm": Erm()}
    assert Mixture.parse(mixer.model_dump(mode="json")) == mixer


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"members": {}}, "members: got {}, must be settings of one method or more"),
        ({"members": []}, "members: got [], must be settings of one method or more"),
        ({"members": {"cutmixx": {}}}, "members.cutmixx.name: got 'cutmixx', which is not known; did you mean cutmix?"),
        ({"members": {"weak": {"alpha": 1.0}}}, "members.weak.name: got 'weak', which is not known"),
        ({"members": {"mixture": {}}}, "members: a mixture can't hold another mixture"),
        ({"members": {"inner": {"name": "mixture"}}}, "members: a mixture can't hold another mixture"),
        ({"members": {"cutmix": {"alpha": -1.0}}}, "members.cutmix.alpha: got -1.0"),
        ({"members": {"cutmix": {"alhpa": 1.0}}}, "members.cutmix.alhpa: there is no such setting"),
        ({"members": {"cutmix": 0.5}}, "members.cutmix: got 0.5"),
        ({"members": {"a.b": {"name": "mixup"}}}, "members.a.b"),
        ({"weights": {"mixup": 1.0}}, "weights.cutmix is missing; give every member a weight, or none"),
        ({"weights": {"mixup": 1.0, "cutmix": 1.0, "fmix": 1.0}}, "weights.fmix is for no member; did you mean"),
        ({"weights": {"mixup": 0.0, "cutmix": 0.0}}, "must have a positive, finite sum"),
        ({"weights": {"mixup": 1e308, "cutmix": 1e308}}, "must have a positive, finite sum"),
        ({"weights": {"mixup": -0.1, "cutmix": 1.1}}, "weights.mixup: got -0.1, must be greater than or equal to 0"),
        ({"weights": {"mixup": math.nan, "cutmix": 1.0}}, "weights.mixup: got nan, must be a finite number"),
        ({"weights": {"mixup": math.inf, "cutmix": 1.0}}, "weights.mixup: got inf, must be a finite number"),
        ({"weights": {"mixup": "1", "cutmix": 1.0}}, "weights.mixup: got '1', must be a number"),
        ({"repeats": 0}, "repeats: got 0"),
        ({"per": "epoch"}, "per: got 'epoch'"),
        ({"members": {"manifold_mixup": {}, "mixup": {}}, "per": "sample"}, "got 'sample', but manifold_mixup mixes"),
    ],
    ids=lambda value: str(value),
)
def test_bad_settings_are_refused_in_one_line(bad, message):
    with pytest.raises(ValueError) as error:
        Mixture.parse(bad)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
