"""Matplotlib, imported where it is needed: it refuses to be while MPLBACKEND names a backend that is not there.

A notebook sets the variable for all that it starts, and its backend is often not installed where that runs. Pictures
are written to files here, for which every backend will do.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_class() -> type["Figure"]:
    """Matplotlib's Figure, whatever MPLBACKEND says, which is afterwards as before."""
    try:
        from matplotlib.figure import Figure
    except ValueError:
        backend = os.environ.pop("MPLBACKEND", None)
        if backend is None:
            raise
        try:
            from matplotlib.figure import Figure
        finally:
            os.environ["MPLBACKEND"] = backend
    return Figure
