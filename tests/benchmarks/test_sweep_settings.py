"""What the benchmarks call a sweep's options arrives in its configuration."""

import pytest

from benchmarks.options import AS_OTHERS, KEYS, configured, keyed
from tune_mixup.search.seats import Seats
from tune_mixup.sweep_config import plan


def test_rungs_are_those_that_were_asked_for():
    config = configured("mixup", trials=9, max_epochs=100, seed=3, grace_epochs=6, reduction_factor=3)
    assert (config.trials, config.seed) == (9, 3)
    trial = config.trial(config.space.baselines[0])
    assert trial.training.epochs == 100
    assert Seats(config).of(0, trial).rungs == (6, 18, 54)


def test_like_the_others_all_trials_are_compared_and_none_is_spared():
    places = Seats(configured("mixup", trials=40, max_epochs=60, seed=0, **AS_OTHERS))
    mild, strong = ({"mixing.alpha": alpha, "optimizer.lr": 0.1} for alpha in (0.05, 2.0))
    seats = [
        places.of(trial, places.config.trial({**places.config.space.baselines[0], **point}))
        for trial, point in enumerate(20 * (mild, strong))
    ]
    assert len({seat.group for seat in seats}) == 1 and not any(seat.spared for seat in seats)


def test_every_key_is_one_of_a_sweep():
    for name in KEYS:
        with pytest.raises(ValueError, match=KEYS[name].rpartition(".")[2]):
            plan("mixup", keyed({name: object()}))
