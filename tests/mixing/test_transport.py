"""Moved patches against what the released code recorded, against a loop over bids, and where they must stay."""

import numpy as np
import pytest
import torch
from golden import cases

from tune_mixup.mixing.transport import NOBODY, move_patches, transport_plan

BOTH = pytest.mark.parametrize("published", [False, True])


def plan_by_hand(saliency, visible, eps, published):
    """One image [R, C], bid by bid; NOBODY where no patch moves to."""
    rows, columns = saliency.shape
    cells = [(r, c) for r in range(rows) for c in range(columns)]
    high, wide = (rows - 1) ** 2, (columns - 1) ** 2
    cost = np.empty((len(cells), len(cells)))
    for patch, (a, b) in enumerate(cells):
        for place, (c, d) in enumerate(cells):
            apart = ((a - c) ** 2 * wide + (b - d) ** 2 * high) / (high * wide)
            cost[patch, place] = eps * apart - saliency[a, b] * visible[c, d]
    for _ in range(max(rows, columns)):
        winners = {}
        bids = [int(row.argmin()) for row in cost]
        for patch, place in enumerate(bids):
            rival = winners.get(place)
            if (not published or cost[patch, place] < 0) and (rival is None or cost[patch, place] < cost[rival, place]):
                winners[place] = patch
        for patch, place in enumerate(bids):
            if winners.get(place) != patch:
                cost[patch, place] += 1.0 if published else 1e4
    return [winners.get(place, NOBODY) for place in range(len(cells))]


def draws(size, rows, columns, seed=0, hidden=0.5):
    draw = np.random.default_rng(seed)
    saliency = draw.uniform(0, 1, (size, rows, columns)) ** 3
    share = (saliency / saliency.sum((1, 2), keepdims=True)).astype(np.float32)
    return share, draw.uniform(0, 1, (size, rows, columns)) > hidden


def planned(saliency, visible, eps, published, extent=None):
    rows, columns = extent or saliency.shape[1:]
    counts = (torch.full((len(saliency),), number) for number in (rows, columns))
    return transport_plan(torch.tensor(saliency), torch.tensor(visible), *counts, eps=eps, published=published)


@BOTH
@pytest.mark.parametrize("shape", [(4, 4), (2, 2), (3, 5), (6, 2)])
@pytest.mark.parametrize("eps", [0.01, 0.1, 0.8, 3.0])
def test_plans_against_a_loop_over_bids(published, shape, eps):
    saliency, visible = draws(8, *shape)
    found = planned(saliency, visible, eps, published)
    for index in range(8):
        assert found[index].tolist() == plan_by_hand(saliency[index], visible[index], eps, published)


def test_plans_move_each_patch_once_and_salient_ones_into_sight():
    saliency, visible = draws(6, 5, 5, seed=1)
    plan = planned(saliency, visible, 0.05, published=False)
    shown = {False: 0.0, True: 0.0}
    for row, seen, share in zip(plan.tolist(), visible.reshape(6, -1), saliency.reshape(6, -1), strict=True):
        moved = [patch for patch in row if patch != NOBODY]
        assert len(set(moved)) == len(moved)
        shown[False] += share[seen].sum()
        shown[True] += sum(share[patch] for place, patch in enumerate(row) if seen[place] and patch != NOBODY)
    assert shown[True] > 1.2 * shown[False]


@BOTH
def test_nothing_moves_where_all_is_visible_or_moves_are_too_dear(published):
    saliency, visible = draws(5, 4, 6, seed=2)
    stay = torch.arange(24).expand(5, 24)
    assert torch.equal(planned(saliency, np.ones_like(visible), 0.01, published), stay)
    dear = planned(saliency, visible, 1e3, published)
    assert torch.equal(dear[torch.tensor(visible).flatten(1)], stay[torch.tensor(visible).flatten(1)])
    unseen = dear[torch.tensor(~visible).flatten(1)]
    assert bool((unseen == NOBODY).all()) == published


@BOTH
def test_images_with_fewer_patches_move_them_as_they_would_alone(published):
    """Patches beyond an image neither bid nor are bid for, and rounds beyond its own change nothing."""
    saliency, visible = draws(7, 3, 4, seed=3)
    wide, seen = np.zeros((7, 6, 8), dtype=np.float32), np.ones((7, 6, 8), dtype=bool)
    wide[:, :3, :4], seen[:, :3, :4] = saliency, visible
    for eps in (0.02, 0.5):
        alone = planned(saliency, visible, eps, published).view(7, 3, 4)
        inside = planned(wide, seen, eps, published, extent=(3, 4)).view(7, 6, 8)
        expected = torch.where(alone == NOBODY, NOBODY, alone // 4 * 8 + alone % 4)
        assert torch.equal(inside[:, :3, :4], expected)
        inside[:, :3, :4] = NOBODY
        assert bool((inside == NOBODY).all())


@BOTH
def test_recorded_plans_where_the_mask_shows_them(published):
    """Both variants: in what was recorded no visible place was left blank, so the fault does not show."""
    seen = 0
    for settings, arrays in cases("puzzlemix_1", "puzzlemix_2", transport=True):
        mask = arrays["transport_mask"][:, 0]
        for whose, visible in (("own", mask > 0), ("partner", mask < 1)):
            plan = planned(arrays[f"transport_sal_{whose}"], visible, settings["t_eps"], published)
            if (name := f"transport_plan_{whose}") in arrays:
                winners = arrays[name]
                expected = np.where(winners.any(1), winners.argmax(1), NOBODY)
            else:
                expected = arrays[f"transport_source_{whose}"]
            shown = visible.reshape(expected.shape)
            np.testing.assert_array_equal(plan.numpy()[shown], expected[shown])
            seen += int((expected[shown] != np.nonzero(shown)[1]).sum())
    assert seen > 10, "some patches moved"


@BOTH
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_pixels_move_with_their_patches(published, layout):
    """Patches of 2 x 3 and of 4 x 3 pixels in one batch, against a loop over pixels."""
    made = torch.Generator().manual_seed(0)
    images = torch.randn(5, 2, 8, 6, generator=made).contiguous(memory_format=layout)
    chosen, heights, widths = torch.tensor([4, 0, 2]), torch.tensor([2, 4, 2]), torch.tensor([3, 3, 3])
    plan = torch.tensor([[7, 6, 5, 4, 3, 2, NOBODY, 0], [2, NOBODY, 0, 3, -1, -1, -1, -1], [0, 1, 2, 3, 4, 5, 6, 7]])
    moved = move_patches(images, chosen, plan, heights, widths, num_columns=2, published=published)
    assert moved.is_contiguous(memory_format=layout)
    for row in range(3):
        high, wide = int(heights[row]), int(widths[row])
        for y in range(8):
            for x in range(6):
                place = y // high * 2 + x // wide
                source = int(plan[row, place])
                if source == NOBODY and published:
                    assert moved[row, :, y, x].tolist() == [0, 0]
                    continue
                source = place if source == NOBODY else source
                top, left = source // 2 * high, source % 2 * wide
                assert torch.equal(moved[row, :, y, x], images[chosen[row], :, top + y % high, left + x % wide])
