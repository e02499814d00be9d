"""What is said about a self-measurement, on made-up ones whose shares are known."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.config import TrialConfig
from tune_mixup.measuring import advice
from tune_mixup.measuring.advice import MARGIN, changes, is_gain, noise, shares
from tune_mixup.measuring.bench import Ceilings, Parts
from tune_mixup.measuring.findings import Findings, Tried
from tune_mixup.measuring.variants import Variant

CONFIG = TrialConfig.from_dotted({"training.batch_size": 100})
GIVEN = Tried(Variant("as given", "given", CONFIG), [1000.0] * 5)


def parts(**values):
    quiet = {"evaluation_s": 0.0, "end_epoch_s": 0.0, "save_s": 0.01}
    return Parts(**{**dict.fromkeys(Parts._fields, 0.1), **quiet, **values})


def measured(*others, device="cpu", **values):
    return Findings(device, Ceilings(2e9, 1e9), parts(**values), 10_000, [GIVEN, *others], 100.0)


def tried(name, kind, *ratios, **options):
    variant = Variant(name, kind, CONFIG, **options)
    return Tried(variant, [1000 * ratio for ratio in ratios], list(ratios))


def test_shares_are_those_of_the_times():
    found = shares(
        measured(
            network_s=0.08, loop_s=0.1, loop_overhead=0.24, input_s=0.002, mixing_s=0.001, flops_per_image=3e5,
            evaluation_s=2.0, end_epoch_s=0.5, save_s=0.3,
        ),
        CONFIG,
    )  # fmt: skip
    assert found.loop_overhead == 0.24
    assert (found.input, found.mixing) == pytest.approx((0.02, 0.01))
    assert found.evaluation == pytest.approx(2.0 / 12.5)  # 10,000 images at 1,000 per second, and 2.5 s
    assert found.end_epoch == pytest.approx(0.5 / 12.5)
    assert found.checkpoints == pytest.approx(0.3 / 37.8)  # 30 s after the last one, but an epoch takes 12.5 s
    assert found.arithmetic == pytest.approx(3e5 * 100 / 0.1 / 2e9)


@settings(deadline=None, max_examples=50)
@given(save_s=st.floats(1e-4, 100), epoch_images=st.integers(1, 10**6))
def test_checkpoints_take_at_most_one_percent(save_s, epoch_images):
    found = Findings("cpu", Ceilings(1, 1), parts(save_s=save_s), epoch_images, [GIVEN], 1.0)
    assert 0 < shares(found, CONFIG).checkpoints <= 1 / 101 + 1e-9


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([1.2, 1.2, 1.2], True),
        ([1.2, 1.2], False),  # too few to tell
        ([1 + MARGIN] * 5, False),
        ([1.06] * 5, True),
        ([0.9, 0.9, 1.3, 1.3], False),  # slower in half of the rounds
        ([0.9, 1.1, 1.3, 1.3, 1.3], True),
        ([0.8] * 5, False),
        ([], False),
    ],
)
def test_a_gain_is_above_the_margin_and_in_most_rounds(ratios, expected):
    assert is_gain(ratios) is expected


def test_noise_is_the_spread_of_the_middle_half():
    assert noise([100.0, 200.0, 300.0, 400.0, 500.0]) == pytest.approx(200 / 300)
    assert noise([7.0] * 4) == 0


def test_nothing_to_change():
    slow = tried("training.channels_last=true", "settings", 1.04, 1.04, 1.04)
    assert changes(measured(slow), CONFIG) == []


def test_changes_come_with_the_largest_gain_first():
    found = changes(
        measured(
            tried("training.channels_last=true", "settings", 1.2, 1.21, 1.22),
            tried("training.precision=bf16 training.channels_last=true", "settings", 1.9, 2, 2.1, caution="rounding"),
            tried("training.compile=step", "settings", 1.1, 1.1, 1.1),
            evaluation_s=2.5,
        ),
        CONFIG,
    )
    assert [(change.what, round(change.gain, 6)) for change in found] == [
        ("--set training.precision=bf16 --set training.channels_last=true", 2.0),
        ("--set training.eval=rungs", 1.25),  # validation is 2.5 of 12.5 s
        ("--set training.channels_last=true", 1.21),
    ]
    assert found[0].why == "rounding" and "20%" in found[1].why


def test_validation_at_rungs_is_no_change_where_it_is_so_already():
    at_rungs = CONFIG.replace(training=CONFIG.training.replace(eval="rungs"))
    found = measured(evaluation_s=10.0)
    assert changes(found, at_rungs) == [] != changes(found, CONFIG)


@pytest.mark.parametrize(
    ("one_wide", "many", "expected"),
    [(1.9, 1.5, [("--cpus-per-trial 2", 1.9 / 1.5)]), (1.5, 1.9, []), (1.55, 1.5, [])],
)
def test_threads_are_compared_with_as_many_trials(one_wide, many, expected):
    both = (
        tried("--cpus-per-trial 2", "threads", *[one_wide] * 4, threads=2),
        tried("2 trials at once", "copies", *[many] * 4, copies=2),
    )
    found = changes(measured(*both), CONFIG)
    assert [(change.what, pytest.approx(change.gain)) for change in found] == expected


def test_on_a_gpu_the_best_number_of_trials_is_named():
    copies = (
        tried("--gpus-per-trial 0.5", "copies", 1.5, 1.5, 1.5, copies=2),
        tried("--gpus-per-trial 0.25", "copies", 1.8, 1.8, 1.8, copies=4),
    )
    (change,) = changes(measured(*copies, device="NVIDIA"), CONFIG)
    assert (change.what, change.gain) == ("--gpus-per-trial 0.25", 1.8) and "4 trials" in change.why


def test_no_more_than_a_few_are_named(monkeypatch):
    monkeypatch.setattr(advice, "MOST", 1)
    some = [tried(f"a={gain}", "settings", gain, gain, gain) for gain in (1.3, 1.5)]
    assert [change.what for change in changes(measured(*some), CONFIG)] == ["--set a=1.5"]
