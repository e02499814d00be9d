"""Manifold mixup through the network of its released code, against what that put out (`golden/manifold.npz`)."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden import cases
from torch import nn

from tune_mixup.loss import SoftmaxBce
from tune_mixup.mixing.base import MixedBatch, forward, mix_rows
from tune_mixup.models.base import StagedNetwork


class Block(nn.Module):
    """A pre-activation block; the shortcut, where there is one, is taken behind the first activation."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if stride > 1 else None

    def forward(self, inputs):
        active = F.relu(self.bn1(inputs))
        left = inputs if self.shortcut is None else self.shortcut(active)
        return left + self.conv2(F.relu(self.bn2(self.conv1(active))))


def recorded_network(recorded) -> StagedNetwork:
    """The recorded network as one of ours, with the recorded weights."""
    sizes = ((2, 2, 1), (2, 4, 2), (4, 8, 2), (8, 16, 2))
    with torch.random.fork_rng(devices=[]):
        stages = [Block(*size) for size in sizes]
        head = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(16, 4))
        network = StagedNetwork(nn.Conv2d(3, 2, 3, 1, 1, bias=False), stages, head)
    parameters = dict(network.named_parameters())
    for name, values in recorded.items():
        if name.startswith("w_"):
            ours = name.removeprefix("w_").replace("_weight", ".weight").replace("_bias", ".bias")
            ours = ours.replace("linear.", "head.2.").replace("shortcut_0", "shortcut")
            for number in range(1, 5):
                ours = ours.replace(f"layer{number}_0_", f"stages.{number - 1}.")
            ours = "stem.weight" if ours == "conv1.weight" else ours
            parameters.pop(ours).data.copy_(torch.tensor(values).float())
    assert not parameters
    return network.train()


def test_a_step_is_the_recorded_one():
    """Mixed at the input, behind the first and the second stage: logits, loss, gradients, features and statistics."""
    weights = None
    layers = []
    for settings, recorded in cases("manifold"):
        weights = recorded if weights is None else weights
        network = recorded_network(weights)
        images, labels = torch.tensor(weights["images"]).float(), torch.tensor(weights["labels"]).long()
        lam, partner = torch.tensor(settings["lam"], dtype=torch.float32), torch.tensor(recorded["perm"]).long()
        targets = torch.eye(4)[labels]
        soft = mix_rows(partner, lam, targets)
        layer = settings["layer"]
        inputs = mix_rows(partner, lam, images) if layer == 0 else images
        hidden = {} if layer == 0 else {layer: lam}
        entering = []
        network.stages[layer].register_forward_pre_hook(lambda _, given, seen=entering: seen.append(given[0].detach()))

        logits = forward(network, MixedBatch(inputs, soft, lam, partner, hidden=hidden))
        loss = SoftmaxBce()(logits, soft)
        loss.backward()

        close = {"rtol": 1e-5, "atol": 1e-5}
        np.testing.assert_allclose(soft.numpy(), recorded["target"], **close)
        np.testing.assert_allclose(logits.detach().numpy(), recorded["logits"], **close)
        assert loss.item() == pytest.approx(float(recorded["loss_softmax_bce"]), rel=1e-5)
        np.testing.assert_allclose(network.head[2].weight.grad.numpy(), recorded["grad_linear_weight"], **close)
        np.testing.assert_allclose(network.stem.weight.grad.numpy(), recorded["grad_conv1_weight"], **close)
        means = network.stages[3].bn1.running_mean.numpy()
        np.testing.assert_allclose(means, recorded["bn1_layer4_running_mean_after"], **close)
        if layer > 0:
            np.testing.assert_allclose(entering[0].numpy(), recorded["features_entering_next_stage"], **close)
        layers.append(layer)
    assert layers == [0, 1, 2]
