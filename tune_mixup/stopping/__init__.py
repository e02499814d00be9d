"""Who stops trials early: name -> rule. Each decides from what the record holds."""

from typing import TYPE_CHECKING

from tune_mixup.schema import one_of
from tune_mixup.stopping.asha import Asha
from tune_mixup.stopping.base import Stopping as Stopping
from tune_mixup.stopping.hyperband import Hyperband
from tune_mixup.stopping.median import Median
from tune_mixup.stopping.never import Never

STOPPING: dict[str, type[Stopping]] = {"asha": Asha, "hyperband": Hyperband, "median": Median, "none": Never}
WHY_NOT = {
    "pbt": "which changes a trial's settings while it trains, so that no trial could be repeated from its settings; "
    f"must be one of {', '.join(STOPPING)}"
}
"""Well-known rules that are not here -> why not."""

if TYPE_CHECKING:
    AnyStopping = Stopping
else:
    AnyStopping = one_of(*STOPPING.values())
