import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from tune_mixup.optimizer import OPTIMIZERS, Adam, AdamW, AnyOptimizer, Sgd
from tune_mixup.schema import Schema

STEPS = 6


class Trial(Schema):
    optimizer: AnyOptimizer


def gradients():
    return np.random.default_rng(0).normal(size=(STEPS, 5))


def run(optimizer_settings, start):
    """The weights after each step with fixed gradients."""
    parameter = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = optimizer_settings.build([parameter])
    weights = []
    for gradient in gradients():
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        weights.append(parameter.detach().numpy().copy())
    return np.stack(weights)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_sgd_follows_its_formula(momentum, nesterov, weight_decay):
    nesterov = nesterov and momentum > 0
    weight, velocity, expected = np.linspace(-1, 1, 5), np.zeros(5), []
    for gradient in gradients():
        gradient = gradient + weight_decay * weight
        velocity = momentum * velocity + gradient
        weight = weight - 0.3 * (gradient + momentum * velocity if nesterov else velocity)
        expected.append(weight)
    settings = Sgd(lr=0.3, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
    np.testing.assert_allclose(run(settings, np.linspace(-1, 1, 5)), expected, rtol=1e-12)


@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_adamw_follows_its_formula(weight_decay):
    weight, mean, square, expected = np.linspace(-1, 1, 5), np.zeros(5), np.zeros(5), []
    for step, gradient in enumerate(gradients(), start=1):
        mean = 0.8 * mean + 0.2 * gradient
        square = 0.95 * square + 0.05 * gradient**2
        direction = mean / (1 - 0.8**step) / (np.sqrt(square / (1 - 0.95**step)) + 1e-3)
        weight = weight - 0.1 * (direction + weight_decay * weight)
        expected.append(weight)
    settings = AdamW(lr=0.1, beta1=0.8, beta2=0.95, eps=1e-3, weight_decay=weight_decay)
    np.testing.assert_allclose(run(settings, np.linspace(-1, 1, 5)), expected, rtol=1e-10)


@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_adam_follows_its_formula(weight_decay):
    weight, mean, square, expected = np.linspace(-1, 1, 5), np.zeros(5), np.zeros(5), []
    for step, gradient in enumerate(gradients(), start=1):
        gradient = gradient + weight_decay * weight
        mean = 0.8 * mean + 0.2 * gradient
        square = 0.95 * square + 0.05 * gradient**2
        weight = weight - 0.1 * mean / (1 - 0.8**step) / (np.sqrt(square / (1 - 0.95**step)) + 1e-3)
        expected.append(weight)
    settings = Adam(lr=0.1, beta1=0.8, beta2=0.95, eps=1e-3, weight_decay=weight_decay)
    np.testing.assert_allclose(run(settings, np.linspace(-1, 1, 5)), expected, rtol=1e-10)


@pytest.fixture
def layers():
    """A convolution, a batch norm and a linear layer, all ones."""
    with torch.random.fork_rng(devices=[]):
        modules = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Linear(4, 5))
    for parameter in modules.parameters():
        nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    return modules


