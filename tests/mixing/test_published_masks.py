"""Masks and pasted pixels of methods whose released code was recorded (`golden/*.npz`), from the recorded draws."""

import numpy as np
import pytest
import torch
from golden import cases

from tune_mixup.mixing.boxes import box_around, box_of_scale, inside, share_outside
from tune_mixup.mixing.fmix import top_share
from tune_mixup.mixing.grid import lay_grid, wrapped_holes
from tune_mixup.mixing.masks import mean_weight, mix_by_mask
from tune_mixup.mixing.smooth_noise import published_image
from tune_mixup.mixing.smoothmix import gaussian
from tune_mixup.mixing.squeeze import squeeze_into


def mixed(recorded, mask, *, other=None) -> np.ndarray:
    """The recorded images and their partners' (or `other`) by a mask of the own image."""
    images, partner = torch.tensor(recorded["images"]).float(), torch.tensor(recorded["perm"]).long()
    other = images[partner] if other is None else other
    targets = torch.eye(len(images))
    return mix_by_mask(images, targets, mask=mask, lam=mean_weight(mask), partner=partner, other=other).inputs.numpy()


def test_cutmix_boxes_are_the_recorded_ones():
    for settings, recorded in cases("cutmix", part="boxes"):
        columns = dict(zip(settings["columns"], torch.tensor(recorded["table"]).T, strict=True))
        assert len(recorded["table"]) == 400
        for height, width in {(int(h), int(w)) for h, w in recorded["table"][:, :2]}:
            rows = (columns["H"] == height) & (columns["W"] == width)
            table = {name: values[rows] for name, values in columns.items()}
            box = box_around(
                table["centre_dim2"].long(), table["centre_dim3"].long(), table["lam"], height=height, width=width
            )
            for edge, name in zip(box, ("start_dim2", "end_dim2", "start_dim3", "end_dim3"), strict=True):
                assert torch.equal(edge, table[name].long()), name
            share = share_outside(box, height=height, width=width)
            torch.testing.assert_close(share.double(), table["lam_corrected"], atol=1e-7, rtol=0)


def test_cutmix_pastes_the_recorded_pixels():
    for settings, recorded in cases("cutmix", part="images"):
        height, width = recorded["partner_mask"].shape
        row, column = (torch.tensor(place) for place in settings["centre"])
        lam = torch.tensor(settings["lam"], dtype=torch.float64)
        box = box_around(row, column, lam, height=height, width=width)
        pasted = inside(box, height=height, width=width)
        assert np.array_equal(pasted.numpy(), recorded["partner_mask"].astype(bool))
        assert np.array_equal(mixed(recorded, (~pasted).float()), recorded["mixed"].astype(np.float32))
        assert share_outside(box, height=height, width=width).item() == pytest.approx(settings["lam_corrected"])


def test_fmix_official_makes_the_recorded_masks():
    """lam is the mask's mean here, and the drawn one there."""
    for settings, recorded in cases("fmix"):
        size = {"height": settings["H"], "width": settings["W"]}
        image = published_image(torch.tensor(recorded["noise"][0]).float(), settings["decay_power"], **size)
        scaled = (image - image.min()) / (image.max() - image.min())
        np.testing.assert_allclose(scaled.numpy(), recorded["low_freq_image"][0], atol=1e-5)
        mask, lam = top_share(
            image,
            torch.tensor(settings["lam_drawn"], dtype=torch.float64),
            torch.tensor(settings["round_up"]),
            max_soft=settings["max_soft"],
        )
        np.testing.assert_allclose(mask.numpy(), recorded["mask"][0], atol=1e-6)
        assert lam.item() == pytest.approx(float(recorded["mask_mean"]), abs=1e-6)
        assert abs(lam.item() - settings["lam_returned"]) < 1 / settings["H"] / settings["W"]
        np.testing.assert_allclose(mixed(recorded, mask), recorded["mixed"], atol=2e-3)


def test_gridmix_openmixup_punches_the_recorded_holes():
    (settings, recorded), *_ = cases("gridmix", part="table")
    compared = larger = 0
    for row, pasted in zip(recorded["table"], recorded["partner_mask"], strict=True):
        drawn = dict(zip(settings["columns"], row, strict=True))
        size = int(drawn["size"])
        area, aspect, across, down, lam = (
            torch.tensor(drawn[name], dtype=torch.float64)
            for name in ("cut_area_ratio", "cut_aspect_ratio", "u_x", "u_y", "lam_drawn")
        )
        grid = lay_grid(
            lam,
            torch.tensor(int(drawn["n_holes"])),
            area,
            aspect,
            down,
            across,
            hole_aspect=settings["hole_aspect_ratio"],
            height=size,
            width=size,
            cut_to_image=False,
        )
        assert (grid.width.item(), grid.height.item()) == (drawn["cut_w"], drawn["cut_h"])
        in_hole = wrapped_holes(grid, height=size, width=size)
        assert np.array_equal(in_hole.numpy(), pasted[:size, :size].astype(bool))
        assert mean_weight((~in_hole).float()).item() == pytest.approx(drawn["lam_returned"], abs=1e-6)
        compared, larger = compared + 1, larger + bool(drawn["crop_exceeds_image"])
    assert (compared, larger) == (40, 19)
    for settings, recorded in cases("gridmix", part="images"):
        (_, table), *_ = cases("gridmix", part="table")
        own = 1 - torch.tensor(table["partner_mask"][settings["row"]]).float()
        assert np.array_equal(mixed(recorded, own), recorded["mixed"].astype(np.float32))


def test_smoothmix_openmixup_fades_as_recorded():
    for settings, recorded in cases("smoothmix"):
        share = torch.tensor(settings["draw_sigma"] / 4 + 0.25)
        row, column = torch.tensor(settings["draw_h"]), torch.tensor(settings["draw_w"])
        middle = gaussian(row, column, share, height=settings["S"], width=settings["S"])
        np.testing.assert_allclose(middle.numpy(), recorded["kernel_on_partner"], atol=1e-6)
        np.testing.assert_allclose(mixed(recorded, 1 - middle), recorded["mixed"], atol=2e-6)
        returned = float(recorded["lam_returned_for_own_label"])
        assert mean_weight(middle).item() == pytest.approx(returned, abs=1e-6)


def test_resizemix_pastes_the_recorded_pixels():
    """The recorded mask has rows and columns swapped."""
    for settings, recorded in cases("resizemix"):
        height, width = recorded["images"].shape[2:]
        tau = torch.tensor(settings["tau"], dtype=torch.float64)
        box = box_of_scale(torch.tensor(settings["cy"]), torch.tensor(settings["cx"]), tau, height=height, width=width)
        if "raises" in settings:
            assert share_outside(box, height=height, width=width).item() == 1  # a box of no pixels
            continue
        images, partner = torch.tensor(recorded["images"]).float(), torch.tensor(recorded["perm"]).long()
        pasted = inside(box, height=height, width=width)
        small = squeeze_into(images[partner], box, settings["mode"])
        got = mixed(recorded, (~pasted).float(), other=small)
        np.testing.assert_allclose(got, recorded["mixed"], atol=0 if settings["mode"] == "nearest" else 2e-3)
        assert np.array_equal(pasted.numpy().T, recorded["returned_mask"].astype(bool))
        assert share_outside(box, height=height, width=width).item() == pytest.approx(settings["lam"])
