import mask_reference as reference
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.fmix import FMix, top_share
from tune_mixup.mixing.smooth_noise import noise_size, published_image, smooth_image

IMAGES = {"intended": smooth_image, "official": published_image}
SIZES = [(32, 32), (8, 6), (7, 5), (5, 12), (2, 9), (3, 64)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(height, width, *, many=(), seed=0, dtype=torch.float64):
    return torch.randn((*many, *noise_size(height, width)), generator=generator(seed), dtype=dtype)


def mix(mixer, inputs, seed=0):
    return mixer.mix(inputs, torch.eye(len(inputs)), {}, epoch=0, generator=generator(seed))


@pytest.mark.parametrize("variant", IMAGES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("decay", [0.0, 1.5, 3.0])
def test_images_against_numpy(variant, size, decay):
    drawn = noise(*size, seed=3)
    expected = reference.fmix_image(drawn.numpy(), decay, *size, variant)
    got = IMAGES[variant](drawn, decay, height=size[0], width=size[1])
    # Only the order of pixels counts, so ours leaves out the factor max(H, W) ** decay.
    np.testing.assert_allclose(got.numpy() * max(size) ** decay, expected, rtol=1e-9, atol=1e-9 * abs(expected).max())


@pytest.mark.parametrize("variant", IMAGES)
def test_many_images_at_once_are_each_what_they_are_alone(variant):
    drawn = noise(9, 7, many=(4,))
    together = IMAGES[variant](drawn, 3.0, height=9, width=7)
    for i in range(4):
        torch.testing.assert_close(together[i], IMAGES[variant](drawn[i], 3.0, height=9, width=7))


def spectrum(variant, size, decay=3.0):
    """The mean power of each frequency of many images: [H, W], frequencies as NumPy's fft orders them."""
    images = IMAGES[variant](noise(*size, many=(400,)), decay, height=size[0], width=size[1])
    return (np.abs(np.fft.fft2(images.numpy())) ** 2).mean(0)


def test_the_variants_differ_in_the_frequencies_they_have():
    """Official: horizontal frequencies 0 and +-1 only; intended: the whole plane.

    The official ones tilt one way, too: horizontal frequency 1 meets vertical ones from 0 up, and -1 their negatives.
    """
    official = spectrum("official", (32, 32))
    present = official > 1e-9 * official.max()
    assert np.flatnonzero(present.any(0)).tolist() == [0, 1, 31]
    assert present[:, 0].all()
    assert np.flatnonzero(present[:, 1]).tolist() == list(range(17))
    assert np.flatnonzero(present[:, 31]).tolist() == [0, *range(16, 32)]
    intended = spectrum("intended", (32, 32))
    assert (intended > 1e-9 * intended.max()).all()


@pytest.mark.parametrize(("size", "decay"), [((32, 32), 3.0), ((16, 24), 2.0), ((9, 15), 1.5)])
def test_power_falls_with_the_frequency_alike_in_all_directions(size, decay):
    """E|X_f|^2 = 2 f^(-2 decay), above the lowest frequency, off the columns that a real image makes symmetric."""
    power = spectrum("intended", size, decay) * max(size) ** (2 * decay)
    for i, down in enumerate(np.fft.fftfreq(size[0])):
        for j in range(1, (size[1] + 1) // 2):
            frequency = np.hypot(down, j / size[1])
            assert power[i, j] * max(frequency, 1 / max(size)) ** (2 * decay) == pytest.approx(2, rel=0.3)


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_top_share_against_one_pixel_after_the_other(data):
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    lam = data.draw(st.floats(0, 1, width=32))
    round_up, max_soft = data.draw(st.booleans()), data.draw(st.sampled_from([0.0, 0.05, 0.2, 0.5]))
    image = torch.randn(height, width, generator=generator(data.draw(st.integers(0, 99))))
    mask, mean = top_share(image, torch.tensor(lam), torch.tensor(round_up), max_soft=max_soft)
    expected = reference.top_share(image.numpy(), lam, round_up, max_soft)
    np.testing.assert_allclose(mask.numpy(), expected, atol=1e-6)
    assert mean.item() == pytest.approx(expected.mean(), abs=1e-6)
    assert abs(mean.item() - lam) < 1 / (height * width) + 1e-7
    if max_soft == 0:
        assert set(mask.unique().tolist()) <= {0.0, 1.0}
        assert mask.sum().item() == round(mean.item() * height * width)


def test_equal_pixels_are_counted_one_by_one():
    mask, mean = top_share(torch.zeros(4, 4), torch.tensor(0.375), torch.tensor(False), max_soft=0.0)
    assert mask.flatten().tolist() == [1.0] * 6 + [0.0] * 10
    assert mean.item() == 0.375


@pytest.mark.parametrize("variant", IMAGES)
@pytest.mark.parametrize("per", ["batch", "sample"])
@pytest.mark.parametrize("seed", range(3))
def test_mix_against_a_loop_over_pixels(variant, per, seed):
    inputs = torch.rand(5, 2, 9, 12, generator=generator(50 + seed))
    mixed = mix(FMix(variant=variant, per=per, decay=2.0), inputs, seed)
    masks = mixed.mask.expand(5, 1, 9, 12)
    for i, j in enumerate(mixed.partner.tolist()):
        kept = 0
        for y in range(9):
            for x in range(12):
                own = bool(masks[i, 0, y, x])
                kept += own
                assert torch.equal(mixed.inputs[i, :, y, x], inputs[i if own else j, :, y, x])
        lam = mixed.lam.expand(5)[i].item()
        assert lam == pytest.approx(kept / (9 * 12), abs=1e-6)
        torch.testing.assert_close(mixed.soft_targets[i], torch.eye(5)[i] * lam + torch.eye(5)[j] * (1 - lam))
    assert mixed.lam.shape == (() if per == "batch" else (5,))
    assert len(masks.flatten(1).unique(dim=0)) == (1 if per == "batch" else 5)


def test_soft_edges_blend():
    inputs = torch.rand(4, 1, 16, 16, generator=generator())
    mixed = mix(FMix(alpha=8.0, max_soft=0.2), inputs)
    between = (mixed.mask > 0) & (mixed.mask < 1)
    assert between.double().mean().item() == pytest.approx(0.4, abs=0.02)
    torch.testing.assert_close(mixed.inputs, mixed.mask * inputs + (1 - mixed.mask) * inputs[mixed.partner])


def components(mask):
    """How many connected regions of equal pixels there are, side by side or one above the other."""
    left = {(y, x) for y in range(mask.shape[0]) for x in range(mask.shape[1])}
    count = 0
    while left:
        count += 1
        reached = [left.pop()]
        while reached:
            y, x = reached.pop()
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left and mask[near] == mask[y, x]:
                    left.remove(near)
                    reached.append(near)
    return count


def test_decay_turns_white_noise_into_a_few_blobs():
    inputs = torch.zeros(12, 1, 24, 24)
    means = []
    for decay in (0.0, 3.0, 5.0):
        mask = mix(FMix(alpha=100.0, decay=decay, per="sample"), inputs).mask[:, 0].numpy()
        means.append(np.mean([components(one) for one in mask]))
    assert means[0] > 60
    assert means[1] < 8
    assert means[2] < 4


@pytest.mark.parametrize("decay", [0.0, 40.0, 1e6])
def test_no_decay_overflows(decay):
    for image in IMAGES.values():
        assert bool(image(noise(160, 101, dtype=torch.float32), decay, height=160, width=101).isfinite().all())


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("variant", IMAGES)
def test_masks_compile_as_one_graph(variant, backend):
    def whole(drawn, lam, round_up):
        return top_share(IMAGES[variant](drawn, 3.0, height=9, width=7), lam, round_up, max_soft=0.1)

    compiled = torch.compile(whole, backend=backend, fullgraph=True)
    arguments = noise(9, 7, many=(3,)), torch.tensor([0.2, 0.5, 1.0]), torch.tensor([True, False, False])
    for got, expected in zip(compiled(*arguments), whole(*arguments), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-7, rtol=0)


def test_lam_is_rounded_up_as_often_as_down():
    inputs = torch.zeros(2_000, 1, 3, 3)
    lam = mix(FMix(alpha=1e7, per="sample"), inputs).lam  # drawn: 1/2, that is 4.5 of 9 pixels
    ups = (lam * 9).round() - 4
    assert set(ups.tolist()) == {0.0, 1.0}
    assert abs(ups.mean().item() - 0.5) < 4 * 0.5 / 2_000**0.5


def test_settings_without_mixing_are_plain_training():
    assert FMix(alpha=0.0).canonical() == Erm()
    assert FMix().canonical() == FMix()


def test_official_needs_two_rows():
    with pytest.raises(ValueError, match="^fmix: got images of 1 x 9 pixels, mixing.variant=official needs at least 2"):
        FMix(variant="official").check_data(height=1, width=9, num_classes=2)
    FMix(variant="official").check_data(height=2, width=1, num_classes=2)
    FMix().check_data(height=1, width=1, num_classes=2)
    assert mix(FMix(variant="official"), torch.zeros(2, 1, 2, 1)).mask.shape == (1, 1, 2, 1)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"alpha": -0.1}, "^alpha: got -0.1"),
        ({"alpha": 5e-324}, "^alpha: got 5e-324, must be 0 .* or at least 0.001"),
        ({"decay": -1.0}, "^decay: got -1.0"),
        ({"max_soft": 0.6}, "^max_soft: got 0.6"),
        ({"variant": "paper"}, "^variant: got 'paper'"),
    ],
)
def test_bad_settings_are_refused_by_name(bad, words):
    with pytest.raises(ValueError, match=words):
        FMix.parse(bad)