ONE_STEP = {"sgd": 0.95, "adamw": 0.95, "adam": 0.5}
"""Where a weight of 1 is after a step of rate 0.5 with decay 0.1 and no gradient. Adam steps by its sign."""


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("decay_norms", [True, False])
def test_biases_and_norms_decay_only_when_asked(name, decay_norms, layers):
    values = {"name": name, "lr": 0.5, "weight_decay": 0.1, "decay_norms": decay_norms}
    Trial.parse({"optimizer": values}).optimizer.build(layers.parameters()).step()
    for parameter in layers.parameters():
        decays = decay_norms or parameter.ndim > 1
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, ONE_STEP[name] if decays else 1.0))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_group_is_empty(name):
    only_vectors = [nn.Parameter(torch.ones(3))]
    groups = Trial.parse({"optimizer": {"name": name, "decay_norms": False}}).optimizer.build(only_vectors).param_groups
    assert [len(group["params"]) for group in groups] == [1]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_restored_state_goes_on_bit_for_bit(name):
    settings = Trial.parse({"optimizer": {"name": name}}).optimizer
    whole = nn.Parameter(torch.ones(5))
    optimizer = settings.build([whole])
    for step, gradient in enumerate(gradients()):
        if step == STEPS // 2:
            second_half = nn.Parameter(whole.detach().clone())
            restored = settings.build([second_half])
            restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        whole.grad = torch.tensor(gradient, dtype=torch.float32)
        optimizer.step()
    for gradient in gradients()[STEPS // 2 :]:
        second_half.grad = torch.tensor(gradient, dtype=torch.float32)
        restored.step()
    assert torch.equal(whole, second_half)


def test_the_defaults_are_the_published_protocol():
    assert dict(Sgd()) == {
        "name": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 1e-4,
        "decay_norms": True,
    }


def test_adam_defaults_are_the_published_speech_protocol():
    assert dict(Adam()) == {
        "name": "adam",
        "lr": 1e-3,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "weight_decay": 1e-4,
        "decay_norms": True,
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "lamb"}, "optimizer.name: got 'lamb', which is not known; known: adam, adamw, sgd"),
        ({"lr": 0.1}, "optimizer.name: is missing; "),
        ({"name": "sgd", "lr": 0.0}, "optimizer.lr: got 0.0, must be greater than 0"),
        ({"name": "sgd", "lr": float("nan")}, "optimizer.lr: got nan, must be a finite number"),
        ({"name": "sgd", "momentum": 1.0}, "optimizer.momentum: got 1.0, must be less than 1"),
        ({"name": "sgd", "weight_decay": -1e-4}, "optimizer.weight_decay: got -0.0001, must be greater than or equal"),
        ({"name": "sgd", "momentum": 0.0, "nesterov": True}, "optimizer: nesterov is on and momentum is 0; give a"),
        ({"name": "sgd", "beta1": 0.9}, "optimizer.beta1: there is no such setting here"),
        ({"name": "adam", "beta1": -0.1}, "optimizer.beta1: got -0.1, must be greater than or equal to 0"),
        ({"name": "adam", "momentum": 0.9}, "optimizer.momentum: there is no such setting here"),
        ({"name": "adamw", "beta2": 1.0}, "optimizer.beta2: got 1.0, must be less than 1"),
        ({"name": "adamw", "eps": 0.0}, "optimizer.eps: got 0.0, must be greater than 0"),
    ],
)
def test_bad_settings_are_refused_by_their_dotted_key(values, message):
    with pytest.raises(ValueError, match=message):
        Trial.parse({"optimizer": values})


@pytest.mark.parametrize("decay_norms", [True, False])
@pytest.mark.parametrize(
    "values",
    [{"name": "sgd"}, {"name": "sgd", "nesterov": True}, {"name": "adam", "eps": 1e-3}, {"name": "adamw", "eps": 1e-3}],
)
def test_rates_and_decays_from_tensors_do_what_numbers_do(values, decay_norms):
    """In double precision; 1/4 and 1/16 are exact in single precision, in which the tensors are."""
    settings = Trial.parse({"optimizer": {**values, "decay_norms": decay_norms}}).optimizer
    lr, weight_decay = torch.tensor(9.0), torch.tensor(9.0)
    shapes = [(2, 5), (5,)]
    plain, captured = (
        [nn.Parameter(torch.linspace(-1, 1, math.prod(s)).double().reshape(s)) for s in shapes] for _ in "ab"
    )
    optimizers = (
        settings.replace(lr=0.25, weight_decay=0.0625).build(plain),
        settings.build_captured(captured, lr=lr, weight_decay=weight_decay),
    )
    lr.fill_(0.25), weight_decay.fill_(0.0625)
    for gradient in torch.tensor(gradients()):
        for parameters, optimizer in zip((plain, captured), optimizers, strict=True):
            for parameter in parameters:
                parameter.grad = gradient.expand(parameter.shape).clone()
            optimizer.step()
    for one, other in zip(plain, captured, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-14)
