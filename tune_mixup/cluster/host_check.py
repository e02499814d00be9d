"""What a host must have for a private Ray, looked at before: without it Ray hangs, or ends this process."""

import resource
import socket

LEAST_ADDRESSES = 6 * 2**30
"""Bytes of addresses (`ulimit -v`) below which Ray's threads can't be made, and Ray ends the process that asks for it:
4 GiB were too few on 2 cores, and 5 enough."""
PATIENCE_S = 5.0


def check_host() -> None:
    """Raise RuntimeError when this host has no usable loopback address, or this process too few addresses."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESSES:
        raise RuntimeError(
            f"a limit of {limit // 1024} KiB is set on this process's addresses (ulimit -v), and Ray needs "
            f"{LEAST_ADDRESSES // 1024}; raise it, or lift it with `ulimit -v unlimited`"
        )
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=PATIENCE_S).close()
    except OSError as error:
        raise RuntimeError(
            f"the loopback address 127.0.0.1 can't be used ({error.strerror or error}), where Ray's processes meet; "
            "bring it up with `ip link set lo up`"
        ) from None
