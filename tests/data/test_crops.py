"""Random-resized and centre crops against torchvision's."""

import math
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, ks_2samp
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import RandomResizedCrop
from torchvision.transforms.v2 import functional as theirs

from tune_mixup.config import TrialConfig
from tune_mixup.data import Augment, Dataset, Split, load, load_test
from tune_mixup.data.augment import augment_batch, prepare
from tune_mixup.data.crops import Crop, centre, draw_boxes, resized
from tune_mixup.data.synthetic import Synthetic
from tune_mixup.testing.watching import global_generators_untouched, no_reads_on_the_host
from tune_mixup.training.trainer import Trainer

CPU = torch.device("cpu")
FILTERS = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def boxes_of(number, height, width, crop, seed=0):
    return draw_boxes(number, height=height, width=width, crop=crop, device=CPU, generator=seeded(seed))


# Resizing


@given(
    height=st.integers(1, 24),
    width=st.integers(2, 24),
    size=st.tuples(st.integers(1, 20), st.integers(2, 20)),
    kind=st.sampled_from(["bilinear", "bicubic"]),
    seed=st.integers(0, 999),
)
@settings(deadline=None, max_examples=60)
def test_a_box_is_resized_as_torchvision_does_it_with_antialiasing(height, width, size, kind, seed):
    """With two columns or more, since torch's own antialiasing errs for a single one."""
    made = seeded(seed)
    images = torch.randint(256, (3, 2, height, width), dtype=torch.uint8, generator=made)
    tall = torch.randint(1, height + 1, (3,), generator=made)
    wide = torch.randint(2, width + 1, (3,), generator=made)
    top = (torch.rand(3, generator=made) * (height - tall + 1)).long()
    left = (torch.rand(3, generator=made) * (width - wide + 1)).long()
    boxes = torch.stack([top, left, tall, wide], 1)
    got = resized(images, boxes, size=size, crop=Crop(filter=kind))
    exact = resized(images.float(), boxes, size=size, crop=Crop(filter=kind))
    assert got.dtype == torch.uint8 and got.shape == (3, 2, *size)
    for i in range(3):
        expected = theirs.resized_crop(
            images[i].float(), *boxes[i].tolist(), size=list(size), interpolation=FILTERS[kind], antialias=True
        )
        torch.testing.assert_close(exact[i], expected, rtol=0, atol=2e-3)
        assert (got[i].float() - expected.round().clamp(0, 255)).abs().max() <= 1
        assert (got[i].float() - expected.clamp(0, 255)).abs().max() < 0.51


def test_columns_are_treated_as_rows_are():
    """So that a single column is right, too."""
    images = torch.randint(256, (4, 3, 9, 1), generator=seeded(0)).float()
    boxes = torch.tensor([[0, 0, 9, 1], [3, 0, 4, 1], [8, 0, 1, 1], [2, 0, 7, 1]])
    for kind in FILTERS:
        tall = resized(images, boxes, size=(5, 2), crop=Crop(filter=kind))
        wide = resized(images.mT, boxes[:, [1, 0, 3, 2]], size=(2, 5), crop=Crop(filter=kind))
        torch.testing.assert_close(tall, wide.mT)


def test_the_whole_image_at_its_own_size_stays_as_it_is():
    images = torch.randint(256, (4, 3, 7, 9), dtype=torch.uint8, generator=seeded(0))
    whole = torch.tensor([[0, 0, 7, 9]] * 4)
    for kind in FILTERS:
        assert torch.equal(resized(images, whole, size=(7, 9), crop=Crop(filter=kind)), images)


# The law of the boxes

LAWS = [
    (Crop(), 64, 64),
    (Crop(), 30, 90),
    (Crop(scale=(0.5, 1), ratio=(0.2, 0.6)), 40, 32),
    (Crop(scale=(0.9, 1), ratio=(3.0, 4.0)), 40, 32),  # which hardly ever fits
    (Crop(scale=(0.9, 1), ratio=(0.1, 0.2)), 20, 60),
]


