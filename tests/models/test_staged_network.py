import pytest
import torch
from torch import nn

from tune_mixup.models import MODELS, AnyModel, Model, StagedNetwork
from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.schema import Schema


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, hidden):
        return hidden * self.factor


@pytest.fixture
def network():
    return StagedNetwork(Scale(2.0), [Scale(3.0), Scale(5.0)], Scale(7.0))


@pytest.mark.parametrize(("after", "expected"), [(0, 2 * 3 * 5 * 7), (1, 5 * 7), (2, 7)])
def test_the_edit_replaces_the_features_after_its_stage_and_nothing_later(network, after, expected):
    seen = []

    def edit(features):
        seen.append(features)
        return torch.ones_like(features)

    logits = network(torch.full((2,), 11.0), edits={after: edit})
    assert logits.tolist() == [expected, expected]
    assert [features.tolist() for features in seen] == [[[11.0] * 2, [66.0] * 2, [330.0] * 2][after]]


def test_edits_at_several_depths_see_each_other(network):
    logits = network(torch.ones(1), edits={0: lambda x: x + 1, 2: lambda x: x + 1})
    assert logits.item() == ((1 + 1) * 2 * 3 * 5 + 1) * 7


@pytest.mark.parametrize("edits", [None, {}])
def test_without_edit_the_stages_run_in_order(network, edits):
    assert network(torch.ones(1), edits=edits).item() == 210


@pytest.mark.parametrize("after", [-1, 3])
def test_a_stage_that_does_not_exist_is_refused(network, after):
    with pytest.raises(ValueError, match=rf"an edit after stage {after}; the network has stages 1 to 2"):
        network(torch.ones(1), edits={after: lambda features: features})


@pytest.mark.parametrize(("until", "expected"), [(1, 6 + 6), (2, (6 + 6) * 5)])
def test_the_features_after_a_stage_are_those_before_the_next(network, until, expected):
    """The edit after stage 1 doubles them; what is behind the stage that is asked for is not run."""
    network.head = None
    assert network(torch.ones(1), edits={1: lambda x: 2 * x}, until=until).item() == expected


@pytest.mark.parametrize("until", [-1, 0, 3])
def test_features_after_a_stage_that_does_not_exist_are_refused(network, until):
    with pytest.raises(ValueError, match=rf"features after stage {until}; the network has stages 1 to 2"):
        network(torch.ones(1), until=until)


@pytest.mark.parametrize(("setting", "expected"), [(None, 10), (10, 10), (100, 100)])
def test_the_outputs_are_the_setting_or_the_classes_of_the_data(setting, expected):
    assert TinyResNet(num_classes=setting).outputs(10) == expected


def test_fewer_outputs_than_classes_are_refused():
    with pytest.raises(ValueError, match=r"the data has 100 classes, model\.num_classes is 10; leave it empty or"):
        TinyResNet(num_classes=10).outputs(100)


@pytest.mark.parametrize("name", MODELS)
def test_images_below_the_smallest_side_are_refused(name):
    model = MODELS[name]()
    model.check_size(model.min_side, 10 * model.min_side)
    with pytest.raises(ValueError, match=f"model {name} needs at least {model.min_side} along each side"):
        model.check_size(10 * model.min_side, model.min_side - 1)


class Trial(Schema):
    model: AnyModel


@pytest.mark.parametrize("name", MODELS)
def test_a_config_finds_each_model_by_its_name(name):
    assert Trial.parse({"model": {"name": name}}).model == MODELS[name]()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "resnet19"}, "model.name: got 'resnet19', which is not known; did you mean resnet18?"),
        ({"name": "resnet18", "num_classes": 1}, "model.num_classes: got 1, must be greater than or equal to 2"),
        ({"name": "resnet18", "width": 3}, "model.width: there is no such setting here"),
        ({"name": "tiny_resnet", "width": 0}, "model.width: got 0, must be greater than or equal to 1"),
        ({"name": "tiny_resnet", "width": "16"}, "model.width: got '16', must be a whole number"),
        ({"name": "preact_resnet18", "variant": "caffe"}, "model.variant: got 'caffe', must be 'facebook' or"),
        ({"name": "preact_resnet18", "stem_stride": 2}, "model: stem_stride is 2, but variant facebook has a stem of"),
        ({"name": "wide_resnet", "variant": "wrn"}, "model.variant: got 'wrn', must be 'plain', 'puzzlemix', 'fmix',"),
        ({"name": "wide_resnet", "depth": 27}, "model: depth is 27, but three equal stages need 6 n \\+ 4; take"),
    ],
)
def test_bad_settings_are_refused_by_their_dotted_key(values, message):
    with pytest.raises(ValueError, match=message):
        Trial.parse({"model": values})


def test_settings_are_abstract_or_final():
    with pytest.raises(TypeError, match="abstract"):
        Model(name="none")
