"""Who suggests the next point: name -> sampler."""

from typing import TYPE_CHECKING

from tune_mixup.samplers.base import Sampler as Sampler
from tune_mixup.samplers.cmaes import CmaEs
from tune_mixup.samplers.gp import Gp
from tune_mixup.samplers.grid import Grid
from tune_mixup.samplers.qmc import Qmc
from tune_mixup.samplers.random_search import RandomSearch
from tune_mixup.samplers.tpe import Tpe
from tune_mixup.samplers.trial_sampler import TrialSampler as TrialSampler
from tune_mixup.schema import one_of

SAMPLERS: dict[str, type[Sampler]] = {
    "tpe": Tpe,
    "random": RandomSearch,
    "qmc": Qmc,
    "gp": Gp,
    "cmaes": CmaEs,
    "grid": Grid,
}

if TYPE_CHECKING:
    AnySampler = Sampler
else:
    AnySampler = one_of(*SAMPLERS.values())