@pytest.mark.parametrize(("crop", "height", "width"), LAWS)
def test_boxes_have_the_law_of_torchvision(crop, height, width):
    """Each of a box's numbers by Kolmogorov and Smirnov, and how often it is the fallback; 1 in 1000 each by chance."""
    number = 2000
    ours = boxes_of(number, height, width, crop, seed=1).numpy()
    transform = RandomResizedCrop(1, scale=crop.scale, ratio=crop.ratio)
    image = torch.zeros(1, height, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        drawn = [transform.make_params([image]) for _ in range(number)]
    published = np.array([[box[key] for key in ("top", "left", "height", "width")] for box in drawn])
    for k in range(4):
        assert ks_2samp(ours[:, k], published[:, k]).pvalue > 1e-3, "top left height width".split()[k]
    assert ks_2samp(ours[:, 2] * ours[:, 3], published[:, 2] * published[:, 3]).pvalue > 1e-3
    last = published[(published[:, 0] > 0) | (published[:, 1] > 0)]
    assert len(last), "all boxes of torchvision are in the corner"
    rare = np.unique(published, axis=0, return_counts=True)
    common = rare[0][rare[1].argmax()]  # where hardly any box fits it is the fallback
    table = [[int((some == common).all(1).sum()) for some in (ours, published)]]
    table.append([number - count for count in table[0]])
    if all(min(row) > 5 for row in table):
        assert chi2_contingency(table).pvalue > 1e-3


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    low=st.floats(0.01, 1),
    least=st.floats(0.05, 20),
    factor=st.floats(1, 3),
    seed=st.integers(0, 999),
)
@settings(deadline=None, max_examples=60)
def test_every_box_lies_in_the_image(height, width, low, least, factor, seed):
    crop = Crop(scale=(low, 1), ratio=(least, least * factor))
    top, left, tall, wide = boxes_of(50, height, width, crop, seed).T
    assert bool((tall > 0).all() and (top >= 0).all() and (top + tall <= height).all()) or round(width / least) == 0
    assert (
        bool((wide > 0).all() and (left >= 0).all() and (left + wide <= width).all())
        or round(height * least * factor) == 0
    )


@pytest.mark.parametrize(
    ("ratio", "expected"), [((3.0, 4.0), [6, 0, 3, 10]), ((0.1, 0.2), [0, 3, 15, 3]), ((0.6, 0.62), [0, 0, 15, 9])]
)
def test_where_no_box_fits_it_is_the_largest_in_the_middle(ratio, expected):
    """Of 15 x 10 pixels, by hand: boxes of all its area and such ratios stand out of it on one side."""
    crop = Crop(scale=(1, 1), ratio=ratio)
    assert {tuple(box) for box in boxes_of(20, 15, 10, crop).tolist()} == {tuple(expected)}


def test_the_seed_decides_and_nothing_waits_for_the_device():
    images = torch.randint(256, (6, 3, 12, 10), dtype=torch.uint8, generator=seeded(0))
    crop = Crop(size=(5, 7), train="resized")

    def batch(seed):
        made = seeded(seed)
        with global_generators_untouched(), no_reads_on_the_host():
            return augment_batch(
                images, torch.tensor([5, 0, 0]), size=(5, 7), augment=Augment(flip=True), generator=made, boxes=crop
            )

    first, again, other = batch(0), batch(0), batch(1)
    assert first.shape == (3, 3, 5, 7) and torch.equal(first, again) and not torch.equal(first, other)
    assert not torch.equal(first[1], first[2])  # each image has a box of its own


# Windows and centres


@pytest.mark.parametrize("size", [(4, 3), (8, 3), (5, 6), (7, 5), (8, 6), (1, 1)])
def test_the_centre_is_that_of_torchvision(size):
    images = torch.randint(256, (2, 3, 8, 6), dtype=torch.uint8, generator=seeded(0))
    assert torch.equal(centre(images, size), theirs.center_crop(images, list(size)))


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("size", [(3, 3), (4, 3), (4, 1), (2, 4)])
def test_a_window_is_anywhere_in_the_padded_image_alike(size, padding):
    count, augment = 4000, Augment(crop_padding=padding)
    images = torch.randperm(256, generator=seeded(3))[:16].to(torch.uint8).reshape(1, 1, 4, 4)
    padded = prepare(images, augment)
    batch = augment_batch(
        padded, torch.zeros(count, dtype=torch.int64), size=size, augment=augment, generator=seeded(0)
    )
    whole = np.pad(images[0, 0].numpy(), padding)
    rows, columns = (4 + 2 * padding - wanted + 1 for wanted in size)
    windows = [
        whole[top : top + size[0], left : left + size[1]].tobytes() for top in range(rows) for left in range(columns)
    ]
    found = [image[0].contiguous().numpy().tobytes() for image in batch]
    assert set(found) <= set(windows)
    tally = np.array([found.count(window) for window in windows])
    expected = np.array([windows.count(window) for window in windows]) * count / len(windows)
    assert (np.abs(tally - expected) < 5 * np.sqrt(expected) + 1).all()


class Numbered(Dataset):
    """16 images of 9 x 8 pixels of two classes; their shape is not known before."""

    name: Literal["numbered"] = "numbered"

    def read_train(self):
        images = torch.randint(256, (16, 1, 9, 8), dtype=torch.uint8, generator=seeded(5))
        return Split(images, torch.arange(16) % 2), ("odd", "even")

    def read_test(self):
        return self.read_train()[0]


