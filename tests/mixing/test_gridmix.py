import mask_reference as reference
import numpy as np
import pytest
import torch
from scipy import stats

from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.grid import holes, lay_grid, wrapped_holes
from tune_mixup.mixing.gridmix import GridMix

CROP = ("top", "left", "height", "width", "cell_height", "cell_width", "hole_height", "hole_width")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grid(lam, num_holes, area, aspect, down, across, *, hole_aspect=1.0, height, width, cut_to_image=True):
    drawn = [torch.as_tensor(value, dtype=torch.float64) for value in (area, aspect, down, across)]
    lam, num_holes = torch.as_tensor(lam, dtype=torch.float32), torch.as_tensor(num_holes)
    size = {"height": height, "width": width}
    return lay_grid(lam, num_holes, *drawn, hole_aspect=hole_aspect, **size, cut_to_image=cut_to_image)


def mix(mixer, inputs, seed=0):
    return mixer.mix(inputs, torch.eye(len(inputs)), {}, epoch=0, generator=generator(seed))


@pytest.mark.parametrize(
    ("draws", "size", "expected"),
    [
        # lam, holes, area, aspect, down, across; top, left, height, width, cell h, w, hole h, w
        ((0.75, 4, 1.0, 1.0, 0.0, 0.0), (32, 32), (0, 0, 32, 32, 8, 8, 4, 4)),
        ((0.75, 4, 0.5, 1.0, 0.5, 0.999), (32, 32), (5, 9, 22, 22, 6, 6, 3, 3)),  # int(sqrt(512)) = 22
        ((0.75, 4, 1.0, 0.5, 0.9, 0.9), (32, 32), (9, 0, 22, 32, 8, 8, 4, 4)),  # 45 wide: cut to the image, from 0
        ((0.75, 2, 1.0, 2.0, 0.9, 0.9), (32, 32), (0, 9, 32, 22, 11, 11, 5, 5)),  # 44 high: likewise
        ((1.0, 4, 1.0, 1.0, 0.0, 0.0), (32, 32), (0, 0, 32, 32, 8, 8, 0, 0)),  # no mixing, no holes
        ((0.999, 4, 1.0, 1.0, 0.0, 0.0), (32, 32), (0, 0, 32, 32, 8, 8, 1, 1)),  # at least a pixel
        ((0.0, 4, 1.0, 1.0, 0.0, 0.0), (32, 32), (0, 0, 32, 32, 8, 8, 7, 7)),  # at most all but one of a side
        ((0.0, 6, 0.5, 2.0, 0.0, 0.0), (8, 8), (0, 0, 8, 4, 1, 1, 0, 0)),  # cells of one pixel have no room
        ((0.5, 5, 0.75, 1.25, 0.25, 0.5), (160, 101), (9, 1, 122, 98, 20, 20, 14, 14)),
        ((0.5, 3, 1.0, 2.0, 0.5, 0.5), (1, 1), (0, 0, 0, 0, 1, 1, 0, 0)),  # a crop without area
    ],
)
def test_grids_from_the_integer_table(draws, size, expected):
    made = grid(*draws, height=size[0], width=size[1])
    assert {name: getattr(made, name).item() for name in CROP} == dict(zip(CROP, expected, strict=True))


@pytest.mark.parametrize("seed", range(6))
def test_holes_against_painting_them_one_by_one(seed):
    rng = np.random.default_rng(seed)
    height, width = (int(length) for length in rng.integers(1, 40, 2))
    hole_aspect = float(rng.choice([0.5, 1.0, 1.7]))
    draws = [
        (np.float32(rng.uniform()).item(), int(rng.integers(1, 9)), *rng.uniform([0.1, 0.3, 0, 0], [1, 3, 1, 1]))
        for _ in range(40)
    ]
    together = grid(*zip(*draws, strict=True), hole_aspect=hole_aspect, height=height, width=width)
    got = holes(together, height=height, width=width).numpy()
    expected = [reference.holes(*drawn, hole_aspect, height, width) for drawn in draws]
    np.testing.assert_array_equal(got, expected)
    assert min(int(edge.min()) for edge in together) >= 0
    assert int((together.top + together.height).max()) <= height
    assert int((together.left + together.width).max()) <= width


