"""Changes to spectrograms against loops, and what a trial that is trained with them promises."""

import math

import pytest
import torch
from made_files import write_noise, write_words

from tune_mixup.config import TrialConfig
from tune_mixup.data.augment import normalise
from tune_mixup.data.speech_augment import SpeechAugment, add_noise, shift, stretch
from tune_mixup.testing.watching import global_generators_untouched, no_reads_on_the_host
from tune_mixup.training.trained import load_trained
from tune_mixup.training.trainer import Trainer

ALL = {"time_shift": 10, "noise": 0.8, "frequency_masks": 2, "frequency_mask": 8, "time_masks": 2, "time_mask": 20}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count=4, height=6, width=9, seed=0):
    return torch.rand(count, 1, height, width, generator=generator(seed)).half()


def vary(augment, images, *, background=None, seed=0):
    return augment.vary(images, background=background, generator=generator(seed))


def test_nothing_is_drawn_and_nothing_changed_by_default():
    images, made = pictures(), generator()
    before = made.get_state()
    varied = SpeechAugment().vary(images, background=None, generator=made)
    assert torch.equal(varied, images.float()) and torch.equal(made.get_state(), before)


def test_a_shift_moves_frames_and_fills_with_the_lowest_value():
    images = pictures().float()
    moves = [0, 3, -2, 8]
    found = shift(images, torch.tensor(moves))
    for row, by in enumerate(moves):
        for frame in range(9):
            came = frame - by
            expected = images[row, 0, :, came] if 0 <= came < 9 else images[row].min().expand(6)
            assert torch.equal(found[row, 0, :, frame], expected)


def test_shifts_reach_both_ways_as_far_as_they_may_and_no_further():
    images = torch.zeros(3000, 1, 2, 9)
    images[..., 4] = 1
    places = vary(SpeechAugment(time_shift=2), images)[:, 0, 0].argmax(1)
    counts = torch.bincount(places, minlength=9)
    assert (counts > 0).tolist() == [False, False, True, True, True, True, True, False, False]
    assert (counts[2:7] - 600).abs().max() < 4 * (3000 * 0.2 * 0.8) ** 0.5


def test_noise_adds_its_power_to_that_of_the_sound():
    images, noise = pictures().float(), pictures(seed=1).float()
    gains = [0.0, 0.1, 0.5, 1.0]
    found = add_noise(images, noise, torch.tensor(gains))
    for row, gain in enumerate(gains):
        for sound, other, got in zip(images[row].flatten(), noise[row].flatten(), found[row].flatten(), strict=True):
            powers = [10 ** ((150 * float(level) - 100) / 10) for level in (sound, other)]
            decibels = 10 * math.log10(powers[0] + gain**2 * powers[1])
            assert float(got) == pytest.approx(min(max((decibels + 100) / 150, 0), 1), abs=1e-5)
    assert torch.equal(found[0], images[0])


@pytest.mark.parametrize(("probability", "least", "most"), [(0.3, 220, 380), (1.0, 1000, 1000)])
def test_noise_comes_as_often_as_it_should(probability, least, most):
    images, noise = torch.full((1000, 1, 2, 3), 0.5), torch.full((5, 1, 2, 3), 0.6)
    varied = vary(SpeechAugment(noise=probability, noise_volume=1.0), images, background=noise)
    louder = (varied > images).flatten(1).any(1)
    assert least <= int(louder.sum()) <= most
    assert torch.equal(varied[~louder], images[~louder])


def test_noise_is_never_louder_than_its_volume_and_of_any_piece():
    images = torch.zeros(500, 1, 2, 4)
    pieces = 0.5 + 0.1 * torch.eye(4).reshape(4, 1, 1, 4).expand(4, 1, 2, 4)
    varied = vary(SpeechAugment(noise=1.0, noise_volume=0.1), images, background=pieces)
    assert set(varied[:, 0, 0].argmax(1).tolist()) == {0, 1, 2, 3}
    loudest = 0.6 + 20 * math.log10(0.1) / 150
    assert loudest - 0.01 < float(varied.max()) <= loudest + 1e-6


def test_a_hidden_stretch_is_one_piece_of_0_to_the_most_anywhere():
    hidden = stretch(torch.rand(20_000, 2, generator=generator()), most=3, length=5)
    seen: dict[tuple[int, int], int] = {}
    for row in hidden.tolist():
        places = [place for place, there in enumerate(row) if there]
        assert places == list(range(places[0], places[0] + len(places))) if places else True
        key = (len(places), places[0] if places else 0)
        seen[key] = seen.get(key, 0) + 1
    for count in range(4):
        places = range(5 - count + 1) if count else [0]
        expected = 20_000 / 4 / len(places)
        assert all(abs(seen[count, place] - expected) < 5 * expected**0.5 for place in places), (count, seen)
    assert len(seen) == 1 + 5 + 4 + 3


def test_the_whole_may_be_hidden():
    drawn = torch.tensor([[1 - 2**-24, 1 - 2**-24], [1 - 2**-24, 0.0]])
    assert stretch(drawn, most=101, length=101).all()


