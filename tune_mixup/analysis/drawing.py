"""Matplotlib, imported where it is needed: it refuses to be while MPLBACKEND names a backend that is not there.

A notebook sets the variable for all that it starts, and its backend is often not installed where that runs. Pictures
are written to files here, for which every backend will do.
"""

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_class() -> type["Figure"]:
    """Matplotlib's Figure, whatever MPLBACKEND says, which is afterwards as before and counts as it did."""
    is_new = "matplotlib" not in sys.modules
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
        from matplotlib.figure import Figure
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if is_new and backend is not None:
        with contextlib.suppress(ValueError):  # there is no such backend
            matplotlib.rcParams["backend"] = backend
    return Figure
