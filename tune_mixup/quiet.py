"""Libraries that say less for a while."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(library: str, *, up_to: int = logging.INFO) -> Iterator[None]:
    """In the block the logger of `library` drops messages of level `up_to` and below; afterwards it is as before."""
    logger = logging.getLogger(library)
    before = logger.level
    logger.setLevel(max(before, up_to + 1))
    try:
        yield
    finally:
        logger.setLevel(before)
