import mixing_reference as reference
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tune_mixup.mixing.boxes import box_around, inside, share_outside
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.erm import Erm


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def edges(row, column, lam, height, width):
    box = box_around(
        torch.tensor(row), torch.tensor(column), torch.tensor(lam, dtype=torch.float32), height=height, width=width
    )
    return box, tuple(edge.item() for edge in box)


@pytest.mark.parametrize(
    ("row", "column", "lam", "height", "width", "expected", "share"),
    [
        (16, 16, 0.75, 32, 32, (8, 24, 8, 24), 0.75),
        (0, 0, 0.75, 32, 32, (0, 8, 0, 8), 1 - 64 / 1024),
        (31, 31, 0.75, 32, 32, (23, 32, 23, 32), 1 - 81 / 1024),
        (16, 16, 1.0, 32, 32, (16, 16, 16, 16), 1.0),
        (16, 16, 0.0, 32, 32, (0, 32, 0, 32), 0.0),
        (0, 16, 0.0, 32, 32, (0, 16, 0, 32), 0.5),
        (5, 5, 0.75, 10, 10, (3, 7, 3, 7), 1 - 16 / 100),  # side 5 is odd: half sides of 2, one pixel lost
        (80, 50, 0.75, 160, 101, (40, 120, 25, 75), 1 - 80 * 50 / (160 * 101)),
        (0, 0, 0.75, 1, 1, (0, 0, 0, 0), 1.0),
        (0, 3, 0.0, 1, 8, (0, 0, 0, 7), 1.0),  # one row: side 1, half side 0, so there is no box
    ],
)
def test_boxes_from_the_integer_table(row, column, lam, height, width, expected, share):
    box, got = edges(row, column, lam, height, width)
    assert got == expected
    assert share_outside(box, height=height, width=width).item() == pytest.approx(share, abs=1e-7)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_boxes_agree_with_plain_integers_and_their_mask_with_their_share(data):
    height, width = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    lam = data.draw(st.floats(0, 1, width=32))
    for side in (height * (1 - lam) ** 0.5, width * (1 - lam) ** 0.5):
        assume(side == round(side) or abs(side - round(side)) > 1e-9)  # torch's root may be off by the last digit
    box, got = edges(row, column, lam, height, width)
    assert got == reference.box(row, column, lam, height, width)
    own = [
        [not (got[0] <= y < got[1] and got[2] <= x < got[3]) for x in range(width)] for y in range(height)
    ]  # the mask, pixel by pixel
    assert inside(box, height=height, width=width).logical_not().tolist() == own
    mean = sum(map(sum, own)) / (height * width)
    assert share_outside(box, height=height, width=width).item() == pytest.approx(mean, abs=1e-7)


def test_large_boxes_are_rounded_like_plain_integers():
    """On 480 x 640 pixels a share of half precision would move an edge now and then."""
    shares = torch.rand(500, generator=generator())
    for lam in shares.tolist():
        assert edges(240, 320, lam, 480, 640)[1] == reference.box(240, 320, lam, 480, 640)


@pytest.mark.parametrize("shape", [(5, 3, 8, 8), (4, 1, 16, 11), (1, 2, 7, 5)])
@pytest.mark.parametrize("seed", range(5))
def test_mix_against_a_loop_over_pixels(shape, seed):
    inputs = torch.rand(shape, generator=generator(100 + seed))
    targets = torch.eye(6)[: shape[0]]
    mixed = CutMix(alpha=1.0).mix(inputs, targets, {}, epoch=0, generator=generator(seed))
    partner = mixed.partner.tolist()
    assert sorted(partner) == list(range(shape[0]))
    pasted = (mixed.inputs != inputs).any(dim=(0, 1)).nonzero().tolist()
    box = (0, 0, 0, 0)
    if pasted:
        rows, columns = zip(*pasted, strict=True)
        box = (min(rows), max(rows) + 1, min(columns), max(columns) + 1)
    for i, j in enumerate(partner):
        for y in range(shape[2]):
            for x in range(shape[3]):
                source = j if box[0] <= y < box[1] and box[2] <= x < box[3] else i
                assert torch.equal(mixed.inputs[i, :, y, x], inputs[source, :, y, x])
    if partner != list(range(shape[0])):
        share = 1 - (box[1] - box[0]) * (box[3] - box[2]) / (shape[2] * shape[3])
        assert mixed.lam.item() == pytest.approx(share, abs=1e-6)
    expected = torch.stack([targets[i] * mixed.lam + targets[j] * (1 - mixed.lam) for i, j in enumerate(partner)])
    torch.testing.assert_close(mixed.soft_targets, expected)