@pytest.mark.parametrize("axis", ["frequency", "time"])
def test_masks_hide_whole_rows_or_frames_with_the_mean_of_the_clip(axis):
    images = pictures(300, height=12, width=15).float()
    augment = SpeechAugment.parse({f"{axis}_masks": 1, f"{axis}_mask": 4})
    varied = vary(augment, images)
    across = 3 if axis == "frequency" else 2
    hidden = (varied != images).any(dim=across)[:, 0]
    assert {int(count) for count in hidden.sum(1)} == {0, 1, 2, 3, 4}
    for before, after, rows in zip(images, varied, hidden, strict=True):
        swapped = after[0] if axis == "frequency" else after[0].T
        torch.testing.assert_close(swapped[rows], before.mean().expand(int(rows.sum()), images.shape[across]))


def test_more_masks_hide_more():
    images = pictures(400, height=20, width=30).float()
    shares = [
        (vary(SpeechAugment(time_masks=count, time_mask=6), images) != images).float().mean() for count in (1, 2, 4)
    ]
    assert shares[0] == pytest.approx(3 / 30, abs=0.02) and shares[0] < shares[1] < shares[2]


def test_clips_are_changed_each_on_its_own_and_arguments_are_left_alone():
    images, background = pictures(1, 64, 101).expand(8, -1, -1, -1).clone(), pictures(3, 64, 101, seed=2)
    kept = (images.clone(), background.clone())
    augment = SpeechAugment.parse(ALL)
    first, again, other = (vary(augment, images, background=background, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len({row.numpy().tobytes() for row in first}) == 8
    assert torch.equal(images, kept[0]) and torch.equal(background, kept[1])
    assert first.dtype == torch.float32 and first.shape == images.shape


def test_nothing_waits_for_the_device_and_no_global_generator_is_asked():
    """So that a step can be captured."""
    images, background, made = pictures(4, 64, 101), pictures(3, 64, 101, seed=2), generator()
    with global_generators_untouched(), no_reads_on_the_host():
        SpeechAugment.parse(ALL).vary(images, background=background, generator=made)


# In training


@pytest.fixture
def config(folder):
    """A trial on words in a folder that has noise too."""
    write_words(folder, ("up", "down", "cat"), per_part=4)
    write_noise(folder)

    def made(**changes):
        settings = {
            "data.name": "speech_commands", "data.path": str(folder), "data.task": "all", "model.name": "tiny_resnet",
            "model.width": 4, "mixing.name": "mixup", "training.epochs": 3, "training.batch_size": 8,
        }  # fmt: skip
        augment = {f"data.augment.{key}": value for key, value in ALL.items()}
        return TrialConfig.from_dotted(settings, augment, {key.replace("__", "."): v for key, v in changes.items()})

    return made


def timeless(history):
    return [{k: v for k, v in row.items() if k not in ("epoch_s", "images_per_s")} for row in history]


def test_an_interrupted_trial_goes_on_as_if_it_had_not_been(config, tmp_path):
    whole = Trainer(config())
    whole.run()
    first = Trainer(config(), folder=tmp_path / "trial")
    first.train_epoch()
    first.save()
    second = Trainer(config(), folder=tmp_path / "trial")
    assert second.epoch == 1
    assert timeless(second.run()) == timeless(whole.history)
    for key, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[key]), key


@pytest.mark.parametrize("key", ["time_shift", "noise", "frequency_masks", "time_masks"])
def test_every_change_reaches_the_training(config, key):
    plain = {f"data__augment__{name}": 0 for name in ("time_shift", "noise", "frequency_masks", "time_masks")}
    losses = {
        Trainer(config(training__epochs=1, mixing__name="erm", **changes)).run()[0]["train_loss"]
        for changes in (plain, plain | {f"data__augment__{key}": ALL[key]})
    }
    assert len(losses) == 2


def test_settings_of_augmentation_are_part_of_the_identity(config):
    assert config().identity() != config(data__augment__time_shift=9).identity()
    assert TrialConfig.parse(config().plain()) == config()


def test_a_trained_model_predicts_pictures_of_new_sound_as_the_trial_did(config, tmp_path):
    trainer = Trainer(config(training__epochs=1), folder=tmp_path / "trial")
    trainer.run()
    trained = load_trained(tmp_path / "trial", device="cpu")
    heard = trainer.data.validation.images[:]
    expected = trainer.step.network.logits(heard)
    torch.testing.assert_close(trained.logits(heard), expected)
    torch.testing.assert_close(trained.logits(heard.float()), expected)
    with pytest.raises(ValueError, match=r"^images: got uint8 .*, must be floating-point \[N, 1, 64, 101\]: "):
        trained.logits(heard.to(torch.uint8))
    kept = heard.float()
    trained.predict(kept)
    assert torch.equal(kept, heard.float())


def test_pictures_are_normalised_without_levels(config):
    data = Trainer(config()).data
    whole = data.train.images[:].double()
    assert float(data.mean) == pytest.approx(float(whole.mean()), abs=1e-6)
    assert float(data.std) == pytest.approx(float(whole.std(correction=0)), abs=1e-6)
    normalised = normalise(data.train.images[:], data.mean, data.std).double()
    torch.testing.assert_close(normalised, (whole - whole.mean()) / whole.std(correction=0), atol=1e-5, rtol=0)


def test_data_are_read_once_for_all_augmentations(config):
    one, other = (Trainer(config(data__augment__time_shift=shift)).data for shift in (1, 2))
    assert one is other
