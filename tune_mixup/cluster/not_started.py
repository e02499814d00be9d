"""What is said, in one line, when Ray does not start or a cluster does not answer."""

import re

from tune_mixup.words import first_said

NO_TOKEN = re.compile(r"InvalidAuthToken|Unauthenticated|AuthenticationError|authentication token", re.IGNORECASE)
"""What Ray says, in its error or on stderr, when a cluster refuses this process."""
NOT_FOUND = re.compile(r"Could not find any running Ray instance", re.IGNORECASE)
"""What Ray says when no address was found on this host."""
TIMED_OUT = re.compile(r"timed? ?out", re.IGNORECASE)


def cluster_fault(address: str, error: BaseException, heard: str = "") -> ValueError:
    """Why the cluster at an address can't be used; `heard` is what Ray has written to stderr meanwhile."""
    said = f"{error} {error.__cause__ or ''} {heard}"
    if NO_TOKEN.search(said):
        return ValueError(
            f"address: the Ray cluster at {address} wants its token and has not got it; set RAY_AUTH_MODE=token, and "
            "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH unless the token is in ~/.ray/auth_token, or leave out --address"
        )
    if NOT_FOUND.search(said):
        return ValueError(
            f"address: got {address!r}, but no Ray cluster runs on this host; start one with `ray start --head`, or "
            "leave out --address"
        )
    return ValueError(f"no Ray cluster answers at {address}: {first_said(error)}; start one or leave out --address")


def is_worth_another_try(error: BaseException) -> bool:
    """Whether Ray has only run out of time."""
    return bool(TIMED_OUT.search(str(error)))


def start_fault(error: BaseException) -> RuntimeError:
    """Why a Ray of this host alone did not start."""
    words = first_said(error) or type(error).__name__
    if is_worth_another_try(error):
        return RuntimeError(f"Ray did not start in time ({words}); try again when this host is less busy")
    return RuntimeError(f"Ray did not start: {words}")