@pytest.mark.parametrize("seed", range(12))
def test_published_holes_against_negative_slices(seed):
    """Among them crops up to five times as wide or high as the image, and holes longer than a side."""
    rng = np.random.default_rng(seed)
    height, width = (int(length) for length in rng.integers(1, 40, 2))
    hole_aspect = float(rng.choice([0.5, 1.0, 1.7]))
    draws = [
        (np.float32(rng.uniform()).item(), int(rng.integers(1, 9)), *rng.uniform([0.3, 0.04, 0, 0], [1, 1, 1, 1]))
        for _ in range(40)
    ]
    draws = [(*draw[:3], draw[3] if rng.uniform() < 0.5 else 1 / draw[3], *draw[4:]) for draw in draws]
    together = grid(*zip(*draws, strict=True), hole_aspect=hole_aspect, height=height, width=width, cut_to_image=False)
    got = wrapped_holes(together, height=height, width=width).numpy()
    expected = [reference.published_holes(*drawn, hole_aspect, height, width) for drawn in draws]
    np.testing.assert_array_equal(got, expected)
    if min(height, width) > 10:
        assert int(together.top.min()) < 0 and int(together.left.min()) < 0


def test_variants_differ_where_the_crop_is_larger_than_the_image():
    inputs = torch.rand(400, 1, 32, 32, generator=generator(1))
    intended, published = (mix(GridMix(per="sample", variant=v), inputs, 5) for v in ("intended", "openmixup"))
    assert torch.equal(intended.partner, published.partner)
    same = (intended.mask == published.mask).flatten(1).all(1)
    assert 0.5 < same.float().mean() < 0.8
    for mixed in (intended, published):
        torch.testing.assert_close(mixed.mask.double().mean((1, 2, 3)).float(), mixed.lam)
    assert bool((intended.lam == 1).any()) and not bool((published.lam == 1).any())
    small = {"min_area": 0.3, "max_area": 0.4, "alpha": 1.0}  # a crop of 40 % with sides of up to 2 to 1 fits
    masks = [mix(GridMix(variant=v, **small), inputs, 6).mask for v in ("intended", "openmixup")]
    assert torch.equal(*masks)


def test_area_of_the_holes_of_whole_cells():
    """4 x 4 cells of 8 x 8 pixels with holes of 4 x 4: a quarter, as 1 - lam says."""
    made = grid(0.75, 4, 1.0, 1.0, 0.0, 0.0, height=32, width=32)
    got = holes(made, height=32, width=32)
    assert got.sum().item() == 16 * 16
    corner = torch.zeros(8, 8, dtype=torch.bool)
    corner[:4, :4] = True
    assert torch.equal(got, corner.repeat(4, 4))


@pytest.mark.parametrize("variant", ["intended", "openmixup"])
@pytest.mark.parametrize("per", ["batch", "sample"])
@pytest.mark.parametrize("seed", range(4))
def test_mix_against_a_loop_over_pixels(per, seed, variant):
    inputs = torch.rand(5, 2, 13, 16, generator=generator(50 + seed))
    mixed = mix(GridMix(alpha=1.0, per=per, variant=variant), inputs, seed)
    masks = mixed.mask.expand(5, 1, 13, 16)
    for i, j in enumerate(mixed.partner.tolist()):
        kept = 0
        for y in range(13):
            for x in range(16):
                own = bool(masks[i, 0, y, x])
                kept += own
                assert torch.equal(mixed.inputs[i, :, y, x], inputs[i if own else j, :, y, x])
        lam = mixed.lam.expand(5)[i].item()
        assert lam == pytest.approx(kept / (13 * 16), abs=1e-6)
        torch.testing.assert_close(mixed.soft_targets[i], torch.eye(5)[i] * lam + torch.eye(5)[j] * (1 - lam))
    assert len(masks.flatten(1).unique(dim=0)) == (1 if per == "batch" else 5)


def test_every_number_of_cells_is_as_likely():
    """With lam near 0, all but the last pixel of each cell is hole, so the first row counts the cells."""
    inputs = torch.zeros(3_000, 1, 60, 60)
    mixer = GridMix(alpha=0.001, min_holes=2, max_holes=4, min_area=1.0, min_aspect=1.0, max_aspect=1.0, per="sample")
    masks = mix(mixer, inputs).mask[:, 0]
    cells = masks[:, 0].sum(1)[masks.mean((1, 2)) < 0.2]
    assert len(cells) > 1_000
    counts = np.bincount(cells.long().numpy(), minlength=5)
    assert counts[:2].sum() == 0 and len(counts) == 5
    assert stats.chisquare(counts[2:]).pvalue > 0.001


