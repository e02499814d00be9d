"""Methods by whether they can be part of a mixture: name -> mixer. A new one is one line here."""

from tune_mixup.mixing.alignmixup import AlignMixup
from tune_mixup.mixing.attentivemix import AttentiveMix
from tune_mixup.mixing.automix import AutoMix
from tune_mixup.mixing.base import BatchMixer
from tune_mixup.mixing.comixup import CoMixup
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.fmix import FMix
from tune_mixup.mixing.generalized_mixup import GeneralizedMixup
from tune_mixup.mixing.gridmix import GridMix
from tune_mixup.mixing.learned import LearnedMixer
from tune_mixup.mixing.manifold_mixup import ManifoldMixup
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.puzzlemix import PuzzleMix
from tune_mixup.mixing.resizemix import ResizeMix
from tune_mixup.mixing.saliencymix import SaliencyMix
from tune_mixup.mixing.samix import SAMix
from tune_mixup.mixing.smoothmix import SmoothMix

METHODS: dict[str, type[BatchMixer]] = {
    "erm": Erm,
    "mixup": Mixup,
    "cutmix": CutMix,
    "manifold_mixup": ManifoldMixup,
    "alignmixup": AlignMixup,
    "smoothmix": SmoothMix,
    "saliencymix": SaliencyMix,
    "attentivemix": AttentiveMix,
    "gridmix": GridMix,
    "resizemix": ResizeMix,
    "fmix": FMix,
    "puzzlemix": PuzzleMix,
    "comixup": CoMixup,
    "generalized_mixup": GeneralizedMixup,
}
"""Those that mix a batch once, which a mixture can draw."""

LEARNED: dict[str, type[LearnedMixer]] = {"automix": AutoMix, "samix": SAMix}
"""Those that make two mixtures of each batch and train on both, which is no member's part in one."""
