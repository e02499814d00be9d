import resource
import socket

import pytest

from tune_mixup.cluster import host_check
from tune_mixup.cluster.host_check import check_host


def test_a_usual_host_passes():
    check_host()


def test_a_limit_on_addresses_is_named_with_its_remedy(monkeypatch):
    for limit, passes in ((4 * 2**30, False), (8 * 2**30, True), (resource.RLIM_INFINITY, True)):
        monkeypatch.setattr(host_check.resource, "getrlimit", lambda which, limit=limit: (limit, limit))
        if passes:
            check_host()
        else:
            with pytest.raises(RuntimeError, match=r"4194304 KiB .* 6291456; .*`ulimit -v unlimited`"):
                check_host()


@pytest.mark.parametrize("fault", [OSError(101, "Network is unreachable"), TimeoutError("timed out")], ids=str)
def test_a_loopback_address_that_is_down_is_named_with_its_remedy(fault, monkeypatch):
    def fails(address, timeout):
        raise fault

    monkeypatch.setattr(socket, "create_connection", fails)
    words = fault.strerror or "timed out"
    with pytest.raises(RuntimeError, match=rf"127.0.0.1 can't be used \({words}\).* `ip link set lo up`"):
        check_host()
