"""NVIDIA's multi-process service, for as long as a block: kernels of several processes run at once under its daemon."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator

DAEMON = "nvidia-cuda-mps-control"
TIMEOUT_S = 15


@contextlib.contextmanager
def running() -> Iterator[dict[str, str]]:
    """A daemon with folders of its own; yields the environment of its clients.

    Raises RuntimeError with the reason where it does not start. Nothing of the card's settings is touched.
    """
    with tempfile.TemporaryDirectory() as folder:
        own = {}
        for name in ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"):
            own[name] = os.path.join(folder, name.split("_")[2].lower())
            os.mkdir(own[name])
        environment = {**os.environ, **own}
        try:
            started = _control(["-d"], "", environment)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RuntimeError(f"no daemon: {error}") from None
        if started.returncode:
            said = (started.stderr or started.stdout).strip() or f"exit code {started.returncode}"
            raise RuntimeError(f"no daemon: {said.splitlines()[-1]}")
        try:
            yield environment
        finally:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                _control([], "quit\n", environment)


def _control(words: list[str], asked: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [DAEMON, *words], input=asked, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
    )
