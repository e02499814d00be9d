"""What a sweep's options do to the epochs that our search takes on the recorded table of `search_efficiency.py`.

Each option by itself against our defaults, on the same table and seeds: what somebody with short trials would set, and
our parts switched off one at a time. The grace of short trials was chosen after a look at these rows.
"""

from typing import Any

from benchmarks.recorded_curves import read_table
from benchmarks.search_efficiency import SEARCHES, about, line, searched


def measure(searches: int = SEARCHES) -> dict[str, Any]:
    from benchmarks.table_search import METHODS

    names = [name for name in METHODS if name.startswith("ours")]
    table, found = read_table(), searched(names, searches)
    rows = [line(found, table, wanted, name, "ours") for wanted in ("best 5 %", "within noise") for name in names[1:]]
    return {**about(found, table), "rows": rows}
