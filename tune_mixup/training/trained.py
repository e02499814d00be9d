"""A trained model, loaded from a trial's folder for prediction: without its training data, and without writing.

Shapes: N images, C channels, H x W pixels, K outputs of the network.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor
from typing_extensions import override

from tune_mixup.config import TrialConfig
from tune_mixup.data.loading import load
from tune_mixup.models.base import StagedNetwork
from tune_mixup.record.trial_folder import Epoch, TrialFolder
from tune_mixup.training import checkpoint
from tune_mixup.training.data_facts import DataFacts
from tune_mixup.training.network import Network


@final
@dataclass(frozen=True, eq=False, repr=False)
class TrainedModel:
    """A network with the weights of a trial's newest checkpoint, ready to predict; `load_trained` makes one."""

    config: TrialConfig
    """What it was trained by."""
    class_names: tuple[str, ...]
    """The classes of the data; the network has K outputs, of which those beyond the classes were never trained."""
    report: Epoch
    """What the trial reported for the epoch that the weights are of: val_accuracy and others, diverged (0 or 1)."""
    folder: Path
    _network: Network
    _facts: DataFacts

    @property
    def model(self) -> StagedNetwork:
        """The network itself, in evaluation mode; it takes normalised images, as `logits` makes them."""
        return self._network.model

    @property
    def device(self) -> torch.device:
        """Where it predicts."""
        return self._network.device

    @property
    def epoch(self) -> int:
        """How many epochs the weights were trained for; fewer than `config.training.epochs` for an unfinished trial."""
        return int(self.report["epoch"])

    def logits(self, images: Tensor) -> Tensor:
        """Logits float32 [N, K] of images [N, C, H, W], on the device of the images.

        They are uint8; of spectrograms, floating-point numbers as `data.front_ends.spectrograms` makes them; of
        waveforms [N, 1, 1, 16000], floating-point numbers with full scale as 1, or int16.

        The images may be anywhere; they are normalised as in training, and go through the network in the precision
        and the layout of training, `training.eval_batch_size` at a time. Raises ValueError for other images than those
        of the data that it was trained on: another type, number of channels or size.
        """
        self._facts.check(images)
        return self._network.logits(images).to(images.device)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities float32 [N, K] of images [N, C, H, W]: the softmax of `logits`, each row's sum is 1.

        They are NaN where training diverged to weights that are NaN.
        """
        return self.logits(images).softmax(dim=1)

    @override
    def __repr__(self) -> str:
        config = self.config
        what = f"{config.mixing.name}, {config.model.name}, {config.data.name}"
        diverged = ", diverged" if self.report.get("diverged") == 1 else ""
        place = f"epoch {self.epoch} of {config.training.epochs}{diverged}"
        return f"<TrainedModel: {what}; {place}; on {self.device}, from {self.folder}>"


def load_trained(folder: Path | str, *, device: torch.device | str | None = None) -> TrainedModel:
    """The model that a trial has trained, from its folder: that of `train --out`, or `trials/t0012` of a sweep.

    The weights are those of the newest whole checkpoint, also of a trial that is unfinished: `epoch` says how far it
    was. Nothing in the folder is written or moved, and the test split stays closed. The training data need not be
    there, except for a checkpoint of before checkpoints kept what prediction needs of the data: then the training set
    is read. `device` defaults to the GPU where there is one.

    Raises ValueError where the folder is missing or is no trial's, where no checkpoint was kept, and where none is
    whole; StorageFault where one can't be read.
    """
    files = TrialFolder(Path(folder))
    config = _config(files)
    state = _state(files)
    facts = _facts(files, config, state)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    network = Network(config, facts.without_images(where), where)
    try:
        network.model.load_state_dict(state["model"])
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{files.checkpoint}: its weights are not those of the model that {files.config} describes; "
            f"give the folder as it was trained ({reason[:200]})"
        ) from None
    network.model.eval()
    return TrainedModel(config, facts.class_names, dict(state["history"][-1]), files.path, network, facts)


def _config(files: TrialFolder) -> TrialConfig:
    wanted = "give the folder of a trial: DIR of `tune-mixup train --out DIR`, or one below trials/ in a sweep's folder"
    if not files.path.is_dir():
        what = "is not a folder" if files.path.exists() else "does not exist"
        raise ValueError(f"load_trained: {files.path} {what}; {wanted}")
    if not files.config.exists():
        raise ValueError(f"load_trained: {files.path} holds no {files.config.name}; {wanted}")
    try:
        return TrialConfig.parse(files.read_config())
    except (ValueError, TypeError) as error:
        raise ValueError(f"{files.config}: {error}") from None


def _state(files: TrialFolder) -> dict[str, Any]:
    state, damaged = checkpoint.peek(files.checkpoint)
    if state is None and damaged:
        raise ValueError(
            f"load_trained: {' and '.join(map(str, damaged))} is truncated or damaged, and no older state is whole; "
            "train the trial again"
        )
    if state is None:
        epochs = len(files.read_epochs())
        raise ValueError(
            f"load_trained: {files.path} holds no checkpoint ({epochs} epochs were reported); trials that a sweep "
            "stopped or that failed keep none, and before the first epoch there is none; train the configuration again "
            f"with `tune-mixup train --config {files.config} --out DIR`"
        )
    if not isinstance(state, dict) or not {"model", "history"} <= state.keys() or not state["history"]:
        raise ValueError(
            f"load_trained: {files.checkpoint} is not the checkpoint of a trial; put the trial's own there"
        )
    return state


def _facts(files: TrialFolder, config: TrialConfig, state: dict[str, Any]) -> DataFacts:
    if "data" in state:
        return DataFacts.parse(state["data"])
    try:
        return DataFacts.of(load(config.data, seed=config.seed, device=torch.device("cpu")))
    except ValueError as error:
        raise ValueError(
            f"load_trained: {files.checkpoint} was written by an earlier version, which kept nothing of the data "
            f"in it, so that the data itself is needed: {error}"
        ) from None
