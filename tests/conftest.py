import os
import shutil
import tempfile

import pytest
import torch


@pytest.fixture(autouse=True)
def global_generator_untouched():
    """No test may leave torch's global generator moved: our code draws from explicit generators only."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state()), "the global torch generator was used"


@pytest.fixture(scope="session")
def ray_session():
    """One Ray for all tests: eight logical CPUs and two logical GPUs on whatever machine this is."""
    from tune_mixup.cluster.connection import QUIET

    os.environ |= {**QUIET, "RAY_AUTH_MODE": "disabled"}
    import ray

    folder = tempfile.mkdtemp(prefix="tm-")
    ray.init(
        address="local",
        num_cpus=8,
        num_gpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        object_store_memory=100 * 2**20,
        _temp_dir=folder,
    )
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
