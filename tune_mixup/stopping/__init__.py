"""Who stops trials early: name -> rule. Each decides from what the record holds."""

from typing import Annotated

from tune_mixup.parts import PartOf
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

AnyStopping = Annotated[Stopping, PartOf(STOPPING, "a stopping rule")]
