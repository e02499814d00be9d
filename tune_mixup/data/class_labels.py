"""Classes told by a label for each image, whole numbers or texts, as a table or a file of arrays has them."""

from collections.abc import Callable, Mapping, Sequence

from tune_mixup.faults import shown

Label = int | str
Where = Callable[[str, int], str]
"""(part, place) -> what a message calls the image at that place of a part."""


def targets_of(
    labels: Mapping[str, Sequence[Label]], names: tuple[str, ...] | None, where: Where
) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    """The names of the K classes, and for each part the class of each of its images, 0..K-1.

    Numbers are places in `names`, texts are among them. Without names the classes are the labels of `train`, sorted,
    and a number is called by its digits. Raises ValueError for a label that is none of these, or less than 0, and for a
    class that no image in train is of.
    """
    if names is not None and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two classes are called {shown(twice)}, by which nobody can tell them apart; rename one")
    whole = all(isinstance(each[0], int) for each in labels.values() if each)
    if names is None:
        known = [label for label in sorted(set(labels["train"])) if not isinstance(label, int) or label >= 0]
        must = "0 or more, and in train" if whole else "in train"
        names = tuple(str(label) for label in known)
    else:
        known = [*range(len(names))] if whole else [*names]
        must = f"0 to {len(names) - 1}, as that many are named" if whole else "one of the classes that are named"
    number = {label: k for k, label in enumerate(known)}
    targets = {part: _numbers(number, part, each, where, must) for part, each in labels.items()}
    there = set(targets["train"])
    if empty := [name for k, name in enumerate(names) if k not in there]:
        raise ValueError(f"no image to train on is of the class {shown(empty[0])}; add some, or leave the class out")
    return names, targets


def _numbers(number: Mapping[Label, int], part: str, labels: Sequence[Label], where: Where, must: str) -> list[int]:
    for place, label in enumerate(labels):
        if label not in number:
            raise ValueError(f"{where(part, place)} has the label {shown(label)}, must be {must}; mend or remove it")
    return [number[label] for label in labels]
