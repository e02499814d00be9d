"""What a dotted key means, where the words are not in the class that the section names at first sight."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.cli.fields import explain_key
from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={"mixing.name": "mixture", "mixing.members.weak.name": "mixup"},
    free={
        "mixing.members.cutmix.alpha": FloatDistribution(0.1, 1.0),
        "mixing.members.cutmix.partners.name": CategoricalDistribution(("random", "confusion")),
    },
)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("mixing.members.cutmix.applied", "Share of batches"),  # the label names the method
        ("mixing.members.weak.per", "shares one lam"),  # the space does
        ("mixing.members.cutmix.partners.gamma", "Power of the confusion matrix"),
        ("mixing.weights.weak", "How often each member is drawn"),
        ("mixing.members", "What is mixed"),
        ("mixing.repeats", "How often each batch"),
        ("loss.label_smoothing", "spread evenly"),
        ("mixing.members.unknown.alpha", ""),
    ],
)
def test_keys_of_members_are_explained_by_their_method(key, words):
    explained = explain_key(key, SPACE)
    assert words in explained
    assert bool(explained) == bool(words)