def test_what_is_measured_on_is_the_centre_and_training_images_stay_whole():
    plain = load(Numbered(validation_fraction=0.25), seed=0, device=CPU)
    data = load(Numbered(validation_fraction=0.25, crop=Crop(size=(5, 4))), seed=0, device=CPU)
    assert (plain.size, data.size) == ((9, 8), (5, 4))
    assert torch.equal(data.train.images, plain.train.images) and torch.equal(data.mean, plain.mean)
    assert torch.equal(data.validation.images, plain.validation.images[:, :, 2:7, 2:6])
    test = load_test(Numbered(crop=Crop(size=(5, 4))), device=CPU)
    assert torch.equal(test.images, Numbered().read_test().images[:, :, 2:7, 2:6])


def test_trials_that_differ_in_boxes_share_their_data():
    first = load(Numbered(crop=Crop(size=5)), seed=0, device=CPU)
    assert load(Numbered(crop=Crop(size=5, train="resized", scale=(0.5, 1))), seed=0, device=CPU) is first
    assert load(Numbered(crop=Crop(size=4)), seed=0, device=CPU) is not first


def test_a_crop_that_is_larger_than_the_images_is_one_line():
    words = r"data.crop.size: got 9 x 9, but the images have 9 x 8 pixels; use at most that, or larger images"
    with pytest.raises(ValueError, match=words):
        load(Numbered(crop=Crop(size=(9, 9))), seed=0, device=CPU)
    with pytest.raises(ValueError, match=words):
        load_test(Numbered(crop=Crop(size=(9, 9))), device=CPU)
    with pytest.raises(ValueError, match="data.crop.size: got 9 x 9, but the images have 8 x 8"):
        TrialConfig.from_dotted({"data.name": "digits", "data.crop.size": 9})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"size": 0}, "crop.size.*greater than or equal to 1"),
        ({"size": True}, "crop.size"),
        ({"size": [3]}, "crop.size"),
        ({"train": "center"}, "crop.train: got 'center', must be 'window' or 'resized'"),
        ({"scale": [0.5, 0.2]}, "crop: scale: got 0.5 to 0.2, must ascend; swap them"),
        ({"scale": [0.5, 1.2]}, "crop: scale: got up to 1.2, but a box is at most the image; use at most 1"),
        ({"scale": [0, 1]}, "crop.scale"),
        ({"ratio": [2, 1]}, "crop: ratio: got 2 to 1, must ascend"),
        ({"ratio": [1, math.inf]}, "crop.ratio"),
        ({"filter": "nearest"}, "crop.filter: got 'nearest', must be 'bilinear' or 'bicubic'"),
    ],
)
def test_settings_out_of_range_are_named(values, words):
    with pytest.raises(ValueError, match=words) as caught:
        Synthetic.parse({"crop": values})
    assert "\n" not in str(caught.value)


def test_what_can_not_go_together_is_one_line():
    with pytest.raises(ValueError, match="augment.crop_padding: got 4, but crop.train=resized .*; set"):
        TrialConfig.from_dotted({"data.name": "cifar10", "data.crop.train": "resized"})
    TrialConfig.from_dotted({"data.name": "cifar10", "data.crop.train": "resized", "data.augment.crop_padding": 0})
    with pytest.raises(ValueError, match="crop: is for images, but speech_commands has spectrograms"):
        TrialConfig.from_dotted({"data.name": "speech_commands", "data.crop.size": 50})


def test_what_must_fit_the_images_must_fit_what_the_network_sees():
    large = {"data.name": "synthetic", "data.size": 12, "model.name": "resnet18"}
    assert TrialConfig.from_dotted({**large, "data.crop.size": [8, 9]}).data.seen_shape() == (10, 8, 9)
    with pytest.raises(ValueError, match="the images are 7 x 9 pixels, model resnet18 needs at least 8"):
        TrialConfig.from_dotted({**large, "data.crop.size": [7, 9]})


# In training

SMALL = {
    "data.name": "synthetic", "data.num_train": 60, "data.size": 10, "data.num_classes": 3, "model.width": 2,
    "training.batch_size": 18, "training.epochs": 3, "mixing.name": "cutmix",
}  # fmt: skip
RESIZED = {"data.crop.train": "resized", "data.crop.size": [8, 6], "data.augment.flip": True}


def timeless(history):
    return [{k: v for k, v in row.items() if k not in ("epoch_s", "images_per_s")} for row in history]


@pytest.mark.parametrize("crop", [RESIZED, {"data.crop.size": [8, 6], "data.augment.crop_padding": 1}])
def test_a_trial_sees_crops_and_goes_on_after_a_kill_as_if_there_had_been_none(crop, tmp_path):
    config = TrialConfig.from_dotted(SMALL, crop)
    seen = []
    whole = Trainer(config)
    whole.model.register_forward_pre_hook(lambda module, inputs: seen.append(tuple(inputs[0].shape[1:])))
    whole.run()
    assert set(seen) == {(1, 8, 6)}
    Trainer(config, folder=tmp_path / "trial").train_epoch()
    again = Trainer(config, folder=tmp_path / "trial")
    assert again.epoch == 1
    again.run()
    assert timeless(again.history) == timeless(whole.history)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name])
