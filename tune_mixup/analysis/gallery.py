"""A picture of what the mixing methods do: pairs, masks and mixed images of real data, with their lam.

One row per method; in every row the same images, each with a draw of its own. A method's draws are often such that
little is mixed, of which nothing could be seen: so an example shows the first of a few draws that mixes well.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from tune_mixup.analysis.drawing import figure_class
from tune_mixup.config import TrialConfig
from tune_mixup.data.augment import normalise
from tune_mixup.data.crops import centre
from tune_mixup.data.front_ends import full_scale
from tune_mixup.data.loading import TrainingData, load
from tune_mixup.mixing.base import Blender, MixedBatch, Mixer
from tune_mixup.mixing.first_state import first_state
from tune_mixup.record.targets import check_file, write_file
from tune_mixup.seeding import generator
from tune_mixup.words import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TILES = ("own", "partner", "weight of own", "mixed")
PER_CLASS = 2
"""Images of each class in the batch that is mixed; a class that has fewer gives them all."""
NUM_DRAWS = 16
"""From how many draws of the method an example is chosen."""
WELL_MIXED = (0.3, 0.7)
"""Between which lam an example shows both images well."""
LEGEND = (
    "lam is the weight of the own image's label; its partner's label has 1 - lam. A white pixel is the own image's, a "
    "black one the partner's.",
    f"Each example is the first of {NUM_DRAWS} draws that has another image as partner and lam from {WELL_MIXED[0]} to "
    f"{WELL_MIXED[1]}; where none has, the nearest.",
)
"""The lines below the picture."""
SOUND = "Sound is drawn as a spectrogram: time runs to the right, frequency upwards, and what is bright is loud."
"""The line below them where there are spectrograms."""
TILE_INCHES = 0.78
GAP, MARGIN, HEADER, FOOTER = 0.25, 1.8, 0.5, 0.6
"""Space between two examples, for the names on the left, for the headings, and for the legend, in tiles."""
CLASS_LETTERS = 13
"""Letters of a class's name that fit below a tile."""
SOUND_ASPECT = 0.8
"""Height of a spectrogram as a share of its width, whatever its rows and frames are."""
LETTER = 0.056
"""Width of a letter of the legend, in inches."""


class Example(NamedTuple):
    """A row of a mixed batch for a person to see: images float32 [H, W, 1 or 3] in 0..1, lam in 0..1.

    `weight` float32 [H, W] is each pixel's weight of the own image; None where features were mixed after `stage`.
    """

    own: Tensor
    partner: Tensor
    mixed: Tensor
    weight: Tensor | None
    lam: float
    stage: int
    classes: tuple[str, str]
    """The names of the own and of the partner's class."""


def gallery(
    config: TrialConfig, mixers: Mapping[str, Mixer], to: Path | str, *, num_examples: int = 3, overwrite: bool = False
) -> tuple[dict[str, list[Example]], dict[str, str]]:
    """Draw `mixers` (title -> method) on the training split of the configuration's data and write the picture `to`.

    Its suffix says how: .png, .pdf, .svg. Returns what was drawn, and the methods that were left out with the reason.
    Raises ValueError for a suffix or a number of examples that can't be, when no method is left, and for a file that
    exists (unless `overwrite`) or lies in a sweep.
    """
    suffix = _suffix(Path(to))
    check_file(to, overwrite=overwrite)
    data = load(config.data, seed=config.seed, device=torch.device("cpu"))
    index = _draw_batch(data, config.seed)
    if not 1 <= num_examples <= len(index):
        raise ValueError(f"examples: got {num_examples}, must be 1 to {len(index)}, the images of a batch")
    with torch.random.fork_rng(devices=[]):  # layers draw from torch's global generator
        torch.manual_seed(generator(config.seed, "init").initial_seed())
        model = config.model.build(channels=data.channels, num_classes=data.num_classes)
    pictures = config.data.pictures()
    drawn: dict[str, list[Example]] = {}
    left_out: dict[str, str] = {}
    for title, mixer in mixers.items():
        try:
            drawn[title] = examples(
                mixer, model, data, index, seed=config.seed, num_examples=num_examples, pictures=pictures
            )
        except ValueError as error:
            left_out[title] = str(error)
    if not drawn:
        raise ValueError("; ".join(f"{title}: {reason}" for title, reason in left_out.items()))
    figure = draw(drawn, title=f"{config.data.name}, seed {config.seed}", sound=config.data.spectrograms)
    write_file(to, lambda file: figure.savefig(file, format=suffix, dpi=100), overwrite=overwrite)
    return drawn, left_out


