import os
import shutil
import tempfile

import pytest

from tune_mixup.tuning.cluster import QUIET


@pytest.fixture(scope="session")
def ray_session():
    """One Ray for all tests: eight logical CPUs and two logical GPUs on whatever machine this is."""
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
