"""The suites of partner rules and metrics: ours pass, and each promise is shown to be checked by one that breaks it."""

from typing import Literal

import pytest
import torch

from tune_mixup.metrics import METRICS, Metric, accuracy, nll
from tune_mixup.mixing.confusion_partners import ConfusionPartners
from tune_mixup.mixing.paired import PARTNERS
from tune_mixup.mixing.partners import RandomPartners
from tune_mixup.testing import MetricContract, PartnersContract

RULES = [
    *(rule() for rule in PARTNERS.values()),
    ConfusionPartners(pairing="sequential", gamma=1.0),
    ConfusionPartners(pairing="independent", mu=0.2, rows="permuted"),
]


def promises(suite):
    return [name for name in dir(suite) if name.startswith("test_")]


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("promise", promises(PartnersContract))
def test_our_rules_keep_each_promise(rule, promise):
    suite = PartnersContract()
    suite.part = rule
    getattr(suite, promise)()


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("promise", promises(MetricContract))
def test_our_metrics_keep_each_promise(name, promise):
    suite = MetricContract()
    suite.metric = METRICS[name]
    getattr(suite, promise)()


class OutOfTheBatch(RandomPartners):
    def draw(self, targets, state, *, generator):
        return super().draw(targets, state, generator=generator) + 1


class Floats(RandomPartners):
    def draw(self, targets, state, *, generator):
        return super().draw(targets, state, generator=generator).double()


class Everybody(RandomPartners):
    def draw(self, targets, state, *, generator):
        return torch.zeros((), dtype=torch.int64)


class Always(RandomPartners):
    def draw(self, targets, state, *, generator):
        return torch.arange(len(targets)).flip(0)


class Global(RandomPartners):
    def draw(self, targets, state, *, generator):
        return torch.randperm(len(targets))


class Reads(RandomPartners):
    def draw(self, targets, state, *, generator):
        assert targets.sum().item() > 0
        return super().draw(targets, state, generator=generator)


class Writes(RandomPartners):
    def draw(self, targets, state, *, generator):
        targets.mul_(0.5)
        return super().draw(targets, state, generator=generator)


class Grows(RandomPartners):
    def end_epoch(self, state, *, epoch, generator):
        return {**state, f"epoch{epoch}": torch.zeros(1)}


class Simplest(RandomPartners):
    name: Literal["simplest"] = "simplest"

    def canonical(self):
        return PARTNERS["deranged"]()


@pytest.mark.parametrize(
    ("rule", "promise", "words"),
    [
        (OutOfTheBatch(), "partners_are_rows_of_the_batch", "must be from 0 to 19"),
        (Floats(), "partners_are_rows_of_the_batch", "must be indices of type int64"),
        (Everybody(), "partners_are_rows_of_the_batch", r"must be \[20\]"),
        (Always(), "draws_follow_from_the_generator", "every generator gives the same"),
        (Global(), "draws_follow_from_the_generator", "global generator"),
        (Reads(), "nothing_is_changed_or_read_on_the_host", "on the host"),
        (Writes(), "nothing_is_changed_or_read_on_the_host", "changes targets in place"),
        (Grows(), "the_state_keeps_its_form", "must keep its form"),
        (Simplest(), "the_canonical_settings_draw_the_same", "draw other partners"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_rule_that_breaks_a_promise_is_told_so(rule, promise, words):
    suite = PartnersContract()
    suite.part = rule
    with torch.random.fork_rng(devices=[]), pytest.raises(AssertionError, match=words):
        getattr(suite, f"test_{promise}")()


def metric(function, direction="maximize"):
    return Metric(function, direction, "fraction")


@pytest.mark.parametrize(
    ("broken", "promise", "words"),
    [
        (
            metric(lambda logits, targets: (logits.argmax(1) == targets).float()),
            "it_is_one_finite_number",
            "one number",
        ),
        (
            metric(lambda logits, targets: accuracy(logits, targets) / logits.abs().sum()),
            "it_is_one_finite_number",
            "of size 0 the metric is inf",
        ),
        (metric(nll, "maximize"), "its_direction_is_known_and_true", "turn the direction"),
        (metric(nll, "smaller"), "its_direction_is_known_and_true", "must be one of"),
        (
            metric(lambda logits, targets: logits[0, targets[0]]),
            "the_order_of_the_rows_does_not_matter",
            "another order",
        ),
        (
            metric(lambda logits, targets: logits.logsumexp(1).mean()),
            "it_computes_in_float32",
            "begin with logits.float",
        ),
        (
            metric(lambda logits, targets: torch.tensor(accuracy(logits, targets).item())),
            "nothing_is_changed_drawn_or_read_on_the_host",
            "on the host",
        ),
        (
            metric(lambda logits, targets: accuracy(logits.neg_(), targets)),
            "nothing_is_changed_drawn_or_read_on_the_host",
            "changes logits in place",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_metric_that_breaks_a_promise_is_told_so(broken, promise, words):
    suite = MetricContract()
    suite.metric = broken
    with pytest.raises(AssertionError, match=words):
        getattr(suite, f"test_{promise}")()
