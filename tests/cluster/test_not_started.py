import pytest

from tune_mixup.cluster.not_started import cluster_fault, is_worth_another_try, start_fault

REFUSED = "gcs_client.cc:210: Failed to get cluster ID: Unauthenticated: RPC error: InvalidAuthToken: missing\n" * 5
TOKEN = "address: the Ray cluster at 10.0.0.1:6379 wants its token and has not got it; set RAY_AUTH_MODE=token, "


@pytest.mark.parametrize(
    ("error", "heard", "begins"),
    [
        (ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379"), REFUSED, TOKEN),
        (RuntimeError("AuthenticationError: the token is wrong"), "", TOKEN),
        (ConnectionRefusedError(111, "Connection refused"), "", "no Ray cluster answers at 10.0.0.1:6379: "),
        (RuntimeError("first\nsecond"), "", "no Ray cluster answers at 10.0.0.1:6379: first; start one or leave out"),
    ],
)
def test_a_cluster_that_does_not_answer(error, heard, begins):
    fault = cluster_fault("10.0.0.1:6379", error, heard)
    assert str(fault).startswith(begins) and "\n" not in str(fault) and "--address" in str(fault)


def test_no_cluster_on_this_host():
    error = ConnectionError("Could not find any running Ray instance. Please specify the one to connect to.")
    assert "no Ray cluster runs on this host; start one with `ray start --head`" in str(cluster_fault("auto", error))


def test_only_what_ran_out_of_time_is_tried_again():
    slow = Exception("The current node timed out during startup. This could happen because\nmore")
    assert is_worth_another_try(slow) and not is_worth_another_try(Exception("no such file"))
    assert "less busy" in str(start_fault(slow)) and "\n" not in str(start_fault(slow))
    assert str(start_fault(OSError("no such file"))) == "Ray did not start: no such file"
