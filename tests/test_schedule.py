import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.config import TrialConfig
from tune_mixup.schedule import AnySchedule, Constant, Cosine, MultiStep
from tune_mixup.schema import Schema

STEPS_PER_EPOCH = 7


class Trial(Schema):
    schedule: AnySchedule


def factors(schedule, total_epochs, steps_per_epoch=STEPS_PER_EPOCH):
    """The factor of every step of a whole training."""
    return [
        schedule.lr_factor(epoch + step / steps_per_epoch, total_epochs)
        for epoch in range(total_epochs)
        for step in range(steps_per_epoch)
    ]


def per_epoch(schedule, total_epochs):
    return factors(schedule, total_epochs, steps_per_epoch=1)


def test_cosine_per_epoch_follows_its_formula():
    expected = [(1 + math.cos(math.pi * epoch / 10)) / 2 for epoch in range(10)]
    assert per_epoch(Cosine(), 10) == pytest.approx(expected, abs=1e-12)


def test_cosine_per_step_follows_its_formula_and_ends_at_its_final_fraction():
    schedule = Cosine(per="step", final_lr_fraction=0.2)
    assert factors(schedule, 10) == pytest.approx(
        [0.2 + 0.4 * (1 + math.cos(math.pi * step / 70)) for step in range(70)], abs=1e-12
    )
    assert schedule.lr_factor(0.0, 10) == 1
    assert schedule.lr_factor(5.0, 10) == pytest.approx(0.6)
    assert schedule.lr_factor(10.0, 10) == pytest.approx(0.2)


def test_cosine_starts_where_the_warm_up_ends():
    schedule = Cosine(warmup_epochs=4)
    warm = [1 / 5, 2 / 5, 3 / 5, 4 / 5]
    cold = [(1 + math.cos(math.pi * epoch / 6)) / 2 for epoch in range(6)]
    assert per_epoch(schedule, 10) == pytest.approx(warm + cold, abs=1e-12)


def test_warm_up_per_step_is_a_straight_line_from_almost_nothing():
    schedule = Constant(warmup_epochs=2.0, per="step")
    expected = [max(0.01, step / 14) for step in range(14)] + [1.0] * 7
    assert factors(schedule, 3) == pytest.approx(expected, abs=1e-12)


def test_warm_up_may_take_part_of_an_epoch():
    schedule = Constant(warmup_epochs=0.5, per="step")
    assert [schedule.lr_factor(progress, 2) for progress in (0.25, 0.5, 0.75)] == [0.5, 1.0, 1.0]


def test_constant_is_one():
    assert set(factors(Constant(), 5)) == {1.0}


@pytest.mark.parametrize(
    ("milestones", "total_epochs", "drops"),
    [
        ((0.5, 0.75), 200, (100, 150)),
        ((0.51, 0.76), 100, (51, 76)),
        ((0.3, 0.6, 0.9), 200, (60, 120, 180)),
        ((0.55,), 100, (55,)),  # 0.55 * 100 is a little more than 55 in floating point
        ((0.5, 0.75), 6, (3, 5)),
        ((0.5, 0.75), 3, (2,)),
        ((0.5, 0.75), 2, (1,)),
        ((0.5, 0.75), 1, ()),
        ((0.001,), 10, (1,)),
        ((100, 150), 200, (100, 150)),
        ((51, 76), 100, (51, 76)),
        ((101, 151), 200, (101, 151)),  # mixup's own code, which looks after the epoch
        ((60, 120, 160), 200, (60, 120, 160)),
        ((500, 1000, 1500), 2000, (500, 1000, 1500)),
        ((1,), 2, (1,)),
    ],
)
def test_multistep_drops_at_the_published_epochs(milestones, total_epochs, drops):
    schedule = MultiStep(milestones=milestones)
    assert schedule.drops(total_epochs) == drops
    rates = per_epoch(schedule, total_epochs)
    assert rates[0] == 1
    assert tuple(epoch for epoch in range(1, total_epochs) if rates[epoch] < rates[epoch - 1]) == drops


