import os
import shutil
import tempfile

import pytest
import torch


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items):
    """With several processes (`-n 2 --dist loadgroup`), all tests of the one Ray run in one of them."""
    for item in items:
        if "ray_session" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group("ray"))


def pytest_collection_finish(session):
    """pytest-xdist knows a group by the end of a test's name; a release of pytest has made that void without a word."""
    if os.environ.get("PYTEST_XDIST_WORKER") and session.config.getoption("loadgroup", False):
        lost = [item.nodeid for item in session.items if "ray_session" in item.fixturenames and "@" not in item.nodeid]
        if lost:
            raise pytest.UsageError(f"pytest-xdist does not group the tests of the one Ray, such as {lost[0]}")


def pytest_sessionfinish(session):
    """Where `TESTS_MAY_SKIP` lists how reasons begin, one a line, a test that was skipped for another is a failure."""
    listed = os.environ.get("TESTS_MAY_SKIP")
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if listed is None or reporter is None:
        return
    reasons = {
        (report.nodeid, report.longrepr[2].removeprefix("Skipped: ")) for report in reporter.stats.get("skipped", [])
    }
    may = tuple(listed.splitlines())
    unlisted = sorted(f"{test}: {why}" for test, why in reasons if not why.startswith(may))
    if unlisted:
        reporter.write_sep("=", "skipped for reasons that are not listed", red=True)
        reporter.write_line("\n".join(unlisted))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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
    from tune_mixup.measuring.device import LOGICAL_GPUS

    os.environ |= {**QUIET, "RAY_AUTH_MODE": "disabled", LOGICAL_GPUS: "1"}
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


def make_progress(**changes):
    from tune_mixup.search.standing import Progress

    values = {
        "name": "gm",
        "trials": 4,
        "states": {"COMPLETE": 0, "PRUNED": 0, "FAIL": 0, "RUNNING": 2, "WAITING": 2},
        "metric": "val_accuracy",
        "best_trial": None,
        "best_value": None,
        "best_epoch": None,
        "epochs": 0,
        "full_epochs": 40,
        "elapsed_s": 0.0,
        "eta_s": None,
        "time_budget_s": None,
        "message": "",
    }
    return Progress(**{**values, **changes})


@pytest.fixture
def progress():
    return make_progress


@pytest.fixture
def one_thread():
    """Sums of one thread, which are the same each time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