def examples(
    mixer: Mixer,
    model: nn.Module,
    data: TrainingData,
    index: Tensor,
    *,
    seed: int,
    num_examples: int,
    pictures: nn.Module | None = None,
) -> list[Example]:
    """The first images of the batch `index` int64 [B] of the training split, each from other draws of the batch.

    Of `NUM_DRAWS` draws an image has the first with a partner that is not itself and lam within `WELL_MIXED`; where
    there is none, the first of those that come nearest to that. `pictures` shows waveforms, before and after mixing.

    Raises ValueError for a method that can't mix this data, or whose mixed batches can't be looked at.
    """
    if not isinstance(mixer, Blender):
        raise ValueError("it makes more of a batch than one mixed batch")
    if pictures is not None and not mixer.weighs_examples:
        raise ValueError("it mixes parts of pictures, but data.mix_on=waveforms")
    num_classes, height, width = data.shape
    mixer.check_data(height=height, width=width, num_classes=num_classes)
    images = centre(data.train.images[index], data.size)
    inputs = normalise(images, data.mean, data.std) if pictures is None else full_scale(images)
    targets = torch.eye(data.num_classes)[data.train.targets[index]]
    made = generator(seed, "init", epoch=1)
    image = (data.channels, *data.size)
    state = first_state(mixer, model, data.num_classes, image=image, device=inputs.device, generator=made)

    def mix(epoch: int) -> MixedBatch:
        return mixer.blend(model, inputs, targets, state, epoch=0, generator=generator(seed, "mix", epoch=epoch))

    found = []
    see = partial(_seen, data=data, pictures=pictures)
    shown = (0.0, 1.0) if images.dtype == torch.uint8 else _range(see(inputs))
    for row in range(num_examples):
        draws = (mix(row + turn * num_examples) for turn in range(NUM_DRAWS))
        found.append(_example(_most_telling(draws, row), row, inputs, data.train.targets[index], data, see, shown))
    return found


def _seen(inputs: Tensor, *, data: TrainingData, pictures: nn.Module | None) -> Tensor:
    """Inputs of the network [B, ...] as pictures, not normalised [B, C, H, W]."""
    if pictures is None:
        return inputs * data.std + data.mean
    seen: Tensor = pictures.eval()(inputs)
    return seen


def _range(images: Tensor) -> tuple[float, float]:
    """What is drawn black and white of numbers that are no pixels: the least and the most of all."""
    low, high = images.aminmax()
    return float(low), max(float(high), float(low) + 1e-6)


def _most_telling(draws: Iterable[MixedBatch], row: int) -> MixedBatch:
    """The first draw that mixes the image `row` well with another one, else the first that comes nearest to it."""
    low, high = WELL_MIXED

    def shortfall(drawn: MixedBatch) -> tuple[bool, float]:
        count = len(drawn.partner)
        lam = float(drawn.lam.expand(count)[row])
        return int(drawn.partner[row]) == row, max(low - lam, lam - high, 0.0)

    best: tuple[tuple[bool, float], MixedBatch] | None = None
    for drawn in draws:
        lacks = shortfall(drawn)
        if best is None or lacks < best[0]:
            best = (lacks, drawn)
        if lacks == (False, 0.0):
            break
    assert best is not None
    return best[1]


def _example(
    drawn: MixedBatch,
    row: int,
    inputs: Tensor,
    labels: Tensor,
    data: TrainingData,
    see: Callable[[Tensor], Tensor],
    shown: tuple[float, float],
) -> Example:
    low, high = shown

    def visible(image: Tensor) -> Tensor:
        pixels = ((see(image[None])[0] - low) / (high - low)).clamp(0, 1).permute(1, 2, 0)
        return pixels if data.channels in (1, 3) else pixels.mean(2, keepdim=True)

    count = len(inputs)
    lam = drawn.lam.expand(count)[row]
    stage = max((depth for depth, at in drawn.hidden.items() if at.expand(count)[row] < 1), default=0)
    mask = lam.expand(data.shape[1:]) if drawn.mask is None else drawn.mask.expand(count, -1, -1, -1)[row, 0]
    return Example(
        own=visible(inputs[row]),
        partner=visible(inputs[drawn.partner[row]]),
        mixed=visible(drawn.inputs[row]),
        weight=None if stage else mask,
        lam=float(lam),
        stage=stage,
        classes=(data.class_names[labels[row]], data.class_names[labels[drawn.partner[row]]]),
    )


