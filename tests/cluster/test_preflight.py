"""The check of data before a sweep, on a worker and in the driver."""

import pytest
import torch
from fake_worker import SPACE, plan

from tune_mixup.cluster import preflight
from tune_mixup.data import base

WRONG = SPACE.fix({"training.batch_size": 5000})


@pytest.fixture
def own_ray(monkeypatch, tmp_path):
    """As where Ray was started for this process alone; the check then needs no Ray at all."""
    monkeypatch.setattr(preflight, "private_folder", lambda: tmp_path)


def test_the_driver_finds_what_a_worker_finds(ray_session, monkeypatch, tmp_path):
    checked = preflight.check_data(plan())
    with pytest.raises(ValueError, match="batch size 5000") as on_a_worker:
        preflight.check_data(plan(space=WRONG))
    monkeypatch.setattr(preflight, "private_folder", lambda: tmp_path)
    assert preflight.check_data(plan()) == checked > 65536
    with pytest.raises(ValueError, match="batch size 5000") as in_the_driver:
        preflight.check_data(plan(space=WRONG))
    assert str(in_the_driver.value) == str(on_a_worker.value)


def test_the_driver_keeps_no_data_and_its_generator_is_as_it_was(own_ray):
    before = torch.get_rng_state()
    preflight.check_data(plan())
    assert torch.equal(torch.get_rng_state(), before)
    assert base._load_once.cache_info().currsize == 0
