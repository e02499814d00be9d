"""A teacher that a trial has trained before, for methods that follow one: `tune_mixup.training.teacher:Trained`."""

from pathlib import Path

from pydantic import field_validator
from torch import nn
from typing_extensions import override

from tune_mixup.mixing.base import State
from tune_mixup.mixing.flat_weights import flat_weights
from tune_mixup.mixing.teachers import WEIGHTS, Teacher
from tune_mixup.training.trained import load_trained


class Trained(Teacher):
    """The network of a trial's newest checkpoint; it has the architecture of the one that is trained, and its classes.

    Its folder is read when a trial begins or goes on; the weights that count are those in the trial's own checkpoint.
    """

    folder: str
    """The folder of the trial, from the root: DIR of `tune-mixup train --out DIR`, or one below trials/ of a sweep."""

    @field_validator("folder")
    @classmethod
    def _from_the_root(cls, folder: str) -> str:
        if not Path(folder).is_absolute():
            raise ValueError(
                f"got {folder!r}, must begin at the root, for workers run in other folders; write it in full"
            )
        return folder

    @override
    def follow(self, model: nn.Module, state: State) -> State:
        """As it was trained. Raises ValueError where the folder holds no trained network."""
        if WEIGHTS in state:
            return state
        device = next(model.parameters()).device
        return {**state, WEIGHTS: flat_weights(load_trained(self.folder, device="cpu").model).to(device)}
