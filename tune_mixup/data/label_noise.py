"""Wrong labels on training images: how many, which, and what they say.

Of every class a share of the training images gets another label. The seed of the noise alone puts all images into a
random order and says which other label each one would get; of each class, the first of those that are trained on do get
it. So a larger share mislabels what a smaller one does and more, and trials whose splits differ have the same noise as
far as they have the same images.

Shapes: N examples of the training set, n of them to train on, K classes.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import BeforeValidator, Field, model_validator
from torch import Tensor

from tune_mixup.data.paths import Folder
from tune_mixup.faults import shown
from tune_mixup.schema import Schema, suggest
from tune_mixup.seeding import generator


def _as_pairs(given: Any) -> Any:
    """In order, so that equal mappings are equal settings and have one hash."""
    if isinstance(given, Mapping):
        given = list(given.items())
    return sorted(given, key=repr) if isinstance(given, list | tuple) else given


_Pair = Annotated[tuple[str, str], Field(strict=False)]
Pairs = Annotated[tuple[_Pair, ...], Field(strict=False), BeforeValidator(_as_pairs)]
"""Names of classes, each with that of another; or a mapping of these."""


class LabelNoise(Schema):
    """Wrong labels on training images; the default leaves all as they are."""

    kind: Literal["symmetric", "pairs", "file"] = "symmetric"
    """symmetric: one of the other classes, all equally likely; pairs: the class that each is taken for; file: what a
    file says of every image."""
    share: float = Field(default=0.0, ge=0, le=1)
    """Share of the training images of every class that get another label, rounded to whole images; 0: none. Without a
    meaning for a file."""
    seed: int = Field(default=0, ge=0)
    """Which images get which label, the same for all seeds of trials; without a meaning for a file."""
    pairs: Pairs = ()
    """Which class is taken for which, by their names, such as {truck: automobile}; others keep their labels. Empty:
    each class is taken for the next one and the last for the first."""
    path: Folder | None = None
    """The file of labels: .npy, .npz, .csv or .txt, one for each image of the training set in its order: numbers 0 to
    K-1, or names of classes in the latter two."""
    column: str | None = None
    """Which array of an .npz or column of a .csv has the labels; empty: the only one."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.kind == "file" and self.path is None:
            raise ValueError("kind is file, but path is empty; give the path of the file")
        if self.kind == "file" and self.share:
            raise ValueError(
                f"share is {self.share:g}, but with kind=file it is the file that says what is wrong; drop it"
            )
        for key, kind in (("path", "file"), ("column", "file"), ("pairs", "pairs")):
            if getattr(self, key) and self.kind != kind:
                raise ValueError(f"{key} is given, but kind is {self.kind}; set kind={kind}, or drop {key}")
        sources = [source for source, _ in self.pairs]
        if twice := next((one for one in sources if sources.count(one) > 1), None):
            raise ValueError(f"pairs: {shown(twice)} stands twice; a class is taken for one other, so drop one")
        if same := next((source for source, target in self.pairs if source == target), None):
            raise ValueError(f"pairs: {shown(same)} is taken for itself; drop it, or give another class")
        return self

    def simplest(self) -> "LabelNoise":
        """The simplest settings that give the same labels."""
        if self.kind == "file":
            return self.replace(seed=0)
        return self if self.share else LabelNoise()

    def labels(self, targets: Tensor, chosen: Tensor, *, given: Tensor | None, class_names: tuple[str, ...]) -> Tensor:
        """What the examples `chosen` int64 [n], to train on, are labelled: int64 [n] in 0..K-1.

        `targets` int64 [N] are the true labels of the whole training set, all on the CPU; `given` int64 [N] are those
        of the file. Raises ValueError for the name of a class that there is not, and where no image has some label.
        """
        labels = targets[chosen]
        if given is not None:
            labels = given[chosen]
        elif self.share:
            labels = self._mislabelled(targets, chosen, class_names)
        else:
            return labels
        counts = torch.bincount(labels, minlength=len(class_names))
        if not bool(counts.all()):
            raise ValueError(
                f"data.label_noise: no training image is labelled {class_names[int(counts.argmin())]!r} any more; use "
                "a smaller share, more images, or other labels"
            )
        return labels

    def _mislabelled(self, targets: Tensor, chosen: Tensor, class_names: tuple[str, ...]) -> Tensor:
        num_classes, number = len(class_names), len(targets)
        made = generator(self.seed, "labels")
        order = torch.randperm(number, generator=made)
        away = torch.randint(1, num_classes, (number,), generator=made)
        true = targets[chosen]
        if self.kind == "symmetric":
            wrong = (true + away[chosen]) % num_classes
        else:
            wrong = self._taken_for(class_names)[true]
        counts = torch.bincount(true, minlength=num_classes)
        mislabelled = (counts.double() * self.share).round().long()
        by_class = order[chosen].argsort()
        by_class = by_class[true[by_class].argsort(stable=True)]
        rank = torch.empty_like(by_class)
        rank[by_class] = torch.arange(len(chosen)) - (counts.cumsum(0) - counts)[true[by_class]]
        return torch.where(rank < mislabelled[true], wrong, true)

    def _taken_for(self, class_names: tuple[str, ...]) -> Tensor:
        """The class for which each is taken, int64 [K]."""
        number = {name: k for k, name in enumerate(class_names)}
        for name in (name for pair in self.pairs for name in pair):
            if name not in number:
                raise ValueError(f"data.label_noise.pairs: there is no class {shown(name)}{suggest(name, class_names)}")
        taken_for = torch.arange(len(class_names))
        if not self.pairs:
            return (taken_for + 1) % len(class_names)
        for source, target in self.pairs:
            taken_for[number[source]] = number[target]
        return taken_for
