import pytest

from tune_mixup.data import loading


@pytest.fixture(autouse=True)
def nothing_read_yet():
    """Every test starts like a new process: no data set is in memory."""
    loading._load_once.cache_clear()
    loading._load_test_once.cache_clear()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "pets"
    path.mkdir()
    return path
