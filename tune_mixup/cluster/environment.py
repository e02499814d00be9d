"""What a block changes in its process and what is as before when it ends: the environment, and loggers' levels."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process in the block; afterwards all are as before, also those that others have changed."""
    before = dict(os.environ)
    os.environ |= variables
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


@contextmanager
def levels_kept(loggers: Sequence[str]) -> Iterator[None]:
    """Whatever the block does to the levels of these loggers, afterwards they are as before."""
    before = {name: logging.getLogger(name).level for name in loggers}
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
