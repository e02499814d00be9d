"""Who suggests the next point: name -> sampler."""

from typing import Annotated

from tune_mixup.parts import PartOf
from tune_mixup.samplers.base import Sampler as Sampler
from tune_mixup.samplers.cmaes import CmaEs
from tune_mixup.samplers.gp import Gp
from tune_mixup.samplers.grid import Grid
from tune_mixup.samplers.qmc import Qmc
from tune_mixup.samplers.random_search import RandomSearch
from tune_mixup.samplers.tpe import Tpe
from tune_mixup.samplers.trial_sampler import TrialSampler as TrialSampler

SAMPLERS: dict[str, type[Sampler]] = {
    "tpe": Tpe,
    "random": RandomSearch,
    "qmc": Qmc,
    "gp": Gp,
    "cmaes": CmaEs,
    "grid": Grid,
}

AnySampler = Annotated[Sampler, PartOf(SAMPLERS, "a sampler")]
