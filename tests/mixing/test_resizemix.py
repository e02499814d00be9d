import mask_reference as reference
import mixing_reference
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tune_mixup.mixing.boxes import Box, box_of_scale
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.resizemix import ResizeMix
from tune_mixup.mixing.squeeze import nearest_source, squeeze_into


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mix(mixer, inputs, seed=0):
    return mixer.mix(inputs, torch.eye(len(inputs)), {}, epoch=0, generator=generator(seed))


def edges(row, column, tau, height, width):
    scale = torch.tensor(tau, dtype=torch.float64)
    return box_of_scale(torch.tensor(row), torch.tensor(column), scale, height=height, width=width)


@pytest.mark.parametrize(
    ("row", "column", "tau", "size", "expected"),
    [
        (16, 16, 0.5, (32, 32), (8, 24, 8, 24)),
        (0, 31, 0.5, (32, 32), (0, 8, 23, 32)),
        (0, 0, 0.1, (32, 32), (0, 1, 0, 1)),  # the smallest box of the default range: side 3, half side 1
        (80, 50, 0.25, (160, 101), (60, 100, 38, 62)),
        (4, 4, 1.0, (8, 8), (0, 8, 0, 8)),
        (4, 4, 0.2, (8, 8), (4, 4, 4, 4)),  # side 1: no box
    ],
)
def test_boxes_from_the_integer_table(row, column, tau, size, expected):
    assert tuple(edge.item() for edge in edges(row, column, tau, *size)) == expected


def squeezed(images, box, interpolation):
    return squeeze_into(images, Box(*(torch.tensor(edge) for edge in box)), interpolation)


@settings(deadline=None, max_examples=80)
@given(st.data())
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_the_box_holds_the_whole_image_pixel_by_pixel(interpolation, data):
    height, width = data.draw(st.integers(1, 14)), data.draw(st.integers(1, 14))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    images = torch.rand(2, 3, height, width, generator=generator(data.draw(st.integers(0, 99))))
    got = squeezed(images, (top, bottom, left, right), interpolation)
    assert got.shape == images.shape
    for image, placed in zip(images.flatten(0, 1), got.flatten(0, 1), strict=True):
        expected = reference.resized(image.numpy(), bottom - top, right - left, interpolation)
        np.testing.assert_allclose(placed[top:bottom, left:right].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_the_same_pixels_as_torch_for_every_size_of_box(interpolation):
    images = torch.rand(1, 2, 32, 27, generator=generator())
    for height in range(1, 33):
        for width in (1, 2, 5, 13, 26, 27):
            got = squeezed(images, (0, height, 0, width), interpolation)[..., :height, :width]
            torch.testing.assert_close(got, F.interpolate(images, (height, width), mode=interpolation))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize(("length", "size"), [(96, 74), (224, 46), (256, 255), (240, 232)])
def test_the_same_pixels_as_torch_on_large_images(interpolation, length, size):
    images = torch.rand(1, 1, length, 5, generator=generator())
    got = squeezed(images, (0, size, 0, 3), interpolation)[..., :size, :3]
    torch.testing.assert_close(got, F.interpolate(images, (size, 3), mode=interpolation))


def test_the_same_source_pixel_as_torch_from_every_size_to_every_size():
    sizes, places = torch.arange(8, 257), torch.arange(256)
    seen = places < sizes[:, None]
    for length in range(8, 257):
        got = nearest_source(places, length, sizes[:, None]).clamp(0, length - 1)
        ramp = torch.arange(length, dtype=torch.float32)[None, None]
        expected = [F.interpolate(ramp, size)[0, 0].long() for size in sizes.tolist()]
        assert torch.equal(got[seen], torch.cat(expected)), length


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_many_boxes_at_once_hold_what_each_would_alone(interpolation):
    images = torch.rand(3, 2, 9, 7, generator=generator())
    boxes = [(0, 4, 2, 7), (3, 9, 0, 1), (5, 5, 3, 3)]  # the last has no area
    together = squeeze_into(images, Box(*torch.tensor(boxes).T), interpolation)
    for i, box in enumerate(boxes):
        torch.testing.assert_close(together[i : i + 1], squeezed(images[i : i + 1], box, interpolation))
    assert bool(together.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_bilinear_blends_half_precision_in_single_precision(dtype):
    images = torch.rand(1, 1, 9, 9, generator=generator()).to(dtype)
    got = squeezed(images, (0, 5, 0, 4), "bilinear")
    expected = squeezed(images.float(), (0, 5, 0, 4), "bilinear")
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), expected, atol=2**-7, rtol=0)


@pytest.mark.parametrize("per", ["batch", "sample"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("seed", range(4))
def test_mix_against_a_loop(per, interpolation, seed):
    height, width = 14, 11
    inputs = torch.rand(5, 2, height, width, generator=generator(50 + seed))
    mixed = mix(ResizeMix(per=per, interpolation=interpolation, min_tau=0.2), inputs, seed)
    masks = mixed.mask.expand(5, 1, height, width)
    for i, j in enumerate(mixed.partner.tolist()):
        rows, columns = (masks[i, 0] == 0).nonzero(as_tuple=True)
        top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        expected = inputs[i].clone()
        for channel in range(2):
            small = reference.resized(inputs[j, channel].numpy(), bottom - top, right - left, interpolation)
            expected[channel, top:bottom, left:right] = torch.tensor(small)
        torch.testing.assert_close(mixed.inputs[i], expected)
        lam = mixed.lam.expand(5)[i].item()
        share = int((bottom - top) * (right - left)) / (height * width)
        assert lam == pytest.approx(1 - share, abs=1e-6)
        torch.testing.assert_close(mixed.soft_targets[i], torch.eye(5)[i] * lam + torch.eye(5)[j] * (1 - lam))
    assert mixed.lam.shape == (() if per == "batch" else (5,))


def test_a_constant_partner_is_pasted_as_it_is_where_the_mask_says():
    inputs = torch.tensor([1.0, 2.0, 3.0])[:, None, None, None].expand(3, 1, 12, 20)
    for interpolation in ("nearest", "bilinear"):
        mixed = mix(ResizeMix(per="sample", interpolation=interpolation), inputs, 3)
        expected = torch.where(mixed.mask == 1, inputs, inputs[mixed.partner])
        torch.testing.assert_close(mixed.inputs, expected)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 5.0])
