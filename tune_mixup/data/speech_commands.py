"""Speech Commands: a second of a spoken word, as a spectrogram; and any recordings that lie in folders like it.

Warden, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", 2018, arXiv:1804.03209.

Recordings become spectrograms or waveforms of one length once, in a file that later runs map into memory; it is made
anew when a recording is added, removed or changed (by name, size and time of change).
"""

import json
import logging
import os
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import override

from tune_mixup.data.bad_files import OnError
from tune_mixup.data.base import Dataset, Folder, Shape, Split
from tune_mixup.data.front_ends import FRAMES, FRONT_ENDS, SAMPLE_RATE, Name
from tune_mixup.data.image_cache import Contents, cached, short_hash, stamp_of
from tune_mixup.data.speech_augment import SoundPictures, SpeechAugment
from tune_mixup.data.speech_download import Version, release
from tune_mixup.data.speech_layout import Layout, find
from tune_mixup.data.speech_spectrograms import bad_files, check, spectrograms_of
from tune_mixup.data.speech_words import Task

_FORMAT = 1
"""Part of every stamp: raised when what a cache file holds changes its meaning."""


class SpeechCommands(Dataset):
    """One-second recordings in a folder for each word, as pictures float16 [1, H, 101] of `front_end`, or waveforms.

    The parts are those of `validation_list.txt` and `testing_list.txt` where the folder has them, else those of the
    published rule, which goes by a hash of the speaker. Without a `path` a release is downloaded to the root on first
    use. What is made of recordings lies in `<folder>/.tune_mixup/`, or, when the folder can't be written, in
    `<root>/speech_commands/`.
    """

    spectrograms: ClassVar[bool] = True
    came_later: ClassVar[frozenset[str]] = frozenset({"mix_on", "on_error"})
    beside_identity: ClassVar[frozenset[str]] = Dataset.beside_identity | {"on_error"}

    name: Literal["speech_commands"] = "speech_commands"
    path: Folder | None = None
    """The folder with a folder for each word; empty: `SpeechCommands/speech_commands_<version>` in the root, where
    torchaudio unpacks it, and to where it is downloaded."""
    version: Version = "v0.02"
    """Which release lies in the root, 30 words or 35; without a meaning where `path` is given."""
    task: Task = 35
    """Which words are told apart: the 10 commands; these with `_unknown_` and `_silence_` (12); the 30 words of v0.01;
    the 35 of v0.02; or `all`, every folder there is."""
    front_end: Name = "logmel"
    """How a recording becomes a picture: 64 mel bands in decibels; the published study's spectrogram, with the 101
    frames that a second has, or `spectrogram_108`, its own cut of 108; or log(1 + magnitude)."""
    mix_on: Literal["spectrograms", "waveforms"] = "spectrograms"
    """What is mixed: pictures that were made beforehand, or 16,000 samples each, of which the front end makes pictures
    on the device, in training and whenever the network is asked. The latter is for methods that weigh whole examples,
    such as mixup."""
    sample_rate: int = Field(default=SAMPLE_RATE, ge=1000, le=384_000)
    """Samples per second of all recordings; others than 16,000 are resampled to that, and other recordings refused."""
    on_error: OnError = "refuse"
    """What is done when recordings can't be used: nothing is trained, or they are left out, which is said."""
    augment: SpeechAugment = SpeechAugment()
    """Random changes to the training clips."""

    @model_validator(mode="after")
    def _augment_fits(self) -> Self:
        height = FRONT_ENDS[self.front_end].height
        if self.augment.frequency_masks and self.augment.frequency_mask > height:
            raise ValueError(
                f"augment.frequency_mask: got {self.augment.frequency_mask}, but front_end={self.front_end} has "
                f"{height} rows; use at most that"
            )
        if self.augment.noise and self.front_end != "logmel" and not self.mixes_waveforms:
            raise ValueError(
                f"augment.noise: got {self.augment.noise:g}, but front_end={self.front_end} has every clip on a scale "
                "of its own, in which noise can't be added; use front_end=logmel or mix_on=waveforms, or no noise"
            )
        return self

    @property
    @override
    def mixes_waveforms(self) -> bool:
        return self.mix_on == "waveforms"

    @override
    def pictures(self) -> nn.Module | None:
        return SoundPictures(self.front_end, self.augment) if self.mixes_waveforms else None

    @override
    def known_shape(self) -> Shape | None:
        if self.task == "all":
            return None
        return Shape(self.task, FRONT_ENDS[self.front_end].height, FRAMES)

    @override
    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        contents = self._read()
        line = bad_files(find(self.folder, task=self.task), contents.bad).left_out()
        if line is not None:
            logging.getLogger(__name__).warning(line)
        return contents.parts["train"], contents.class_names

    @override
    def read_validation(self) -> Split | None:
        """The recordings of the validation list or by the rule; None where there are none."""
        found = self._read().parts["val"]
        return found if len(found.targets) else None

    @override
    def read_test(self) -> Split:
        found = self._read().parts["test"]
        if not len(found.targets):
            raise ValueError(f"data.path: {self.folder} has no recording for the test; add some to testing_list.txt")
        return found

    @override
    def read_background(self) -> Tensor | None:
        """One-second pieces of the noise for training; None where the folder has none."""
        pieces = self._read().parts.get("background")
        return None if pieces is None else pieces.images

    @override
    def known_fingerprint(self) -> str:
        """Of the names and bytes of all recordings but those of the test, read when they became spectrograms."""
        return self._read().fingerprint

    @property
    def folder(self) -> Path:
        """Where the words lie."""
        return self.path or self.root / "SpeechCommands" / f"speech_commands_{self.version}"

    def _read(self) -> Contents:
        if self.path is None:
            release(self.root, self.version)
        layout = find(self.folder, task=self.task)
        shown = None if self.mixes_waveforms else self.front_end
        settings = json.dumps([self.task, shown, self.sample_rate])
        file = f"speech-{short_hash(settings.encode())}.pt"
        away = f"{self.folder.name}-{short_hash(os.fsencode(self.folder))}"
        contents = cached(
            (self.folder / ".tune_mixup" / file, self.root / "speech_commands" / away / file),
            stamp=_stamp(settings, layout),
            build=lambda _: spectrograms_of(
                layout, front_end=shown, sample_rate=self.sample_rate, on_error=self.on_error
            ),
        )
        check(bad_files(layout, contents.bad), self.on_error)
        return contents


def _stamp(settings: str, layout: Layout) -> str:
    files = [f"{one.relative}\0{one.part} {one.size} {one.mtime_ns}" for one in (*layout.recordings, *layout.noise)]
    lines = [repr((_FORMAT, settings, layout.class_names)), *files]
    return stamp_of("\n".join(lines))