def test_crops_are_as_large_and_as_wide_as_drawn_and_lie_anywhere():
    """All of a single cell is hole but its last column (its last row lies below the crop), so the hole is the crop."""
    inputs = torch.zeros(3_000, 1, 80, 80)
    mixer = GridMix(
        alpha=0.001, min_holes=1, max_holes=1, min_area=0.2, max_area=0.4, min_aspect=0.6, max_aspect=0.9, per="sample"
    )
    hole = (mix(mixer, inputs).mask[:, 0] == 0).double()
    hole = hole[hole.mean((1, 2)) > 0.1]
    height, width = hole.amax(2).sum(1), hole.amax(1).sum(1) + 1
    top, left = hole.amax(2).argmax(1), hole.amax(1).argmax(1)
    aspect = (height + 0.5) / width  # what is rounded down was half a pixel more on average
    assert stats.kstest(aspect.numpy(), stats.uniform(0.6, 0.3).cdf).statistic < 0.05
    area = (height + 0.5) * (width + 0.5) / 80**2
    assert stats.kstest(area.numpy(), stats.uniform(0.2, 0.2).cdf).statistic < 0.05
    for place, length in ((top, height), (left, width)):
        share = (place + 0.5) / (80 - length + 1)
        assert stats.kstest(share.numpy(), "uniform").statistic < 0.05


@pytest.mark.parametrize("painted", [holes, wrapped_holes])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_grid_and_holes_compile_as_one_graph(backend, painted):
    def whole(lam, num_holes, numbers):
        cut = painted is holes
        made = lay_grid(lam, num_holes, *numbers, hole_aspect=1.0, height=9, width=11, cut_to_image=cut)
        return painted(made, height=9, width=11)

    compiled = torch.compile(whole, backend=backend, fullgraph=True)
    numbers = torch.rand(4, 3, dtype=torch.float64, generator=generator()) / 2 + 0.5
    arguments = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([2, 3, 4]), numbers
    assert torch.equal(compiled(*arguments), whole(*arguments))


def test_settings_without_holes_are_plain_training():
    assert GridMix(alpha=0.0).canonical() == Erm()
    assert GridMix().canonical() == GridMix()


@pytest.mark.parametrize(
    ("settings", "size", "fits"),
    [
        ({}, (32, 32), True),
        ({}, (8, 8), True),
        ({}, (3, 3), True),
        ({}, (2, 2), False),
        ({}, (160, 1), False),
        ({"min_holes": 8, "max_holes": 8}, (8, 8), False),
        ({"min_holes": 8, "max_holes": 8}, (9, 9), True),
        ({"hole_aspect": 0.25}, (8, 8), False),
        ({"hole_aspect": 0.5}, (8, 8), True),
    ],
)
def test_images_on_which_no_hole_fits_are_refused(settings, size, fits):
    mixer = GridMix.parse({"alpha": 1.0, "per": "sample", **settings})
    inputs = torch.stack([torch.zeros(1, *size), torch.ones(1, *size)]).repeat(500, 1, 1, 1)
    masks = mix(mixer, inputs).mask
    assert bool((masks < 1).any()) == fits
    if fits:
        mixer.check_data(height=size[0], width=size[1], num_classes=2)
    else:
        with pytest.raises(ValueError, match=f"^gridmix: .*images of {size[0]} x {size[1]} pixels"):
            mixer.check_data(height=size[0], width=size[1], num_classes=2)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"alpha": -0.1}, "^alpha: got -0.1"),
        ({"alpha": 1e-4}, "^alpha: got 0.0001, must be 0 .* or at least 0.001"),
        ({"min_holes": 0}, "^min_holes: got 0"),
        ({"min_holes": 7}, "^max_holes: got 6, must be at least min_holes, which is 7$"),
        ({"max_holes": 2.5}, "^max_holes: got 2.5"),
        ({"min_area": 0.9, "max_area": 0.8}, "^max_area: got 0.8, must be at least min_area, which is 0.9$"),
        ({"max_area": 1.1}, "^max_area: got 1.1"),
        ({"min_aspect": 3.0}, "^max_aspect: got 2, must be at least min_aspect, which is 3$"),
        ({"hole_aspect": 0.0}, "^hole_aspect: got 0.0"),
    ],
)
def test_bad_settings_are_refused_by_name(bad, words):
    with pytest.raises(ValueError, match=words):
        GridMix.parse(bad)
