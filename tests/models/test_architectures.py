"""What every architecture promises, checked over the registry."""

import pytest
import torch

from tune_mixup.models import MODELS
from tune_mixup.models.preact_resnet import PreActResNet18
from tune_mixup.models.vgg import Vgg11
from tune_mixup.models.wide_resnet import WideResNet

SETTINGS = {name: model() for name, model in MODELS.items()} | {
    "preact_resnet18 puzzlemix": PreActResNet18(variant="puzzlemix"),
    "preact_resnet18 puzzlemix stride 2": PreActResNet18(variant="puzzlemix", stem_stride=2),
    "vgg11 speech": Vgg11(variant="speech"),
    # The full width is the same code and takes seconds; its topology is checked by the parameter counts.
    "wide_resnet": WideResNet(depth=10, width=1),
    "wide_resnet puzzlemix": WideResNet(depth=10, width=1, variant="puzzlemix"),
}
every_model = pytest.mark.parametrize("model", SETTINGS.values(), ids=SETTINGS.keys())


def inputs_for(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_every_model_is_registered_under_its_own_name():
    assert {name: model().name for name, model in MODELS.items()} == {name: name for name in MODELS}


@every_model
@pytest.mark.parametrize(
    "shape", [(3, 28, 28), (3, 32, 32), (3, 33, 47), (3, 64, 64), (1, 160, 101), (4, 32, 40), (2, 16, 16)]
)
def test_any_size_and_number_of_channels_gives_logits(model, shape, build):
    with torch.device("meta"):
        network = build(model, channels=shape[0], num_classes=7).eval()
        assert network(torch.empty(5, *shape)).shape == (5, 7)


@every_model
def test_the_smallest_side_trains_and_every_parameter_gets_a_gradient(model, build):
    network = build(model)
    with torch.random.fork_rng(devices=[]):
        logits = network(inputs_for(2, 3, model.min_side, model.min_side))
    logits.square().sum().backward()
    assert torch.isfinite(logits).all()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@every_model
def test_an_identity_edit_changes_nothing_at_any_depth(model, build):
    network = build(model).eval()
    side = max(16, model.min_side)
    inputs = inputs_for(2, 3, side, side)
    with torch.no_grad():
        plain = network(inputs)
        for after in range(len(network.stages) + 1):
            assert torch.equal(network(inputs, edits={after: lambda features: features}), plain)


@every_model
def test_an_edit_reaches_the_logits_from_any_depth(model, build):
    network = build(model).eval()
    side = max(16, model.min_side)
    inputs = inputs_for(3, 3, side, side)
    with torch.no_grad():
        plain = network(inputs)
        for after in range(len(network.stages) + 1):
            swapped = network(inputs, edits={after: lambda features: features.flip(0)})
            torch.testing.assert_close(swapped, plain.flip(0))
    assert not torch.allclose(plain, plain.flip(0), rtol=0, atol=1e-7)


@every_model
def test_no_stage_writes_into_the_features_it_is_given(model, build):
    network = build(model)
    side = max(16, model.min_side)
    for after in range(len(network.stages) + 1):
        kept = []

        def keep(features, kept=kept):
            kept.extend([features, features.detach().clone()])
            return features

        with torch.random.fork_rng(devices=[]):
            network(inputs_for(2, 3, side, side), edits={after: keep})
        assert torch.equal(*kept)


@every_model
def test_weights_come_from_the_global_generator_alone(model, build):
    first, again, other = (build(model, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    drawn = [key for key in first if key.startswith("stages") and first[key].ndim > 1]
    assert drawn and not any(torch.equal(first[key], other[key]) for key in drawn)


@every_model
def test_channels_last_and_bfloat16_give_about_the_same_logits(model, build):
    network = build(model).eval()
    side = max(16, model.min_side)
    inputs = inputs_for(2, 3, side, side)
    with torch.no_grad():
        plain = network(inputs)
        torch.testing.assert_close(network(inputs.to(memory_format=torch.channels_last)), plain, rtol=1e-3, atol=1e-4)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = network(inputs)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), plain, rtol=0.1, atol=0.05 * plain.abs().max().item())
