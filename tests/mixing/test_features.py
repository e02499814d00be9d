"""Networks of a user's own that let methods into their features, or do not."""

import pytest
import torch
from torch import nn

from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.attentivemix import AttentiveMix
from tune_mixup.mixing.first_state import first_state
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.models.base import StagedNetwork, pooled_linear

CPU = torch.device("cpu")


class Plain(StagedNetwork):
    """Lets nobody in."""

    def forward(self, inputs):
        return super().forward(inputs)


class Edited(StagedNetwork):
    """As networks were before features could be asked for."""

    def forward(self, inputs, *, edits=None):
        return super().forward(inputs, edits=edits)


class Whole(StagedNetwork):
    """Takes what there is, whatever it is called."""

    def forward(self, inputs, **given):
        return super().forward(inputs, **given)


def begun(mixer, kind):
    with torch.random.fork_rng(devices=[]):
        model = kind(nn.Conv2d(3, 4, 3, 1, 1), [nn.Identity(), nn.Identity(), nn.Identity()], pooled_linear(4, 5))
    made = torch.Generator().manual_seed(0)
    return first_state(mixer, model, 5, image=(3, 8, 8), device=CPU, generator=made)


def refused(mixer, kind):
    with pytest.raises(ValueError, match="model: ") as caught:
        begun(mixer, kind)
    assert "\n" not in str(caught.value)
    return str(caught.value)


LOOK_INSIDE = {"manifold_mixup": "edits", "alignmixup": "edits", "attentivemix": "edits"} | dict.fromkeys(
    ("automix", "samix"), "until"
)


@pytest.mark.parametrize("name", MIXERS)
def test_a_network_that_lets_nobody_in_is_refused_before_training_where_features_are_needed(name):
    mixer = MIXERS[name].parse({})
    begun(mixer, Whole)
    if name not in LOOK_INSIDE:
        begun(mixer, Plain)
        return
    needed = LOOK_INSIDE[name]
    words = f"model: Plain.forward takes no '{needed}', by which mixing.name={name} gets at the features; give it"
    assert words in refused(mixer, Plain)


@pytest.mark.parametrize("name", LOOK_INSIDE)
def test_only_the_argument_that_the_method_needs_is_asked_for(name):
    mixer = MIXERS[name].parse({})
    if LOOK_INSIDE[name] == "until":
        assert "Edited.forward takes no 'until'" in refused(mixer, Edited)
    else:
        begun(mixer, Edited)


def test_members_of_a_mixture_are_asked_too():
    members = {"mixup": MIXERS["mixup"].parse({}), "attentivemix": AttentiveMix()}
    assert "mixing.name=attentivemix" in refused(Mixture(members=members), Plain)
    deep = {"mixup": MIXERS["mixup"].parse({}), "alignmixup": MIXERS["alignmixup"].parse({})}
    assert "mixing.name=alignmixup" in refused(Mixture(members=deep), Plain)
