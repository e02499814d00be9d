"""The examples of parts from outside keep the promises of their suites, which users run in the same way."""

from pathlib import Path

import my_dataset
import my_mixer
import my_model
import my_stopping_rule
import pytest

from tune_mixup import load_space
from tune_mixup.mixing.erm import Erm
from tune_mixup.record.facts import Decision
from tune_mixup.stopping.base import Objective, Seat
from tune_mixup.sweep_config import plan
from tune_mixup.testing import DatasetContract, MixerContract, ModelContract, StoppingContract
from tune_mixup.testing.batches import generator, trained_batch

EXAMPLES = Path(my_mixer.__file__).parent


class TestStripe(MixerContract):
    part = my_mixer.Stripe(alpha=0.5)


class TestSoftStripe(MixerContract):
    part = my_mixer.Stripe(alpha=1.0, softness=0.3)


class TestPlainNet(ModelContract):
    part = my_model.PlainNet()


class TestShapes(DatasetContract):
    part = my_dataset.Shapes(num_train=90, num_test=15)


class TestPatience(StoppingContract):
    part = my_stopping_rule.Patience(patience=2)


def test_a_stripe_against_a_loop():
    batch = trained_batch(my_mixer.Stripe())
    for seed in range(20):
        mixed = my_mixer.Stripe(softness=0.25).mix(*batch, epoch=0, generator=generator(seed))
        columns = mixed.mask[0, 0, 0].tolist()
        assert set(columns) <= {0.25, 1.0} and mixed.lam.item() == pytest.approx(sum(columns) / len(columns))
        turns = sum(one != other for one, other in zip(columns, columns[1:] + columns[:1], strict=True))
        assert turns in (0, 2), "one stripe, which may go around"
        for row, other in enumerate(mixed.partner.tolist()):
            for column, weight in enumerate(columns):
                expected = weight * batch.inputs[row, :, :, column] + (1 - weight) * batch.inputs[other, :, :, column]
                assert (mixed.inputs[row, :, :, column] - expected).abs().max() < 1e-6


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1), ("minimize", -1)])
def test_patience_by_hand(direction, sign):
    rule = my_stopping_rule.Patience(patience=2).rule(Objective("val", direction), epochs=9)
    values = [0.5, 0.4, 0.6, 0.6, 0.1]
    made = [rule.report(0, epoch, sign * value, Seat(())) for epoch, value in enumerate(values, start=1)]
    assert made[:4] == [None] * 4
    assert made[4] == Decision(
        epoch=5, stop=True, by="rule", value=sign * 0.1,
        why=f"epoch 5: no better than {sign * 0.6} of epoch 3 for 2 epochs",
    )  # fmt: skip


def test_the_space_uses_them_all():
    space = load_space(EXAMPLES / "my_space.py")
    config = plan(space, name="mine")
    assert type(config.stopping) is my_stopping_rule.Patience and config.stopping.patience == 4
    first = config.trial({"mixing.name": "erm", "optimizer.lr": 0.1})
    assert (type(first.data), type(first.model)) == (my_dataset.Shapes, my_model.PlainNet) and first.mixing == Erm()