def test_milestones_in_epochs_are_the_first_epochs_at_the_lower_rate():
    rates = per_epoch(MultiStep(milestones=(2, 3), factor=0.5), 5)
    assert rates == [1.0, 1.0, 0.5, 0.25, 0.25]
    per_step = factors(MultiStep(milestones=(2, 3), factor=0.5, per="step"), 5)
    assert per_step == [rate for rate in rates for _ in range(STEPS_PER_EPOCH)]


def test_milestones_in_epochs_stay_where_they_are_whatever_the_length():
    assert [MultiStep(milestones=(20,)).drops(epochs) for epochs in (21, 40, 100)] == [(20,)] * 3
    assert [MultiStep(milestones=(0.5,)).drops(epochs) for epochs in (21, 40, 100)] == [(11,), (20,), (50,)]


def test_a_milestone_that_never_comes_is_refused():
    MultiStep(milestones=(100, 150)).check(151)
    with pytest.raises(
        ValueError, match=r"schedule.milestones: got \[100, 150\], must be less than 150, the number of"
    ):
        MultiStep(milestones=(100, 150)).check(150)
    settings = {"schedule.name": "multistep", "schedule.milestones": [5, 20], "training.epochs": 10}
    with pytest.raises(ValueError, match=r"^schedule.milestones: got \[5, 20\], must be less than 10"):
        TrialConfig.from_dotted(settings)


def test_epochs_from_a_milestone_on_run_at_the_lower_rate():
    expected = [1.0] * 4 + [0.2] * 2 + [0.04] * 2
    assert per_epoch(MultiStep(factor=0.2), 8) == pytest.approx(expected)
    per_step = factors(MultiStep(factor=0.2, per="step"), 8)
    assert per_step == pytest.approx([rate for rate in expected for _ in range(STEPS_PER_EPOCH)])


def test_two_milestones_on_one_epoch_lower_the_rate_twice():
    assert per_epoch(MultiStep(), 3) == pytest.approx([1.0, 1.0, 0.01])


def test_smooth_schedules_have_no_drops():
    assert Cosine().drops(100) == Constant().drops(100) == ()


schedules = st.one_of(
    st.builds(
        Cosine,
        warmup_epochs=st.floats(0, 20),
        per=st.sampled_from(["step", "epoch"]),
        final_lr_fraction=st.floats(0, 1),
    ),
    st.builds(Constant, warmup_epochs=st.floats(0, 20), per=st.sampled_from(["step", "epoch"])),
    st.builds(MultiStep, milestones=st.sets(st.integers(1, 20), min_size=1).map(lambda found: tuple(sorted(found)))),
    st.builds(
        MultiStep,
        warmup_epochs=st.floats(0, 20),
        per=st.sampled_from(["step", "epoch"]),
        milestones=st.sets(st.floats(0.01, 0.99), min_size=1, max_size=4).map(lambda found: tuple(sorted(found))),
        factor=st.floats(0.01, 0.99),
    ),
)


@settings(deadline=None, max_examples=200)
@given(schedule=schedules, total_epochs=st.integers(21, 60), steps=st.integers(1, 9))
def test_the_factor_climbs_through_the_warm_up_then_falls_and_stays_above_zero(schedule, total_epochs, steps):
    schedule.check(total_epochs)
    run = factors(schedule, total_epochs, steps)
    assert all(0 < factor <= 1 for factor in run)
    peak = math.ceil(schedule.warmup_epochs * steps)
    peak = math.ceil(schedule.warmup_epochs) * steps if schedule.per == "epoch" else peak
    assert all(before <= after for before, after in zip(run[:peak], run[1:peak], strict=False))
    assert all(before >= after - 1e-12 for before, after in zip(run[peak:], run[peak + 1 :], strict=False))
    if schedule.per == "epoch":
        assert all(len(set(run[epoch * steps : (epoch + 1) * steps])) == 1 for epoch in range(total_epochs))


