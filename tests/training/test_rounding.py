"""Weights rounded by one call, against autocast, which rounds each where it is used."""

import pytest
import torch
from torch import nn

from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.training.rounding import RoundedWeights


@pytest.fixture(autouse=True)
def global_generator_untouched():
    """torch's layers draw their first weights from the global generator, which is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TinyResNet(width=8).build(channels=3, num_classes=5)


def trained(model, weights, steps=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    inputs = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    targets = torch.arange(8) % 5
    losses = []
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16), weights.rounded():
            loss = nn.functional.cross_entropy(model(inputs).float(), targets)
        loss.backward()
        weights.hand_back()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_training_is_to_the_bit_what_autocast_makes_of_it(one_thread):
    ours, theirs = model(), model()
    assert trained(ours, RoundedWeights(ours, torch.bfloat16)) == trained(theirs, RoundedWeights(theirs, torch.float32))
    for (name, one), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_inside_the_layers_are_rounded_and_outside_as_they_were():
    ours = model()
    before = dict(ours.named_parameters())
    weights = RoundedWeights(ours, torch.bfloat16)
    with weights.rounded():
        types = {name: parameter.dtype for name, parameter in ours.named_parameters()}
    assert {types[name] for name, parameter in before.items() if parameter.ndim > 1} == {torch.bfloat16}
    norms = [name for name, layer in ours.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    assert norms and all(types[f"{name}.weight"] == torch.float32 for name in norms)
    assert all(parameter is before[name] for name, parameter in ours.named_parameters())
    with pytest.raises(RuntimeError), weights.rounded():
        raise RuntimeError
    assert all(parameter is before[name] for name, parameter in ours.named_parameters())


def test_a_layer_that_two_places_share_has_one_copy():
    shared = nn.Linear(3, 3)
    both = nn.Sequential(shared, nn.Sequential(shared))
    weights = RoundedWeights(both, torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16), weights.rounded():
        loss = both(torch.ones(2, 3)).float().sum()
    loss.backward()
    weights.hand_back()
    assert shared.weight.grad is not None and shared.weight.grad.dtype == torch.float32


class Doubled(nn.Linear):
    """A layer that does something of its own with its weight."""

    def forward(self, inputs):
        return nn.functional.linear(inputs, self.weight * 2, self.bias)


def test_layers_derived_from_torchs_are_left_to_autocast():
    layer = Doubled(2, 2)
    with RoundedWeights(layer, torch.bfloat16).rounded():
        assert layer.weight.dtype == torch.float32


def test_a_weight_that_is_also_used_unrounded_has_the_gradients_of_both():
    """As with autocast: twice the same use is twice the gradient."""
    norms = []
    for dtype in (torch.bfloat16, torch.float32):
        torch.manual_seed(0)
        one, two = nn.Linear(3, 3), Doubled(3, 3)
        two.weight = one.weight
        weights = RoundedWeights(nn.Sequential(one, two), dtype)
        with torch.autocast("cpu", dtype=torch.bfloat16), weights.rounded():
            loss = two(one(torch.ones(2, 3))).float().sum()
        loss.backward()
        weights.hand_back()
        norms.append(one.weight.grad.norm().item())
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)


def test_a_head_of_a_class_of_its_own_may_stay_in_float32():
    class Head(nn.Linear):
        def forward(self, inputs):
            with torch.autocast("cpu", enabled=False):
                return super().forward(inputs.float())

    network = nn.Sequential(nn.Linear(3, 3), Head(3, 2))
    with torch.autocast("cpu", dtype=torch.bfloat16), RoundedWeights(network, torch.bfloat16).rounded():
        assert network(torch.ones(2, 3)).dtype == torch.float32


def test_layers_that_are_skipped_at_random_have_gradients_of_their_own():
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 3, bias=False)
    weights = RoundedWeights(nn.ModuleList([first, second]), torch.bfloat16)
    for used, other in ((first, second), (second, first)):
        first.weight.grad = second.weight.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16), weights.rounded():
            loss = used(torch.ones(1, 2)).float().sum()
        loss.backward()
        weights.hand_back()
        assert torch.equal(used.weight.grad, torch.ones_like(used.weight)) and other.weight.grad is None