def _draw_batch(data: TrainingData, seed: int) -> Tensor:
    """Up to `PER_CLASS` images of each class, as many of one as of another, in random order: int64 [B]."""
    targets = data.train.targets
    shuffled = torch.randperm(len(targets), generator=generator(seed, "batches"))
    members = [shuffled[targets[shuffled] == label] for label in range(data.num_classes)]
    count = min(PER_CLASS, *(len(some) for some in members))
    batch = torch.cat([some[:count] for some in members])
    return batch[torch.randperm(len(batch), generator=generator(seed, "batches", epoch=1))]


def draw(rows: Mapping[str, list[Example]], *, title: str, sound: bool = False) -> "Figure":
    """The picture: a row of examples for each title, four tiles each; `sound` draws them as spectrograms."""
    legend = (*LEGEND, SOUND) if sound else LEGEND
    num_examples = max(len(row) for row in rows.values())
    widths = ([1.0] * len(TILES) + [GAP]) * num_examples
    needed = max(map(len, legend)) * LETTER / TILE_INCHES
    width, height = max(sum(widths) + MARGIN, needed), len(rows) + HEADER + FOOTER
    figure = figure_class()(figsize=(TILE_INCHES * width, 1.25 * TILE_INCHES * height))
    grid = figure.add_gridspec(
        len(rows),
        len(widths),
        width_ratios=widths,
        left=MARGIN / width,
        right=(sum(widths) + MARGIN) / width,
        bottom=(FOOTER + 0.1) / height,
        top=1 - HEADER / height,
        hspace=0.25,
        wspace=0.06,
    )
    figure.text(0.01, 1 - 0.08 / height, title, va="top", fontsize=8)
    figure.text(0.01, 0.08 / height, "\n".join(legend), va="bottom", fontsize=7)
    for line, (name, row) in enumerate(rows.items()):
        for number, example in enumerate(row):
            first = number * (len(TILES) + 1)
            tiles = [figure.add_subplot(grid[line, first + place]) for place in range(len(TILES))]
            _draw_example(tiles, example, sound=sound)
            if line == 0:
                for tile, heading in zip(tiles, TILES, strict=True):
                    tile.set_title(heading, fontsize=7)
            if number == 0:
                tiles[0].text(-0.1, 0.5, name, ha="right", va="center", fontsize=8, transform=tiles[0].transAxes)
    return figure


def _draw_example(tiles: "list[Axes]", example: Example, *, sound: bool) -> None:
    for tile in tiles:
        tile.set_xticks([])
        tile.set_yticks([])
        tile.set_box_aspect(SOUND_ASPECT if sound else example.own.shape[0] / example.own.shape[1])
    for tile, name in zip(tiles, example.classes, strict=False):
        tile.set_xlabel(one_line(name, CLASS_LETTERS), fontsize=7, labelpad=1)
    shown = {0: example.own, 1: example.partner}
    if example.weight is not None:
        shown |= {2: example.weight, 3: example.mixed}
    else:
        for tile, words in (
            (tiles[2], f"features\nafter stage {example.stage}"),
            (tiles[3], "mixed inside\nthe network"),
        ):
            tile.text(0.5, 0.5, words, ha="center", va="center", fontsize=7, transform=tile.transAxes)
    for place, image in shown.items():
        loud = sound and place != 2  # weights are not heard
        tiles[place].imshow(
            image.numpy(),
            cmap="magma" if loud else "gray",
            vmin=0,
            vmax=1,
            interpolation="nearest",
            origin="lower" if sound else "upper",
            aspect="auto",  # the tile has the image's own, but that of sound is nobody's
        )
    tiles[3].set_xlabel(f"lam {example.lam:.2f}", fontsize=7, labelpad=1)


def _suffix(to: Path) -> str:
    known = figure_class()().canvas.get_supported_filetypes()
    suffix = to.suffix.lower().removeprefix(".")
    if suffix not in known:
        raise ValueError(f"to: got {str(to)!r}, which must end in .png, .pdf, .svg or another kind of picture")
    return suffix