def test_boxes_are_centred_on_any_pixel():
    """With lam near 1/2, boxes around every pixel of 4 x 6 are as likely, though the image is not square."""
    inputs = torch.stack([torch.zeros(1, 4, 6), torch.ones(1, 4, 6)])
    targets = torch.eye(2)
    hits, cut = torch.zeros(4, 6), 0
    for seed in range(1500):
        mixed = CutMix(alpha=1e6).mix(inputs, targets, {}, epoch=0, generator=generator(seed))
        if mixed.partner.tolist() == [1, 0]:
            cut += 1
            hits += mixed.inputs[0, 0]
    # Half sides int(4 sqrt(1/2)) // 2 = 1 and int(6 sqrt(1/2)) // 2 = 2: how many centres reach each row and column.
    expected = torch.outer(torch.tensor([2.0, 2.0, 2.0, 1.0]) / 4, torch.tensor([3.0, 4.0, 4.0, 4.0, 3.0, 2.0]) / 6)
    error = (expected * (1 - expected) / cut).sqrt()
    assert bool(((hits / cut - expected).abs() < 4 * error).all())


def test_applied_is_the_share_of_batches_that_are_cut():
    inputs = torch.rand(8, 1, 16, 16, generator=generator())
    targets = torch.eye(8)
    cut = 0
    for seed in range(600):
        some = CutMix(applied=0.3).mix(inputs, targets, {}, epoch=0, generator=generator(seed))
        every = CutMix(applied=1.0).mix(inputs, targets, {}, epoch=0, generator=generator(seed))
        if some.lam.item() == 1.0 and every.lam.item() != 1.0:
            assert torch.equal(some.inputs, inputs)
            assert torch.equal(some.soft_targets, targets)
        else:
            assert torch.equal(some.inputs, every.inputs)
            cut += 1
    assert cut / 600 == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / 600) ** 0.5 + 0.02)  # 2 %: boxes of no area


def test_boxes_of_their_own_against_a_loop_over_pixels():
    inputs = torch.rand(6, 2, 9, 12, generator=generator(7))
    targets = torch.eye(6)
    mixed = CutMix(per="sample").mix(inputs, targets, {}, epoch=0, generator=generator(1))
    assert len(mixed.mask.flatten(1).unique(dim=0)) > 3
    for i, (j, lam) in enumerate(zip(mixed.partner.tolist(), mixed.lam.tolist(), strict=True)):
        rows, columns = (mixed.mask[i, 0] == 0).nonzero(as_tuple=True)
        box = (rows.min(), rows.max(), columns.min(), columns.max()) if len(rows) else (0, -1, 0, -1)
        for y in range(9):
            for x in range(12):
                source = j if box[0] <= y <= box[1] and box[2] <= x <= box[3] else i
                assert torch.equal(mixed.inputs[i, :, y, x], inputs[source, :, y, x])
        assert lam == pytest.approx(1 - len(rows) / (9 * 12), abs=1e-6)
        torch.testing.assert_close(mixed.soft_targets[i], targets[i] * lam + targets[j] * (1 - lam))


def test_applied_is_the_share_of_examples_that_are_cut_on_their_own():
    mixed = CutMix(per="sample", applied=0.3).mix(
        torch.zeros(2_000, 1, 16, 16), torch.eye(2_000), {}, epoch=0, generator=generator()
    )
    every = CutMix(per="sample").mix(
        torch.zeros(2_000, 1, 16, 16), torch.eye(2_000), {}, epoch=0, generator=generator()
    )
    possible = every.lam < 1  # the smallest boxes have no area
    share = (mixed.lam[possible] < 1).double().mean().item()
    assert share == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / possible.sum().item()) ** 0.5)


def test_settings_without_cutting_are_plain_training():
    assert CutMix(alpha=0.0).canonical() == Erm()
    assert CutMix(applied=0.0).simplest() == Erm()
    assert CutMix(alpha=0.2).canonical() == CutMix(alpha=0.2)
    inputs, targets = torch.rand(6, 3, 9, 9, generator=generator()), torch.eye(6)
    for plain in (CutMix(alpha=0.0), CutMix(applied=0.0)):
        mixed = plain.mix(inputs, targets, {}, epoch=0, generator=generator())
        assert torch.equal(mixed.inputs, inputs)
        assert torch.equal(mixed.soft_targets, targets)


@pytest.mark.parametrize("bad", [{"alpha": -0.1}, {"applied": 1.1}, {"applied": -0.1}, {"alpha": float("nan")}])
def test_bad_settings_are_refused_by_name(bad):
    with pytest.raises(ValueError, match=f"^{next(iter(bad))}: got"):
        CutMix.parse(bad)
