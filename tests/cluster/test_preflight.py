"""The check of data before a sweep, on a worker and in the driver."""

import pytest
import torch
from fake_worker import SPACE, plan

from tune_mixup.cluster import preflight
from tune_mixup.data import loading

WRONG = SPACE.fix({"training.batch_size": 5000})


def test_the_driver_finds_what_a_worker_finds(ray_session):
    checked = preflight.check_data(plan(), here=False)
    with pytest.raises(ValueError, match="batch size 5000") as on_a_worker:
        preflight.check_data(plan(space=WRONG), here=False)
    assert preflight.check_data(plan(), here=True) == checked and checked.checkpoint_bytes > 65536
    (fingerprint,) = checked.data.values()
    known = plan().replace(data=checked.data)
    assert known.trial(next(known.space.probes())).data.fingerprint == fingerprint
    changed = known.replace(data=dict.fromkeys(checked.data, "0" * 16))
    for here in (False, True):
        with pytest.raises(ValueError, match="have changed: got .*, must be 0000000000000000"):
            preflight.check_data(changed, here=here)
    with pytest.raises(ValueError, match="batch size 5000") as in_the_driver:
        preflight.check_data(plan(space=WRONG), here=True)
    assert str(in_the_driver.value) == str(on_a_worker.value)


def test_the_driver_keeps_no_data_and_its_generator_is_as_it_was():
    before = torch.get_rng_state()
    preflight.check_data(plan(), here=True)
    assert torch.equal(torch.get_rng_state(), before)
    assert loading._load_once.cache_info().currsize == 0
