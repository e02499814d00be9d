"""Two ways to train one trial, compared tensor by tensor, bit for bit."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu import Settings, Size
from benchmarks.gpu.timing import config, let_go
from tune_mixup.config import TrialConfig
from tune_mixup.training.trainer import Trainer

Trained = dict[str, Tensor]
"""Name -> what a trial has come to, on the CPU: weights, buffers, the mixer's state, losses."""
EXACT = {"optimizer.lr": 0.0625, "optimizer.weight_decay": 0.0}
"""A rate that single precision holds exactly, and no decay, which a graph rounds in another order."""
EPOCHS = 2
GRAPH = {"training.compile": "graph"}


def settings(size: Size, *layers: Settings, epochs: int = EPOCHS) -> TrialConfig:
    """A trial that can be compared."""
    return config(size, size.checked, EXACT, {"training.epochs": epochs}, *layers)


def trial(size: Size, *layers: Settings, epochs: int = EPOCHS) -> Trainer:
    """The same, about to begin."""
    return Trainer(settings(size, *layers, epochs=epochs), device=size.device)


def train(size: Size, *layers: Settings, epochs: int = EPOCHS) -> Trained:
    """What a trial comes to; the process's captured step stays, as it does between the trials of a worker."""
    trainer = trial(size, *layers, epochs=epochs)
    trainer.run()
    found = state(trainer)
    trainer.close()
    return found


def state(trainer: Trainer) -> Trained:
    """What a trial has come to so far."""
    losses = [row[key] for row in trainer.history for key in ("train_loss", "val_nll") if key in row]
    found: Mapping[str, Tensor] = {
        **{f"model.{key}": tensor for key, tensor in trainer.model.state_dict().items()},
        **{f"mixer.{key}": tensor for key, tensor in trainer.mixer_state.items()},
        "losses": torch.tensor(losses, dtype=torch.float64),
        "diverged": torch.tensor(trainer.diverged),
    }
    return {key: tensor.detach().cpu().clone() for key, tensor in found.items()}


def differing(one: Trained, other: Trained) -> int:
    """How many tensors are not the same to the bit; what only one has, and NaN, differ."""
    return sum(
        key not in one or key not in other or not torch.equal(one[key], other[key]) for key in one.keys() | other.keys()
    )


def distance(one: Trained, other: Trained) -> float:
    """The largest relative difference between weights or buffers of the same name, by their norms."""
    floating = [key for key in one if key.startswith("model.") and one[key].is_floating_point()]
    return max(float((one[key] - other[key]).norm() / other[key].norm().clamp(min=1e-12)) for key in floating)


def same(what: str, one: Trained, other: Trained) -> dict[str, Any]:
    """The result of a check that allows no difference."""
    note = "" if not bool(one["diverged"]) else "The trial diverged."
    return {"what": what, "value": differing(one, other), "at_most": 0, "unit": "tensors that differ", "note": note}


def against_eager(size: Size, what: str, *layers: Settings, epochs: int = EPOCHS) -> list[dict[str, Any]]:
    """An eager trial against itself, which tells whether its kernels repeat, and then its graph against it."""
    eager, again = train(size, *layers, epochs=epochs), train(size, *layers, epochs=epochs)
    captured = train(size, *layers, GRAPH, epochs=epochs)
    let_go()
    return [same(f"{what}: eager against itself", again, eager), same(f"{what}: graph against eager", captured, eager)]
