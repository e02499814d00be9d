import numpy as np
import pytest
import torch
from torch import nn

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing.base import forward
from tune_mixup.mixing.confusion_partners import ConfusionPartners
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.manifold_mixup import ManifoldMixup
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.models.base import StagedNetwork
from tune_mixup.models.tiny_resnet import TinyResNet


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network() -> StagedNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TinyResNet(width=4).build(channels=2, num_classes=5).double()


def linear_network() -> StagedNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return StagedNetwork(
            nn.Conv2d(2, 3, 3, bias=False),
            [nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 5, 2, bias=False)],
            nn.Sequential(nn.Flatten(), nn.Linear(5 * 9, 5, bias=False)),
        ).double()


def batch(size: int = 12):
    inputs = torch.randn(size, 2, 8, 8, dtype=torch.float64, generator=generator(1))
    return inputs, torch.eye(5)[torch.randint(5, (size,), generator=generator(2))]


def step(mixer, model, seed=0):
    return mixer.step(model, *batch(), {}, epoch=0, generator=generator(seed), loss=CrossEntropy())


@pytest.mark.parametrize("per", ["batch", "sample"])
@pytest.mark.parametrize("seed", range(6))
def test_against_a_loop_over_examples(per, seed):
    """Each example goes through the network up to the layer, is blended with its partner's features, and goes on."""
    mixer, (inputs, targets) = ManifoldMixup(layers=(0, 1, 2, 3), per=per), batch()
    model = network().eval()  # so that examples do not touch each other in batch norm
    output = step(mixer, model, seed)
    mixed = mixer.blend(model, inputs, targets, {}, epoch=0, generator=generator(seed))
    lams = mixed.lam.expand(len(inputs)).tolist()
    parts = [model.stem, *model.stages, model.head]
    weights = [(mixed.inputs != inputs).flatten(1).any(1)] + [mixed.hidden[depth] != 1 for depth in (1, 2, 3)]
    (layer,) = (depth for depth, changed in enumerate(weights) if bool(changed.any()))
    for i, j in enumerate(mixed.partner.tolist()):
        before = parts[: layer + 1] if layer else []  # the stem goes with the first stage
        own, other = inputs[i : i + 1], inputs[j : j + 1]
        for part in before:
            own, other = part(own), part(other)
        hidden = lams[i] * own + (1 - lams[i]) * other
        for part in parts[len(before) :]:
            hidden = part(hidden)
        torch.testing.assert_close(output.logits[i], hidden[0], rtol=1e-5, atol=1e-6)  # lam is float32
        expected = lams[i] * targets[i] + (1 - lams[i]) * targets[j]
        torch.testing.assert_close(output.soft_targets[i], expected)


def test_gradients_flow_through_both_examples():
    """Against numbers: the derivative of the loss by each weight before the layer where features meet."""
    mixer, model = ManifoldMixup(layers=(2,)), network().eval()
    weight = model.stem[0].weight
    step(mixer, model).loss.backward()
    analytic = weight.grad.clone()
    with torch.no_grad():
        for index in [(0, 0, 0, 0), (1, 1, 2, 1), (3, 0, 1, 2)]:
            ends = []
            for nudge in (-1e-5, 2e-5):
                weight[index] += nudge
                logits = step(mixer, model).logits
                targets = step(mixer, model).soft_targets.double()
                ends.append(-(targets * logits.log_softmax(1)).sum(1).mean().item())
            weight[index] -= 1e-5
            assert analytic[index].item() == pytest.approx((ends[1] - ends[0]) / 2e-5, rel=1e-4, abs=1e-7)


def test_every_layer_is_drawn_as_often_and_only_one_at_a_time():
    mixer, (inputs, targets) = ManifoldMixup(layers=(1, 2, 3)), batch()
    made, counts = generator(), np.zeros(3)
    for _ in range(900):
        mixed = mixer.blend(network, inputs, targets, {}, epoch=0, generator=made)
        changed = [mixed.hidden[depth].item() != 1 for depth in (1, 2, 3)]
        assert sum(changed) == 1
        assert mixed.hidden[1 + changed.index(True)].item() == mixed.lam.item()
        assert mixed.inputs is inputs
        counts += changed
    assert abs(counts - 300).max() < 4 * (900 * 2 / 9) ** 0.5


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_where_lam_is_one_features_pass_unchanged_to_the_last_bit(training, dtype):
    inputs, targets = batch()
    model = network().to(dtype).train(training)
    inputs = inputs.to(dtype)
    mixed = ManifoldMixup().blend(model, inputs, targets, {}, epoch=0, generator=generator())
    one = torch.ones(())
    whole = mixed._replace(inputs=inputs, hidden={depth: one for depth in (0, 1, 2, 3)})
    assert torch.equal(forward(model, whole), model(inputs))


