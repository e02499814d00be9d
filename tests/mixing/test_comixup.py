"""Co-Mixup as a whole: against what the released code recorded, its draws, its gradients and odd images."""

import numpy as np
import pytest
import torch
from golden import cases
from torch import nn

from tune_mixup.loss import CrossEntropy, SoftmaxBce
from tune_mixup.mixing.comixup import MINOR_SHARE, CoMixup, draw_chances, put_together
from tune_mixup.mixing.confusion_partners import ConfusionPartners
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup

CPU = torch.device("cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(size=12, height=16, width=16, channels=3, seed=0):
    return torch.randn(size, channels, height, width, generator=generator(seed))


def peaked(size, height=16, width=16, seed=0):
    """Maps of which few places have most."""
    maps = torch.rand(size, 1, 5, 5, generator=generator(seed)) ** 4
    return nn.functional.interpolate(maps, (height, width), mode="bilinear")[:, 0]


def one_hot(size, num_classes=4):
    return torch.eye(num_classes)[torch.arange(size) % num_classes]


def assembled(mixer, inputs, saliency, seed=0, targets=None):
    targets = one_hot(len(inputs)) if targets is None else targets
    return mixer.assemble(inputs, targets, saliency, {}, generator=generator(seed))


def network(batch_norm=True):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        norm = nn.BatchNorm2d(4) if batch_norm else nn.Identity()
        return nn.Sequential(nn.Conv2d(3, 4, 3, 2), norm, nn.Tanh(), nn.Flatten(), nn.Linear(4 * 7 * 7, 4))


def test_images_and_targets_are_the_recorded_ones():
    for settings, arrays in cases("comixup_1", "comixup_2"):
        count = len(settings["part_sizes"])
        masks = [torch.tensor(arrays[f"mask_part{part}"]).double()[None] for part in range(count)]
        alike = [masks] if len({len(mask[0]) for mask in masks}) > 1 else [masks, [torch.cat(masks)]]
        for shown in alike:
            inputs = torch.tensor(arrays["images"]).float()
            targets = torch.eye(settings["K"])[torch.tensor(arrays["labels"]).long()]
            mixed = put_together(inputs, targets, shown)
            torch.testing.assert_close(mixed.inputs, torch.tensor(arrays["mixed"]).float(), atol=1e-3, rtol=1e-3)
            torch.testing.assert_close(mixed.soft_targets, torch.tensor(arrays["target"]), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("parts", "rest"), [(1, 0), (3, 0), (2, 2)])
@pytest.mark.parametrize("sides", [(8, 8), (6, 10)])
def test_batches_are_put_together_as_by_a_loop(parts, rest, sides):
    size, grid = 3, 2
    inputs = images(parts * size + rest, *sides, seed=3)
    targets = torch.rand(len(inputs), 4, generator=generator(1)).softmax(1)
    shown = []
    for count, of in ((parts, size), (1, rest)):
        if of:
            own = torch.eye(of, dtype=torch.float64)
            drawn = torch.randint(of, (2, count, of, grid, grid), generator=generator(of))
            shown.append((own[drawn[0]] + own[drawn[1]]) / 2)
    mixed = put_together(inputs, targets, shown)
    outputs = [(group, part, o) for group in shown for part in range(len(group)) for o in range(group.shape[1])]
    starts = [part * size for part in range(parts) for _ in range(size)] + [parts * size] * rest
    for row, ((group, part, o), start) in enumerate(zip(outputs, starts, strict=True)):
        image, share = torch.zeros_like(inputs[0]), torch.zeros(len(inputs))
        own = torch.zeros(sides)
        for y in range(sides[0]):
            for x in range(sides[1]):
                cell = group[part, o, y * grid // sides[0], x * grid // sides[1]].float()
                for i, weight in enumerate(cell):
                    image[:, y, x] += weight * inputs[start + i, :, y, x]
                    share[start + i] += weight / (sides[0] * sides[1])
                own[y, x] = cell[row - start]
        torch.testing.assert_close(mixed.inputs[row], image)
        torch.testing.assert_close(mixed.shares[row], share)
        torch.testing.assert_close(mixed.soft_targets[row], sum(w * t for w, t in zip(share, targets, strict=True)))
        torch.testing.assert_close(mixed.mask[row, 0], own)
        assert mixed.lam[row].item() == pytest.approx(share[row].item())
        others = [value for i, value in enumerate(share.tolist()) if i != row]
        assert share[mixed.partner[row]].item() == pytest.approx(max(others)) and mixed.partner[row] != row


@pytest.mark.parametrize(("size", "part_size"), [(12, 4), (13, 4), (14, 12), (3, 20), (9, 8)])
def test_examples_meet_within_their_part(size, part_size):
    mixed = assembled(CoMixup(part_size=part_size, beta=0.05), images(size), peaked(size))
    part = torch.arange(size) // part_size
    assert bool((mixed.shares[part[:, None] != part] == 0).all())
    assert bool(((mixed.shares > 0).sum(1) >= 2).any())
    alone = [row for row in range(size) if (part == part[row]).sum() == 1]
    assert all(torch.equal(mixed.inputs[row], images(size)[row]) for row in alone)


def test_several_images_are_mixed_and_labels_have_all_their_classes():
    mixed = assembled(CoMixup(), images(40), peaked(40), targets=torch.eye(40))
    many = (mixed.shares > 0).sum(1)
    assert many.max() >= 3 and many.float().mean() > 2
    assert torch.equal(mixed.soft_targets, mixed.shares)
    assert 0.3 < torch.minimum(mixed.lam, 1 - mixed.lam).mean() < 0.42
    assert CoMixup().strength() == MINOR_SHARE


def test_blocks_show_what_the_model_looks_at():
    """A model that sees one corner of each of two images: both outputs show both corners, and gradients say so."""
    inputs = images(2, 8, 8, 1)

    class Corners(nn.Module):
        def forward(self, pixels):
            seen = torch.stack([pixels[0, 0, :4, :4].sum(), pixels[1, 0, 4:, 4:].sum()])
            return seen[:, None] * torch.tensor([1.0, -1.0])

    mixer = CoMixup(grid=2, beta=0.1, eta=0.0, gamma=0.0)
    mixed = mixer.blend(Corners(), inputs, torch.eye(2), {}, epoch=0, generator=generator())
    for row in range(2):
        assert torch.equal(mixed.inputs[row, :, :4, :4], inputs[0, :, :4, :4])
        assert torch.equal(mixed.inputs[row, :, 4:, 4:], inputs[1, :, 4:, 4:])


@pytest.mark.parametrize("alpha", [0.3, 1.0, 5.0])
def test_chances_are_those_of_a_dirichlet(alpha):
    """Means 1 / M, variances (M - 1) / (M^2 (M alpha + 1)), covariances of the opposite sign over M - 1."""
    size, num = 4, 20_000
    drawn = draw_chances(alpha, (num, size), device=CPU, generator=generator())
    torch.testing.assert_close(drawn.sum(1), torch.ones(num, dtype=torch.float64))
    variance = (size - 1) / (size**2 * (size * alpha + 1))
    expected = variance * (np.eye(size) * size - 1) / (size - 1)
    np.testing.assert_allclose(drawn.mean(0), 1 / size, atol=5 * (variance / num) ** 0.5)
    np.testing.assert_allclose(np.cov(drawn.T.numpy()), expected, atol=0.06 * variance)
    live = torch.tensor(alpha, dtype=torch.float64)
    assert torch.equal(drawn, draw_chances(live, (num, size), device=CPU, generator=generator()))


def test_chances_are_finite_where_nearly_all_have_none():
    drawn = draw_chances(0.001, (200, 20), device=CPU, generator=generator())
    assert bool(drawn.isfinite().all()) and (drawn.amax(1) > 0.99).float().mean() > 0.8


def test_likely_images_are_shown_more():
    """Saliency is the same for all; eta decides."""
    flat = CoMixup(eta=5.0, beta=0.0, alpha=0.2)
    mixed = assembled(flat, images(20), torch.ones(20, 16, 16))
    most = mixed.shares.sum(0).sort(descending=True).values
    assert most[0] > 1.5 and most[-5:].sum() < 1.5


def test_every_neighbour_is_equally_likely():
    """With no rounds outputs show their own and one neighbour: on parts of three, either of the two others."""
    mixer, saliency = CoMixup(rounds=0, beta=0.0, eta=0.0, gamma=0.0, grid=2), torch.zeros(3, 16, 16)
    saliency[0, :8, :8] = saliency[1, :8, 8:] = saliency[2, 8:, :8] = 1.0
    seen = torch.stack([assembled(mixer, images(3), saliency, seed).shares for seed in range(200)])
    met = (seen > 0) & ~torch.eye(3, dtype=torch.bool)
    assert bool((met.sum(2) == 1).all())
    assert bool((abs(met.float().mean(0)[~torch.eye(3, dtype=torch.bool)] - 0.5) < 4 * 0.5 / 200**0.5).all())


def gradients(model):
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("loss", [CrossEntropy(), SoftmaxBce()])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_clean_images_are_trained_on_by_their_weight(loss, batch_norm):
    """Loss and gradients are those of both losses, summed; saliency is that of training mode, of the same pass."""
    inputs, targets, mixer = images(12), one_hot(12), CoMixup(clean_lam=0.7, beta=0.05)
    model = network(batch_norm).train()
    output = mixer.step(model, inputs, targets, {}, epoch=0, generator=generator(3), loss=loss)
    (2 * output.loss).backward()
    ours = gradients(model)

    other = network(batch_norm).train()
    pixels = inputs.clone().requires_grad_()
    clean = loss(other(pixels), targets)
    clean.backward()
    saliency = pixels.grad.square().mean(1).sqrt()
    mixed = assembled(mixer, inputs, saliency, 3, targets)
    assert (mixed.shares > 0).sum(1).float().mean() > 1.5
    of_clean = gradients(other)
    other.zero_grad()
    logits = other(mixed.inputs)
    of_mixed = loss(logits, mixed.soft_targets)
    of_mixed.backward()
    torch.testing.assert_close(output.loss, of_mixed + 0.7 * clean)
    torch.testing.assert_close(output.logits, logits)
    torch.testing.assert_close(output.soft_targets, mixed.soft_targets)
    for name, gradient in gradients(other).items():
        torch.testing.assert_close(ours[name], 2 * (gradient + 0.7 * of_clean[name]), atol=1e-6, rtol=1e-4)
    for (name, one), two in zip(model.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(one, two, msg=name)


def test_frozen_weights_stay_without_gradients():
    model = network().train()
    model[0].weight.requires_grad_(False)
    mixer = CoMixup(clean_lam=1.0)
    output = mixer.step(model, images(8), one_hot(8), {}, epoch=0, generator=generator(), loss=CrossEntropy())
    output.loss.backward()
    assert model[0].weight.grad is None and model[4].weight.grad is not None


def test_weights_and_statistics_survive_the_extra_pass():
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    CoMixup().blend(model, images(8), one_hot(8), {}, epoch=0, generator=generator())
    assert model.training and all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_mixed_images_carry_no_gradient_to_what_the_model_saw():
    """The mask is a constant: the loss of the mixed batch reaches weights by its own pass alone."""
    mixed = CoMixup().blend(network(), images(8), one_hot(8), {}, epoch=0, generator=generator())
    assert not any(t.requires_grad for t in (mixed.inputs, mixed.soft_targets, mixed.lam, mixed.mask, mixed.shares))


@pytest.mark.slow
@pytest.mark.parametrize("clean_lam", [0.0, 1.0])
def test_compiled_networks_train_alike(clean_lam):
    """A compiled network's backward pass can be run but once."""
    losses, found = [], []
    for compiles in (False, True):
        model = network().train()
        called = torch.compile(model, backend="aot_eager") if compiles else model
        mixer = CoMixup(clean_lam=clean_lam)
        output = mixer.step(called, images(8), one_hot(8), {}, epoch=0, generator=generator(), loss=CrossEntropy())
        output.loss.backward()
        losses.append(output.loss.detach())
        found.append(gradients(model))
    torch.testing.assert_close(*losses)
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("shape", [(16, 16), (8, 24), (12, 4), (6, 10), (28, 28)])
@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("num_classes", [1, 4])
def test_odd_batches_are_mixed(shape, size, num_classes):
    mixer = CoMixup(part_size=3, clean_lam=0.0)
    mixer.check_data(height=shape[0], width=shape[1], num_classes=num_classes)
    mixed = assembled(mixer, images(size, *shape), peaked(size, *shape), targets=one_hot(size, num_classes))
    assert mixed.inputs.shape == (size, 3, *shape) and bool(mixed.inputs.isfinite().all())
    torch.testing.assert_close(mixed.soft_targets.sum(1), torch.ones(size))
    torch.testing.assert_close(mixed.mask.mean((1, 2, 3)), mixed.lam)


def test_the_grid_is_the_published_one_or_the_next_that_fits():
    for shape, steps in (((32, 32), 8), ((28, 28), 7), ((9, 9), 3), ((6, 10), None)):
        mixed = assembled(CoMixup(beta=0.0), images(8, *shape), peaked(8, *shape))
        for side, length in ((2, shape[0]), (3, shape[1])):
            changes = (mixed.mask.diff(dim=side) != 0).movedim(side, 0).flatten(1).any(1).nonzero().flatten() + 1
            step = steps or length // 2
            assert changes.tolist() == list(range(step, length, step))


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({}, (7, 5), "a grid of 2 x 2 cells does not divide images of 7 x 5 pixels, and it must; crop or pad"),
        ({"grid": 8}, (28, 28), "a grid of 8 x 8 .* set mixing.grid to one of 2, 4, 7, 14, 28$"),
        ({"grid": 4}, (8, 6), "a grid of 4 x 4 .* set mixing.grid to one of 2$"),
    ],
)
def test_images_that_do_not_fit_are_refused_in_one_line(settings, shape, message):
    with pytest.raises(ValueError, match=f"^comixup: {message}") as error:
        CoMixup(**settings).check_data(height=shape[0], width=shape[1], num_classes=3)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"part_size": 1}, "part_size: got 1"),
        ({"part_size": 101}, "part_size: got 101"),
        ({"grid": 1}, "grid: got 1"),
        ({"threshold": "none"}, "threshold: got 'none'"),
        ({"clean_lam": -1.0}, "clean_lam: got -1"),
        ({"omega": 1.5}, "omega: got 1.5"),
        ({"rounds": -1}, "rounds: got -1"),
        ({"partners": {"name": "random"}}, "partners"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        CoMixup.parse(settings)


def test_settings_without_effect_have_one_identity():
    assert CoMixup(alpha=0.0).canonical() == CoMixup(alpha=0.0, clean_lam=1.0).canonical() == Erm()
    apart = CoMixup(gamma=0.0, tau=0.3, threshold="soft", omega=0.2)
    assert apart.canonical() == CoMixup(gamma=0.0).canonical()
    for settings in ({"tau": 0.3}, {"threshold": "soft"}, {"omega": 0.2}, {"clean_lam": 0.5}, {"alpha": 0.3}):
        assert CoMixup(**settings).canonical() == CoMixup(**settings) != CoMixup()
    ours, plain = (assembled(mixer, images(8), peaked(8)) for mixer in (apart, CoMixup(gamma=0.0)))
    assert torch.equal(ours.inputs, plain.inputs)


def test_a_mixture_takes_it_without_clean_images_alone():
    with pytest.raises(
        ValueError, match=r"members.comixup.clean_lam: got 0.5, must be 0 in a mixture, which trains on"
    ):
        Mixture.parse({"members": {"comixup": {"clean_lam": 0.5}, "mixup": {}}})
    assert Mixture.parse({"members": {"comixup": {}, "mixup": {}}}).members["comixup"] == CoMixup()


@pytest.mark.parametrize("per", ["batch", "sample"])
def test_a_mixture_says_how_much_of_each_example_a_row_has(per):
    """Also of the rows that another member mixed, two by two, or one with itself."""
    mixture = Mixture(members={"comixup": CoMixup(beta=0.05), "mixup": Mixup(per="sample")}, per=per)
    inputs, seen = images(9), set()
    for seed in range(12):
        mixed = mixture.blend(nine(), inputs, torch.eye(9), {}, epoch=0, generator=generator(seed))
        torch.testing.assert_close(mixed.shares, mixed.soft_targets)
        seen |= set((mixed.shares > 0).sum(1).tolist())
    assert seen >= {1, 2, 3}


def nine():
    """A network of nine classes that looks at few pixels of each image."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        linear = nn.Linear(3 * 16 * 16, 9)
        linear.weight.data.pow_(7)
        return nn.Sequential(nn.Flatten(), linear)


def test_confusions_of_many_classes_are_counted_as_by_a_loop():
    """A row without any of its own classes is added to the row of each of them, by its share."""
    rule = ConfusionPartners(pairing="independent", gamma=1.0)
    mixture = Mixture(members={"comixup": CoMixup(beta=0.05), "cutmix": CutMix(partners=rule)})
    inputs, classes = images(9), torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 3])
    targets = torch.eye(9)[classes]
    state = mixture.init(9, device=CPU, generator=generator())
    most = 0
    for seed in range(6):
        mixed = mixture.blend(nine(), inputs, targets, state, epoch=0, generator=generator(seed))
        logits = torch.randn(9, 9, generator=generator(seed))
        counts = mixture.observe(state, mixed, targets, logits)["cutmix.counts"]
        expected = np.zeros((9, 9))
        for row, softmax in enumerate(logits.double().softmax(1).numpy()):
            blend = {c: sum(mixed.shares[row, i].item() for i in range(9) if classes[i] == c) for c in range(9)}
            most = max(most, sum(share > 0 for share in blend.values()))
            for c, share in blend.items():
                for wrong in range(9):
                    expected[c, wrong] += share * softmax[wrong] * (blend[wrong] == 0)
        np.testing.assert_allclose(counts, expected, atol=1e-7)
    assert most >= 3