@settings(deadline=None, max_examples=50)
@given(total_epochs=st.integers(1, 10**6))
def test_the_last_representable_progress_still_learns(total_epochs):
    assert Cosine(per="step").lr_factor(math.nextafter(total_epochs, 0), total_epochs) > 0


def test_a_warm_up_that_leaves_no_full_rate_is_refused():
    Cosine(warmup_epochs=4.5).check(5)
    for total_epochs in (4, 5):
        with pytest.raises(ValueError, match=rf"warmup_epochs is 5 of {total_epochs} epochs in all; warm up for less"):
            Cosine(warmup_epochs=5.0).check(total_epochs)


def test_milestones_come_as_lists_from_files_and_stay_hashable():
    parsed = Trial.parse({"schedule": {"name": "multistep", "milestones": [0.25, 0.5]}}).schedule
    assert parsed == MultiStep(milestones=(0.25, 0.5))
    assert hash(parsed) == hash(MultiStep(milestones=(0.25, 0.5)))


@pytest.mark.parametrize("milestones", [[100, 150], [0.5, 0.75]])
def test_milestones_are_written_as_they_were_given(milestones):
    config = TrialConfig.from_dotted(
        {"schedule.name": "multistep", "schedule.milestones": milestones, "training.epochs": 200}
    )
    written = config.plain()["schedule"]["milestones"]
    assert written == milestones and [type(one) for one in written] == [type(one) for one in milestones]
    assert TrialConfig.parse(config.plain()) == config


RISING = r"schedule.milestones: got \[.*, must be rising whole epochs from 1 on such as .* fractions of all epochs"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "cosin"}, "schedule.name: got 'cosin', which is not known; did you mean cosine?"),
        ({"name": "cosine", "per": "batch"}, "schedule.per: got 'batch', must be 'step' or 'epoch'"),
        ({"name": "cosine", "warmup_epochs": -1.0}, "schedule.warmup_epochs: got -1.0, must be greater than or equal"),
        ({"name": "cosine", "final_lr_fraction": 1.5}, "schedule.final_lr_fraction: got 1.5, must be less than or"),
        ({"name": "cosine", "milestones": [0.5]}, "schedule.milestones: there is no such setting here"),
        ({"name": "multistep", "milestones": [0.5, 1.0]}, RISING),
        ({"name": "multistep", "milestones": [0.0, 0.5]}, RISING),
        ({"name": "multistep", "milestones": [1, 0.5]}, RISING),
        ({"name": "multistep", "milestones": [0.5, 100]}, RISING),
        ({"name": "multistep", "milestones": [100.0, 150.0]}, RISING),
        ({"name": "multistep", "milestones": [0, 100]}, RISING),
        ({"name": "multistep", "milestones": [-1, 100]}, RISING),
        ({"name": "multistep", "milestones": [150, 100]}, RISING),
        ({"name": "multistep", "milestones": [100, 100]}, RISING),
        ({"name": "multistep", "milestones": [1, True]}, "schedule.milestones.1: got True, must be a whole number or"),
        ({"name": "multistep", "milestones": ["100"]}, "schedule.milestones.0: got '100', must be a whole number or"),
        ({"name": "multistep", "milestones": [math.nan]}, "schedule.milestones.0: got nan, must be .* a finite number"),
        ({"name": "multistep", "milestones": [0.75, 0.5]}, RISING),
        ({"name": "multistep", "milestones": [0.5, 0.5]}, RISING),
        ({"name": "multistep", "milestones": []}, RISING),
        (
            {"name": "multistep", "milestones": 0.5},
            "schedule.milestones: got 0.5, must be a list, also where it has one entry",
        ),
        ({"name": "multistep", "factor": 1.0}, "schedule.factor: got 1.0, must be less than 1"),
    ],
)
def test_bad_settings_are_refused_by_their_dotted_key(values, message):
    with pytest.raises(ValueError, match=message):
        Trial.parse({"schedule": values})