def test_tau_is_a_beta_drawn_again_where_it_leaves_its_range(alpha):
    """Seen on boxes that no edge cuts off, which are a share 1 - tau of those of scale tau. alpha 1 is uniform."""
    low, high, length = 0.1, 0.8, 600
    mixer = ResizeMix(alpha=alpha, min_tau=low, max_tau=high, per="sample")
    mask = mix(mixer, torch.zeros(1_500, 1, 20, length)).mask[:, 0].amin(1)
    whole = (mask[:, 0] == 1) & (mask[:, -1] == 1)
    tau = (1 - mask).sum(1)[whole].double().numpy() / length
    assert len(tau) > 500

    beta = stats.beta(alpha, alpha)
    again = 1 - (beta.cdf(high) - beta.cdf(low))
    grid = np.linspace(low, high, 2_000)
    density = (beta.pdf(grid) + again / (high - low)) * (1 - grid)
    distribution = np.cumsum(density) / density.sum()
    assert stats.kstest(tau, lambda t: np.interp(t, grid, distribution)).pvalue > 0.001
    assert low - 2 / length < tau.min() and tau.max() <= high


def test_boxes_are_centred_on_any_pixel():
    """Scale 1 on 4 x 6 pixels, half sides 2 and 3: the centre is where a box that an edge cuts off would have it."""
    inputs = torch.zeros(1, 1, 4, 6)
    mixer = ResizeMix(min_tau=1.0, max_tau=1.0)
    counts = np.zeros((4, 6))
    known = {mixing_reference.box(row, column, 0.0, 4, 6): (row, column) for row in range(4) for column in range(6)}
    for seed in range(1_200):
        rows, columns = (mix(mixer, inputs, seed).mask[0, 0] == 0).nonzero(as_tuple=True)
        box = (rows.min().item(), rows.max().item() + 1, columns.min().item(), columns.max().item() + 1)
        counts[known[box]] += 1
    assert stats.chisquare(counts.ravel()).pvalue > 0.001


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_squeezing_compiles_as_one_graph(backend, interpolation):
    compiled = torch.compile(squeeze_into, backend=backend, fullgraph=True)
    images = torch.rand(2, 3, 8, 6, generator=generator())
    box = Box(*torch.tensor([[0, 3], [8, 6], [2, 0], [6, 1]]))
    expected = squeeze_into(images, box, interpolation)
    torch.testing.assert_close(compiled(images, box, interpolation), expected, atol=1e-7, rtol=0)


def test_settings_without_a_box_are_plain_training():
    assert ResizeMix(alpha=0.0).canonical() == Erm()
    assert ResizeMix().canonical() == ResizeMix()


@pytest.mark.parametrize(
    ("min_tau", "size", "fits"),
    [
        (0.1, (32, 32), True),
        (0.0625, (32, 32), True),  # exactly 2 pixels
        (0.06, (32, 32), False),
        (0.1, (8, 8), False),
        (0.25, (8, 8), True),
        (0.1, (160, 19), False),
        (0.07, (28, 28), False),
        (0.1, (160, 20), True),
        (1.0, (1, 9), False),
    ],
)
def test_ranges_that_can_give_an_empty_box_are_refused(min_tau, size, fits):
    mixer = ResizeMix(min_tau=min_tau, max_tau=1.0)
    box = edges(size[0] // 2, size[1] // 2, min_tau, *size)
    assert bool((box.bottom > box.top) & (box.right > box.left)) == fits
    if fits:
        mixer.check_data(height=size[0], width=size[1], num_classes=2)
    else:
        with pytest.raises(
            ValueError, match=f"^mixing.min_tau: got {min_tau}, .*images of {size[0]} x {size[1]}"
        ) as error:
            mixer.check_data(height=size[0], width=size[1], num_classes=2)
        if min(size) > 1:
            enough = float(str(error.value).split("min_tau from ")[1].split()[0])
            ResizeMix(min_tau=enough, max_tau=1.0).check_data(height=size[0], width=size[1], num_classes=2)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"alpha": -1.0}, "^alpha: got -1.0"),
        ({"alpha": 1e-9}, "^alpha: got 1e-09, must be 0 .* or at least 0.001"),
        ({"min_tau": 0.0}, "^min_tau: got 0.0"),
        ({"max_tau": 1.1}, "^max_tau: got 1.1"),
        ({"min_tau": 0.9}, "^max_tau: got 0.8, must be at least min_tau, which is 0.9$"),
        ({"interpolation": "bicubic"}, "^interpolation: got 'bicubic'"),
    ],
)
def test_bad_settings_are_refused_by_name(bad, words):
    with pytest.raises(ValueError, match=words):
        ResizeMix.parse(bad)
