"""AttentiveMix: against recorded batches of openmixup, and a loop over cells and pixels."""

import math

import pytest
import torch
from golden import case
from torch import nn

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing.attentivemix import AttentiveMix, enlarged, top_cells
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.masks import mean_weight, mix_by_mask
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.teachers import EmaTeacher, Teacher
from tune_mixup.testing.batches import linear

K = 4


def made(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Given(Teacher):
    """Looks where the images' first channel, made smaller, says."""

    cell: int = 4

    def follow(self, model, state):
        return state

    def attention(self, model, images, state):
        return torch.nn.functional.max_pool2d(images[:, :1], self.cell, ceil_mode=True)[:, 0]


def batch(size=5, height=10, width=14):
    inputs = torch.randn(size, 2, height, width, generator=made(1))
    return inputs, torch.eye(K)[torch.randint(K, (size,), generator=made(2))]


def blend(mixer, seed=0, data=None):
    inputs, targets = data or batch()
    return mixer.blend(nn.Identity(), inputs, targets, {}, epoch=0, generator=made(seed))


@pytest.mark.parametrize("number", range(7))
def test_batches_are_the_recorded_ones(number):
    settings, arrays = case(number, "attentivemix")
    attention = arrays["teacher_features"].mean(1)
    torch.testing.assert_close(attention, arrays["attention"])
    drawn = settings["lam_drawn"] if settings["top_k"] is None else (settings["top_k"] + 0.5) / attention[0].numel()
    cells = top_cells(attention, torch.tensor(drawn))
    assert torch.equal(cells, arrays["mask_grid"].bool())
    assert torch.equal(top_cells(attention, torch.full((len(cells),), drawn)), cells)
    mask = enlarged(cells, height=settings["W"], width=settings["W"]).float()
    assert torch.equal(mask[:, None], arrays["mask"].float())
    lam, images, partner = mean_weight(mask), arrays["images"].float(), arrays["perm"].long()
    torch.testing.assert_close(lam, arrays["mask_mean_per_sample"], rtol=1e-6, atol=0)
    assert lam[0].item() == pytest.approx(arrays["lam"].item(), abs=1e-7)
    one_hot = torch.eye(6)[arrays["labels"].long()]
    mixed = mix_by_mask(images, one_hot, mask=mask, lam=lam, partner=partner, other=images[partner])
    assert torch.equal(mixed.inputs, arrays["mixed"].float())


@pytest.mark.parametrize("variant", ["intended", "published"])
@pytest.mark.parametrize("per", ["batch", "sample"])
def test_against_a_loop_over_cells_and_pixels(per, variant):
    inputs, targets = batch()
    mixer = AttentiveMix(per=per, variant=variant, teacher=Given(), alpha=1.0)
    attention = mixer.teacher.attention(nn.Identity(), inputs, {})
    assert attention.shape == (5, 3, 4)
    drawn = Mixup(per=per, alpha=1.0).mix(inputs, targets, {}, epoch=0, generator=made(3)).lam.expand(5).tolist()
    mixed = blend(mixer, 3)
    shares = []
    for i, j in enumerate(mixed.partner.tolist()):
        count = min(max(math.floor(12 * drawn[i]), 1), 12)
        order = sorted((-attention[i, r, c].item(), r, c) for r in range(3) for c in range(4))
        stay = {(r, c) for _, r, c in order[:count]}
        kept = 0
        for y in range(10):
            for x in range(14):
                own = (y * 3 // 10, x * 4 // 14) in stay
                kept += own
                assert torch.equal(mixed.inputs[i, :, y, x], inputs[i if own else j, :, y, x])
        shares.append(kept / 140)
    for i, j in enumerate(mixed.partner.tolist()):
        lam = shares[0 if variant == "published" else i]
        assert mixed.lam.expand(5)[i].item() == pytest.approx(lam, abs=1e-6)
        torch.testing.assert_close(mixed.soft_targets[i], lam * targets[i] + (1 - lam) * targets[j])
    assert per == "batch" or len(set(shares)) > 1


def test_one_cell_at_least_stays_and_all_at_most():
    attention = torch.randn(3, 2, 5, generator=made(4))
    for drawn, count in ((0.0, 1), (0.0999, 1), (0.2, 2), (0.999, 9), (1.0, 10)):
        assert top_cells(attention, torch.tensor(drawn)).sum((1, 2)).tolist() == [count] * 3
    equal = top_cells(torch.zeros(1, 2, 3), torch.tensor(0.5))
    assert equal.flatten().tolist() == [True] * 3 + [False] * 3


def test_without_mixing_it_is_plain_training():
    assert AttentiveMix(alpha=0.0).canonical() == Erm()
    inputs, targets = batch()
    mixed = blend(AttentiveMix(alpha=0.0, teacher=Given()))
    assert torch.equal(mixed.inputs, inputs) and torch.equal(mixed.soft_targets, targets)


@pytest.mark.parametrize("size", [1, 3])
def test_a_batch_of_one_and_of_one_class_stays_what_it_is_labelled(size):
    inputs, targets = batch(size)[0], torch.eye(K)[torch.zeros(size, dtype=torch.int64)]
    mixed = blend(AttentiveMix(teacher=Given()), data=(inputs, targets))
    torch.testing.assert_close(mixed.soft_targets, targets)
    assert size > 1 or torch.equal(mixed.inputs, inputs)


def test_as_a_member_it_follows_in_every_step():
    """Also in those that another member mixes."""
    mixture = Mixture(members={"attentivemix": AttentiveMix(teacher=EmaTeacher(momentum=0.75)), "mixup": Mixup()})
    inputs, targets = batch()
    model = linear(inputs[0].numel(), K)
    state = mixture.follow(model, {})
    assert set(state) == {"attentivemix.teacher"}
    before = state["attentivemix.teacher"]
    with torch.no_grad():
        model.head.bias.add_(4.0)
    for seed in range(3):
        output = mixture.step(model, inputs, targets, state, epoch=0, generator=made(seed), loss=CrossEntropy())
        change = output.state["attentivemix.teacher"] - before
        torch.testing.assert_close(change.sum(), torch.tensor(4.0 * 0.25 * K), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"teacher": {"name": "ema", "momentum": 1.0}}, "teacher.momentum: got 1.0"),
        ({"teacher": {"name": "ema", "layer": 0}}, "teacher.layer: got 0"),
        ({"teacher": {"name": "emma"}}, "teacher.name: got 'emma'"),
        ({"teacher": {"name": "tune_mixup.training.teacher:Trained", "folder": "out"}}, "teacher.folder: got 'out'"),
        ({"variant": "official"}, "variant: got 'official'"),
    ],
    ids=str,
)
def test_bad_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        AttentiveMix.parse(settings)