def test_at_the_input_it_is_mixup_bit_for_bit():
    model = network()
    deep, plain = step(ManifoldMixup(layers=(0,), alpha=0.7), model), step(Mixup(alpha=0.7), model)
    assert torch.equal(deep.logits, plain.logits)
    assert torch.equal(deep.soft_targets, plain.soft_targets)
    assert ManifoldMixup(layers=(0,), alpha=0.7).canonical() == Mixup(alpha=0.7)


def test_a_draw_of_the_input_equals_mixup_bit_for_bit():
    inputs, targets = batch()
    for seed in range(20):
        deep = ManifoldMixup(alpha=1.0).blend(network, inputs, targets, {}, epoch=0, generator=generator(seed))
        if all(lam.item() == 1 for lam in deep.hidden.values()):
            plain = Mixup(alpha=1.0).mix(inputs, targets, {}, epoch=0, generator=generator(seed))
            assert torch.equal(deep.inputs, plain.inputs)
            assert torch.equal(deep.soft_targets, plain.soft_targets)
            return
    raise AssertionError("the input was never drawn")


def test_a_linear_network_can_not_tell_the_layers_apart():
    model = linear_network()
    logits = [step(ManifoldMixup(layers=(layer,)), model).logits for layer in (0, 1, 2)]
    torch.testing.assert_close(logits[1], logits[0])
    torch.testing.assert_close(logits[2], logits[0])


def test_partners_can_come_from_the_confusions():
    mixer = ManifoldMixup(partners=ConfusionPartners(pairing="independent", mu=0.0, gamma=8.0))
    inputs, targets = batch(60)
    state = dict(mixer.init(5, device=torch.device("cpu"), generator=generator()))
    state["counts"] = torch.roll(torch.eye(5, dtype=torch.float64), 1, dims=1)  # each class is taken for the next
    state = mixer.end_epoch(state, epoch=0, generator=generator())
    mixed = mixer.blend(network, inputs, targets, state, epoch=1, generator=generator())
    own = targets.argmax(1)
    assert (own[mixed.partner] == (own + 1) % 5).float().mean() > 0.95


def test_depths_are_read_from_lists_and_text_in_any_order():
    expected = ManifoldMixup(layers=(0, 1, 3))
    for given in ([3, 0, 1], "0 1 3", "3, 1,0", (0, 1, 3)):
        assert ManifoldMixup.parse({"layers": given}) == expected
    assert ManifoldMixup.parse(expected.model_dump(mode="json")) == expected
    assert expected.min_stages == 3


@pytest.mark.parametrize("bad", [[], [0, 0], [-1], [1.0], [True], 2, "", "0,x", "0;1", None, {}])
def test_bad_depths_are_refused(bad):
    with pytest.raises(ValueError, match=r"^layers: got .*must be one or more different depths from 0 up"):
        ManifoldMixup.parse({"layers": bad})


def test_no_alpha_is_plain_training():
    assert ManifoldMixup(alpha=0.0).canonical() == Erm()
    model = network()
    assert torch.equal(step(ManifoldMixup(alpha=0.0), model).logits, step(Erm(), model).logits)


@pytest.mark.slow
def test_compiled_steps_agree_and_compile_once():
    model = linear_network().float()
    compiled = torch.compile(model)
    inputs, targets = batch()
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for seed in range(4):
        made = [
            ManifoldMixup().step(
                each, inputs.float(), targets, {}, epoch=0, generator=generator(seed), loss=CrossEntropy()
            )
            for each in (model, compiled)
        ]
        torch.testing.assert_close(made[1].loss, made[0].loss)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
