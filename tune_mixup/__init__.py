"""Hyperparameter search for mixup-family training, on Ray Tune, ASHA and Optuna."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tune_mixup.analysis.sweep import load_sweep as load_sweep
    from tune_mixup.cluster.sweep import sweep as sweep
    from tune_mixup.config import TrialConfig as TrialConfig
    from tune_mixup.space_files import load_space as load_space
    from tune_mixup.training.trained import load_trained as load_trained
    from tune_mixup.training.trainer import Trainer as Trainer

_HOMES = {
    "Trainer": "tune_mixup.training.trainer",
    "TrialConfig": "tune_mixup.config",
    "load_space": "tune_mixup.space_files",
    "load_sweep": "tune_mixup.analysis.sweep",
    "load_trained": "tune_mixup.training.trained",
    "sweep": "tune_mixup.cluster.sweep",
}

__version__ = "0.1.0"
__all__ = ["Trainer", "TrialConfig", "load_space", "load_sweep", "load_trained", "sweep"]


def __getattr__(name: str) -> Any:  # lazy, so that `import tune_mixup` imports neither torch nor Ray
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tune_mixup' has no attribute {name!r}")
