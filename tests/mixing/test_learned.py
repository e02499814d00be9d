"""What AutoMix and SAMix have in common: what every mixer promises, who gets gradients, the encoder, the heads."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.automix import AutoMix
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.first_state import first_state
from tune_mixup.mixing.flat_weights import flat_weights
from tune_mixup.mixing.learned import BLOCK, ENCODER, HEAD, STEPS, Draws
from tune_mixup.mixing.mix_block import attend, enlarge, mask_loss, rescaled
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.samix import SAMix
from tune_mixup.models.base import StagedNetwork, pooled_linear
from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.testing import StepContract
from tune_mixup.testing.batches import convolutional, generator

CPU = torch.device("cpu")
K = 4
SETTINGS = {
    "automix": AutoMix(),
    "automix one": AutoMix(head="one", layer=1, mask_weight=0.0, momentum=0.0),
    "automix rising": AutoMix(momentum=0.9, momentum_steps=3, lam_margin=0.5),
    "samix": SAMix(),
    "samix one": SAMix(head="one", residual=None, layer=3, mask_margin=0.0),
}
every_setting = pytest.mark.parametrize("mixer", SETTINGS.values(), ids=SETTINGS.keys())
both_heads = pytest.mark.parametrize("head", ["mix", "one"])
both_methods = pytest.mark.parametrize("kind", [AutoMix, SAMix])


class TestLearnedMixers(StepContract):
    @pytest.fixture(autouse=True, params=SETTINGS, ids=str)
    def settings(self, request):
        self.part = SETTINGS[request.param]

    def build(self, inputs, num_classes):
        return convolutional(inputs, num_classes)


@torch.random.fork_rng(devices=[])
def network(seed=0):
    torch.manual_seed(seed)
    return TinyResNet(width=2).build(channels=3, num_classes=K)


def batch(size=6, height=12, width=20):
    inputs = torch.randn(size, 3, height, width, generator=generator(1))
    return inputs, torch.eye(K)[torch.randint(K, (size,), generator=generator(2))]


def begun(mixer, model, image=(3, 12, 20)):
    return first_state(mixer, model, K, image=image, device=CPU, generator=generator(3))


def trained(mixer, model, *, steps=3):
    """The state after some steps of gradient descent by the network, the block and the second head."""
    state = begun(mixer, model)
    parameters = [*model.parameters(), *(tensor for tensor in state.values() if tensor.requires_grad)]
    optimizer = torch.optim.SGD(parameters, lr=0.05)
    for number in range(steps):
        output = mixer.step(model, *batch(), state, epoch=0, generator=generator(10 + number), loss=CrossEntropy())
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        state = output.state
    return state


def terms_of(mixer, model, state, lam=(0.4, 0.7)):
    inputs, targets = batch()
    draws = Draws(torch.tensor(lam), torch.stack([torch.arange(6).flip(0), torch.arange(6).roll(1)]))
    return mixer.losses(model, inputs, targets, state, draws=draws, loss=CrossEntropy())[0]


# Who gets gradients


@both_heads
@both_methods
@pytest.mark.parametrize("term", ["clean", "mixed", "encoder", "mask"])
def test_each_loss_trains_what_it_is_for_and_nothing_else(kind, head, term):
    mixer, model = kind(head=head, mask_margin=0.0), network()
    state = trained(mixer, model)
    model.zero_grad()
    for tensor in state.values():
        tensor.grad = None
    getattr(terms_of(mixer, model, state), term).backward()
    body = {name for name, tensor in model.named_parameters() if reached(tensor) and not name.startswith("head.")}
    own = any(reached(tensor) for name, tensor in model.named_parameters() if name.startswith("head."))
    second = any(reached(tensor) for name, tensor in state.items() if name.startswith(HEAD))
    block = {name.removeprefix(BLOCK) for name, tensor in state.items() if name.startswith(BLOCK) and reached(tensor)}
    every = {name for name, _ in model.named_parameters() if not name.startswith("head.")}
    learned = {name.removeprefix(BLOCK) for name in state if name.startswith(BLOCK)}
    if term in ("clean", "mixed"):
        assert body == every and not block
        assert (own, second) == ((term == "mixed") == (head == "mix"), (term == "mixed") != (head == "mix"))
    else:
        assert not body and not own and not second
        assert block == learned
    assert state[ENCODER].grad is None and not state[ENCODER].requires_grad


def reached(tensor):
    return tensor.grad is not None and bool(tensor.grad.abs().sum() > 0)


@every_setting
def test_the_loss_of_a_step_is_the_sum_of_its_terms(mixer):
    model = network()
    state = trained(mixer, model)
    inputs, targets = batch()
    output = mixer.step(model, inputs, targets, state, epoch=0, generator=generator(5), loss=CrossEntropy())
    draws = mixer.draw(targets, state, generator=generator(5))
    terms, logits, soft_targets = mixer.losses(
        model, inputs, targets, mixer.follow(model, state), draws=draws, loss=CrossEntropy()
    )
    torch.testing.assert_close(output.loss, sum(terms))
    torch.testing.assert_close(output.logits, logits)
    assert torch.equal(output.soft_targets, soft_targets)


# Masks


@both_methods
def test_the_block_is_trained_towards_the_lam_that_is_asked_for(kind):
    """A block that sees nothing but the mask's loss comes to it, within the margin."""
    mixer, model = kind(mask_margin=0.05), network()
    state = begun(mixer, model)
    block = [tensor for name, tensor in state.items() if name.startswith(BLOCK)]
    optimizer = torch.optim.Adam(block, lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        terms_of(mixer, model, state, lam=(0.2, 0.7)).mask.backward()
        optimizer.step()
    features = mixer._features(model, batch()[0], state)
    mask = mixer.partner_mask(features, batch()[0], state, torch.arange(6).flip(0), torch.tensor(0.2))
    assert abs(mask.mean().item() - 0.8) < 0.1


@both_methods
def test_values_of_zero_give_every_pixel_half_of_each(kind):
    mixer, model = kind(), network()
    state = begun(mixer, model)
    state[BLOCK + "value.weight"].data.zero_()
    features = mixer._features(model, batch()[0], state)
    mask = mixer.partner_mask(features, batch()[0], state, torch.arange(6), torch.tensor(0.3))
    assert torch.equal(mask, torch.full((6, 12, 20), 0.5))


@both_methods
def test_features_that_are_the_same_everywhere_give_a_mask_that_is(kind):
    mixer, model = kind(), network()
    state = trained(mixer, model)
    places = torch.randn(6, 4, generator=generator(4))[:, :, None, None].expand(-1, -1, 3, 5)
    mask = mixer.partner_mask(places, batch()[0], state, torch.arange(6), torch.tensor(0.3))
    assert ((mask > 0) & (mask < 1)).all()
    torch.testing.assert_close(mask, mask[:, :1, :1].expand_as(mask))


@pytest.mark.parametrize("lam", [0.05, 0.95, 0.5])
def test_near_the_ends_of_lam_the_networks_mixture_is_mixup(lam):
    mixer, model = AutoMix(lam_margin=0.08), network()
    state = trained(mixer, model)
    inputs, targets = batch()
    draws = Draws(torch.tensor([0.5, lam]), torch.stack([torch.arange(6), torch.arange(6).roll(1)]))
    features = mixer._features(model, inputs, state)
    mixed = mixer._for_network(features, inputs, targets, state, draws)
    partner = torch.arange(6).roll(1)
    blended = lam * inputs + (1 - lam) * inputs[partner]
    assert torch.allclose(mixed.inputs, blended, atol=1e-6) == (lam != 0.5)
    torch.testing.assert_close(mixed.soft_targets, lam * targets + (1 - lam) * targets[partner])


def test_attention_against_a_loop():
    queries, keys = torch.randn(2, 3, 5, 4, generator=generator(1)).double()
    values = torch.randn(3, 5, generator=generator(2)).double()
    found = attend(queries, keys, values)
    for row in range(3):
        for place in range(5):
            weights = [math.exp(float(queries[row, place] @ keys[row, other]) / 2) for other in range(5)]
            expected = sum(w * float(values[row, other]) for other, w in enumerate(weights)) / sum(weights)
            assert found[row, place].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sizes", [((4, 4), (16, 16)), ((3, 5), (12, 20)), ((3, 5), (7, 11)), ((1, 2), (9, 9))])
def test_maps_are_enlarged_as_torch_does(sizes):
    (places, (height, width)), maps = sizes, torch.randn(2, *sizes[0], generator=generator(1))
    smooth = nn.functional.interpolate(maps[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(enlarge(maps, height=height, width=width, smooth=True), smooth, rtol=0, atol=1e-6)
    found = enlarge(maps, height=height, width=width, smooth=False)
    for row in range(height):
        for column in range(width):
            expected = maps[:, row * places[0] // height, column * places[1] // width]
            assert torch.equal(found[:, row, column], expected)


def test_what_a_mask_costs():
    mask = torch.tensor([[[0.0, 1.0]], [[0.5, 0.1]]])  # its mean is 0.4, its variance 0.155
    assert mask_loss(mask, torch.tensor(0.9), margin=0.1).item() == pytest.approx(0.2)
    assert mask_loss(mask, torch.tensor(0.3), margin=0.1).item() == pytest.approx(0.2)
    assert mask_loss(mask, torch.tensor(0.65), margin=0.1).item() == 0
    lam = torch.tensor(0.9)
    assert SAMix().mask_loss(mask, lam, margin=0.1).item() == pytest.approx(0.2 - 2 * np.var([0, 1, 0.5, 0.1]))
    assert AutoMix().mask_loss(mask, lam, margin=0.1).item() == pytest.approx(0.2)


@pytest.mark.parametrize("residual", [0.0, 0.25, 2.0])
def test_rescaled_lam_keeps_its_ends_and_its_order(residual):
    lam = torch.linspace(0, 1, 101, dtype=torch.float64)
    found = rescaled(lam, residual)
    assert found[[0, 50, 100]].tolist() == pytest.approx([0, 0.5, 1], abs=1e-12)
    assert (found.diff() > 0).all()
    assert (found + found.flip(0)).tolist() == pytest.approx([1.0] * 101)


# The encoder


def test_the_encoder_is_the_average_of_the_weights_before_each_step():
    mixer, model = AutoMix(momentum=0.75), network()
    state = begun(mixer, model)
    expected = flat_weights(model).double()
    assert torch.equal(state[ENCODER].double(), expected)
    for number in range(3):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * (number + 1))
        expected = 0.75 * expected + 0.25 * flat_weights(model).double()
        state = mixer.follow(model, state)
        torch.testing.assert_close(state[ENCODER].double(), expected, rtol=0, atol=1e-6)


def test_the_momentum_of_each_step_is_that_of_the_step_before():
    """After the first step the average moves by the momentum of step 0, after the third by that of step 2."""
    mixer, model = AutoMix(momentum=0.5, momentum_steps=4), network()
    state = begun(mixer, model)
    first = flat_weights(model).double()
    shares = []
    for _ in range(4):
        before = state[ENCODER].double()
        state = mixer.follow(model, state)
        shares.append(((state[ENCODER].double() - before) / (flat_weights(model).double() - before + 1e-30)).median())
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1.0)
    assert state[STEPS].item() == 4
    assert torch.equal(first, begun(mixer, network())[ENCODER].double())
    cosines = [(math.cos(math.pi * step / 4) + 1) / 2 for step in (1, 2)]
    expected = [0.5, *(1 - (0.999999 - (0.999999 - 0.5) * cosine) for cosine in cosines)]
    assert [share.item() for share in shares[1:]] == pytest.approx(expected, abs=1e-4)


@both_heads
def test_the_encoder_sees_by_its_own_weights_and_leaves_no_trace(head):
    mixer, model = AutoMix(head=head, momentum=0.9), network()
    state = trained(mixer, model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    kept = state[ENCODER].clone()
    found = mixer._encoder_logits(model, batch()[0], state)
    features = mixer._features(model, batch()[0], state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(state[ENCODER], kept)
    other, place = network(seed=1), 0
    with torch.no_grad():
        for tensor in (*other.parameters(), *(b for b in other.buffers() if b.is_floating_point())):
            tensor.copy_(kept[place : place + tensor.numel()].view_as(tensor))
            place += tensor.numel()
        if head == "one":
            for tensor in other.head.parameters():
                tensor.copy_(kept[place : place + tensor.numel()].view_as(tensor))
                place += tensor.numel()
    assert place == len(kept)
    torch.testing.assert_close(found, other(batch()[0]))
    torch.testing.assert_close(features, other(batch()[0], until=2))
    assert not torch.equal(found, model(batch()[0]))


# The heads


@both_heads
def test_the_network_keeps_the_head_that_is_named(head):
    """Its own head is trained on clean images or on mixed ones; by turns, both methods' heads are the same."""
    first, second = AutoMix(head=head), AutoMix(head="one" if head == "mix" else "mix")
    one, other = network(), network()
    states = trained(first, one), trained(second, other)
    for name, tensor in states[0].items():
        if name.startswith(HEAD):
            own = dict(other.named_parameters())[name]
            torch.testing.assert_close(tensor, own)
            assert not torch.allclose(tensor, dict(one.named_parameters())[name])
    for mine, theirs in zip(one.stages.parameters(), other.stages.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


# Bad input, and what is degenerate


@both_methods
def test_features_that_are_no_maps_are_refused_in_one_line(kind):
    for model, shape in mapless():
        with pytest.raises(ValueError, match="mixing.layer") as caught:
            begun(kind(), model, image=(3, 4, 4))
        text = str(caught.value)
        assert f"features after stage 1 are {shape} for images of 4 x 4 pixels" in text and "\n" not in text


@torch.random.fork_rng(devices=[])
def mapless():
    """Networks whose first stage gives no map, a map of one place, and one of more places than pixels."""
    flat = StagedNetwork(nn.Flatten(), [nn.Linear(48, 8), nn.Linear(8, 8)], nn.Linear(8, K))
    one_place = StagedNetwork(nn.Conv2d(3, 4, 3), [nn.AdaptiveAvgPool2d(1), nn.Identity()], pooled_linear(4, K))
    larger = StagedNetwork(nn.Identity(), [nn.Upsample(scale_factor=2), nn.Identity()], pooled_linear(3, K))
    return (flat, "[8]"), (one_place, "[4, 1, 1]"), (larger, "[3, 8, 8]")


@both_methods
@pytest.mark.parametrize(("size", "classes"), [(1, 4), (5, 1)])
def test_a_batch_of_one_and_one_class_are_trained_on(kind, size, classes):
    inputs, targets = torch.randn(size, 3, 8, 8, generator=generator(1)), torch.eye(classes)[[0] * size]
    model = convolutional(inputs, classes)
    state = first_state(kind(), model, classes, image=(3, 8, 8), device=CPU, generator=generator(3))
    output = kind().step(model, inputs, targets, state, epoch=0, generator=generator(), loss=CrossEntropy())
    assert bool(output.loss.isfinite())


@both_methods
def test_without_mixing_it_is_plain_training(kind):
    assert kind(alpha=0.0).canonical() == Erm()
    assert kind(alpha=0.0, head="one", momentum=0.5).canonical() == Erm()


@pytest.mark.parametrize("name", ["automix", "samix"])
def test_it_is_no_member_of_a_mixture(name):
    with pytest.raises(ValueError, match=name):
        Mixture.parse({"members": {name: {}}})
    with pytest.raises(ValueError, match="members"):
        Mixture(members={"mine": MIXERS[name]()})


@pytest.mark.parametrize(
    "settings", [{"lam_margin": 0.6}, {"momentum": 1.0}, {"mask_margin": -0.1}, {"head": "both"}, {"layer": 0}]
)
@both_methods
def test_settings_out_of_range_are_refused(kind, settings):
    with pytest.raises(ValueError, match=f"^{next(iter(settings))}: "):
        kind.parse(settings)
