"""Waveforms that are mixed before the front end, against loops over samples and the trials that mix pictures."""

import math
import wave

import numpy as np
import pytest
import torch
from made_files import write_noise, write_wav, write_words

from tune_mixup.analysis.gallery import gallery
from tune_mixup.config import TrialConfig
from tune_mixup.data import load
from tune_mixup.data.front_ends import spectrograms
from tune_mixup.data.speech_augment import SoundPictures, SpeechAugment
from tune_mixup.data.speech_commands import SpeechCommands
from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.seeding import generator
from tune_mixup.testing.watching import global_generators_untouched, no_reads_on_the_host
from tune_mixup.training.fitting import draw_batches
from tune_mixup.training.network import new_model
from tune_mixup.training.trained import load_trained
from tune_mixup.training.trainer import Trainer

CPU = torch.device("cpu")
WORDS = ("up", "down", "cat")
MASKS = {"frequency_masks": 2, "frequency_mask": 20, "time_masks": 2, "time_mask": 20}
WHOLE = {"erm", "mixup", "manifold_mixup", "alignmixup", "generalized_mixup"}
"""The methods that weigh whole examples, by their papers."""


@pytest.fixture
def config(folder):
    """A trial on waveforms of words in a folder that has noise too."""
    write_words(folder, WORDS, per_part=4)
    write_noise(folder)

    def made(**changes):
        settings = {
            "data.name": "speech_commands", "data.path": str(folder), "data.task": "all", "data.mix_on": "waveforms",
            "model.name": "tiny_resnet", "model.width": 4, "training.epochs": 2, "training.batch_size": 8,
        }  # fmt: skip
        return TrialConfig.from_dotted(settings, {key.replace("__", "."): value for key, value in changes.items()})

    return made


def samples_of(path):
    """The numbers of a 16-bit WAV file, by the standard library."""
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


def noisy(count=4, seed=0):
    made = torch.Generator().manual_seed(seed)
    return (3000 * torch.randn(count, 1, 1, 16_000, generator=made)).to(torch.int16)


def timeless(history):
    return [{k: v for k, v in row.items() if k not in ("epoch_s", "images_per_s")} for row in history]


# What is read


def test_waveforms_are_the_samples_of_the_files(folder, config):
    data = config().data
    train, names = data.read_train()
    assert train.images.dtype == torch.int16 and train.images.shape == (24, 1, 1, 16_000)
    for row, (image, label) in enumerate(zip(train.images, train.targets.tolist(), strict=True)):
        expected = samples_of(folder / names[label] / f"train{row % 8}_nohash_0.wav")
        assert image[0, 0, :8000].tolist() == expected.tolist() and not image[0, 0, 8000:].any()


def test_what_exceeds_full_scale_is_cut_and_not_wrapped_around(folder, config):
    import soundfile

    loud = np.array([1.5, -1.5, 1.0, -1.0, 0.25], dtype=np.float32)
    soundfile.write(folder / "cat" / "train0_nohash_0.wav", loud, 16_000, subtype="FLOAT")
    image = config().data.read_train()[0].images[0]
    assert image[0, 0, :6].tolist() == [32767, -32768, 32767, -32768, 8192, 0]


def test_silence_is_no_sound_and_a_picture_without_a_number_that_is_not_finite(folder, config):
    write_wav(folder / "cat" / "train0_nohash_0.wav", np.zeros(16_000))
    for front_end in ("logmel", "spectrogram", "log_magnitude"):
        data = config(data__front_end=front_end).data
        image = data.read_train()[0].images[:1]
        assert not image.any() and not data.pictures().eval()(image).any()


def test_one_file_of_waveforms_serves_all_front_ends(folder, config):
    for front_end in ("logmel", "spectrogram"):
        config(data__front_end=front_end).data.read_train()
    assert len(list((folder / ".tune_mixup").glob("speech-*.pt"))) == 1
    config(data__mix_on="spectrograms").data.read_train()
    assert len(list((folder / ".tune_mixup").glob("speech-*.pt"))) == 2


def test_recordings_of_another_rate_are_resampled_to_16_000_samples(tmp_path):
    write_words(tmp_path / "low", WORDS, rate=8000)
    low = SpeechCommands(path=tmp_path / "low", task="all", sample_rate=8000, mix_on="waveforms").read_train()[0]
    assert low.images.shape[3] == 16_000
    turned = torch.fft.rfft(low.images[0, 0, 0].double()).abs()
    assert int(turned.argmax()) == 500  # the tone of "cat", in whole Hz, as the clip has a second


# What is seen


@pytest.mark.parametrize("front_end", ["logmel", "spectrogram", "spectrogram_108", "log_magnitude"])
def test_the_network_sees_the_pictures_that_are_made_beforehand(config, front_end):
    """To the rounding of pictures to float16, with the same mean and standard deviation."""
    pictures, waveforms = (
        Trainer(config(data__mix_on=mix_on, data__front_end=front_end)).step.network
        for mix_on in ("spectrograms", "waveforms")
    )
    sets = [load(one.config.data, seed=0, device=CPU) for one in (pictures, waveforms)]
    assert torch.equal(sets[0].mean, sets[1].mean) and torch.equal(sets[0].std, sets[1].std)
    assert sets[0].shape == sets[1].shape and sets[1].size == (1, 16_000)
    waveforms.model.eval()
    expected = pictures.inputs(sets[0].validation.images[:])
    found = waveforms.model.stem[0](waveforms.inputs(sets[1].validation.images[:]))
    largest = float(sets[0].validation.images[:].abs().max())
    torch.testing.assert_close(found, expected, atol=largest * 2**-11 / float(sets[0].std), rtol=1e-5)


def test_plain_training_is_that_on_pictures_to_their_rounding(config):
    one, other = (Trainer(config(data__mix_on=mix_on)).run() for mix_on in ("spectrograms", "waveforms"))
    for before, after in zip(one, other, strict=True):
        for key in ("train_loss", "val_nll"):
            assert after[key] == pytest.approx(before[key], rel=0.02) and after[key] != before[key]


def test_mixup_adds_samples_before_the_front_end(config):
    """An epoch of one batch, whose loss a loop over examples and samples gives too."""
    mixed = config(mixing__name="mixup", mixing__per="sample", training__epochs=1, training__batch_size=24)
    trainer = Trainer(mixed)
    data = trainer.data
    network = new_model(config(data__mix_on="spectrograms"), data, CPU)
    index = draw_batches(mixed, data, epoch=0)[0]
    targets = torch.eye(3)[data.train.targets[index]]
    waves = data.train.images[index].float() / 32768
    drawn = Mixup(per="sample").mix(waves, targets, {}, epoch=0, generator=generator(0, "mix", 0))
    pictures, soft = [], []
    for row, (lam, other) in enumerate(zip(drawn.lam.tolist(), drawn.partner.tolist(), strict=True)):
        pair = zip(waves[row, 0, 0].tolist(), waves[other, 0, 0].tolist(), strict=True)
        sound = [lam * own + (1 - lam) * others for own, others in pair]
        pictures.append((spectrograms(torch.tensor([sound]), "logmel") - data.mean) / data.std)
        soft.append(lam * targets[row] + (1 - lam) * targets[other])
    with torch.no_grad():
        logits = network.train()(torch.cat(pictures))
    expected = -sum(float(weight @ logs) for weight, logs in zip(soft, logits.log_softmax(1), strict=True)) / 24
    assert trainer.run()[0]["train_loss"] == pytest.approx(expected, rel=1e-4)
    assert len({round(lam, 3) for lam in drawn.lam.tolist()}) > 20


# Augmentation


def vary(augment, images, *, background=None, seed=0):
    return augment.vary(images, background=background, generator=torch.Generator().manual_seed(seed))


def test_waveforms_are_moved_by_samples_and_followed_by_silence():
    images = noisy(40)
    moved = vary(SpeechAugment(time_shift=2), images)
    places = []
    for before, after in zip(images[:, 0, 0], moved[:, 0, 0], strict=True):
        before, after = before.tolist(), (after * 32768).tolist()
        inside = range(400, 15_600)
        (by,) = [by for by in range(-320, 321) if all(after[place] == before[place - by] for place in inside)]
        vacated = after[:by] if by >= 0 else after[by:]
        assert not any(vacated)
        places.append(by)
    assert min(places) < -160 and max(places) > 160 and any(by % 160 for by in places)


@pytest.mark.parametrize("front_end", ["logmel", "spectrogram"])
def test_noise_is_added_sample_by_sample_for_any_front_end(config, front_end):
    augment = config(data__front_end=front_end, data__augment__noise=1.0).data.augment
    images, background = noisy(6), noisy(1, seed=1)
    added = (vary(augment, images, background=background)[:, 0, 0] - images[:, 0, 0].float() / 32768).double()
    gains = [float(row @ background[0, 0, 0].double() / (background.double() ** 2).sum()) * 32768 for row in added]
    for row, gain in zip(added, gains, strict=True):
        torch.testing.assert_close(row, gain * background[0, 0, 0].double() / 32768, atol=1e-6, rtol=0)
    assert 0 < min(gains) < max(gains) <= 0.1 and max(gains) > 0.05


def test_masks_hide_parts_of_pictures_in_training_alone():
    heard = noisy(40)
    module = SoundPictures("logmel", SpeechAugment.parse(MASKS))
    plain = spectrograms(heard[:, 0, 0].float() / 32768, "logmel")
    assert torch.equal(module.eval()(heard), plain)
    with torch.random.fork_rng(devices=[]):  # as of dropout
        torch.manual_seed(0)
        hidden = module.train()(heard)
    for before, after in zip(plain[:, 0], hidden[:, 0], strict=True):
        changed = before != after
        assert torch.equal(changed, changed.all(1)[:, None] | changed.all(0)[None])
        torch.testing.assert_close(after[changed], before.mean().expand(int(changed.sum())), atol=1e-5, rtol=0)
    assert 0.2 < float((plain != hidden).float().mean()) < 0.5
    assert not vary(SpeechAugment.parse(MASKS), heard).mul(32768).ne(heard).any()


def test_nothing_waits_for_the_device():
    augment = SpeechAugment.parse({**MASKS, "time_shift": 10, "noise": 0.5})
    module, made = SoundPictures("spectrogram", augment).train(), torch.Generator().manual_seed(0)
    with no_reads_on_the_host(), torch.random.fork_rng(devices=[]):
        module(augment.vary(noisy(), background=noisy(3, seed=1), generator=made))
    with global_generators_untouched():
        augment.vary(noisy(), background=noisy(3, seed=1), generator=made)


@pytest.mark.parametrize("key", ["time_shift", "noise", "frequency_masks", "time_masks"])
def test_every_change_reaches_the_training(config, key):
    changes = {"time_shift": 10, "noise": 1.0, "frequency_masks": 2, "time_masks": 2}
    losses = {
        Trainer(config(training__epochs=1, **more)).run()[0]["train_loss"]
        for more in ({}, {f"data__augment__{key}": changes[key]})
    }
    assert len(losses) == 2


# A trial


def test_an_interrupted_trial_goes_on_as_if_it_had_not_been(config, tmp_path):
    masks = {f"data__augment__{key}": value for key, value in MASKS.items()}
    augmented = config(mixing__name="mixup", data__augment__time_shift=5, data__augment__noise=0.5, **masks)
    whole = Trainer(augmented)
    whole.run()
    first = Trainer(augmented, folder=tmp_path / "trial")
    first.train_epoch()
    first.save()
    second = Trainer(augmented, folder=tmp_path / "trial")
    assert second.epoch == 1 and timeless(second.run()) == timeless(whole.history)


@pytest.mark.parametrize("name", sorted(MIXERS))
def test_methods_that_weigh_whole_examples_are_trained_and_others_refused(config, name):
    stratified = {"data__batches": "stratified", "training__batch_size": 6}
    if name in WHOLE:
        fewer = {"mixing__sweeps": 2} if name == "alignmixup" else {}
        (report,) = Trainer(config(mixing__name=name, training__epochs=1, **stratified, **fewer)).run()
        assert report["diverged"] == 0 and math.isfinite(report["val_nll"])
    else:
        with pytest.raises(ValueError, match="mix_on: got 'waveforms', but mixing.name=.* mixes parts of pictures"):
            config(mixing__name=name, **stratified)


def test_a_mixture_is_taken_where_all_its_members_are(config):
    config(mixing__name="mixture", mixing__members={"mixup": {}, "manifold_mixup": {}})
    with pytest.raises(ValueError, match="mixing.name=mixture mixes parts of pictures"):
        config(mixing__name="mixture", mixing__members={"mixup": {}, "cutmix": {}})


def test_a_method_that_weighs_whole_examples_gives_sums_of_waveforms():
    """Each mixed row is one number times its own waveform and the rest times its partner's."""
    images, targets = noisy(6).float() / 32768, torch.eye(3).repeat(2, 1)
    mixed = Mixup(per="sample").mix(images, targets, {}, epoch=0, generator=torch.Generator().manual_seed(0))
    for row in range(6):
        pair = torch.stack([images[row, 0, 0], images[int(mixed.partner[row]), 0, 0]], 1).double()
        weights = torch.linalg.lstsq(pair, mixed.inputs[row, 0, 0].double()).solution
        if int(mixed.partner[row]) != row:
            assert float(weights[0]) == pytest.approx(float(mixed.lam[row]), abs=1e-4)


def test_where_mixing_is_done_is_part_of_the_identity_and_before_it_was_a_setting_nothing_was(config, folder):
    parts = {"name": "speech_commands", "task": "all", "augment": {"time_shift": 3}}
    assert TrialConfig.parse({"data": parts}).identity() == "aa00e1248a4a"  # as before it was a setting
    assert TrialConfig.parse({"data": {**parts, "mix_on": "spectrograms"}}).identity() == "aa00e1248a4a"
    assert TrialConfig.parse({"data": {**parts, "mix_on": "waveforms"}}).identity() != "aa00e1248a4a"
    assert TrialConfig.parse(config().plain()) == config()


def test_a_trained_model_takes_waveforms(config, tmp_path):
    trainer = Trainer(config(training__epochs=1), folder=tmp_path / "trial")
    trainer.run()
    trained = load_trained(tmp_path / "trial", device="cpu")
    heard = trainer.data.validation.images[:]
    expected = trainer.step.network.logits(heard)
    torch.testing.assert_close(trained.logits(heard), expected)
    torch.testing.assert_close(trained.logits(heard.float() / 32768), expected)
    with pytest.raises(
        ValueError, match=r"^images: got uint8 .*, must be int16 or floating-point \[N, 1, 1, 16000\]: "
    ):
        trained.logits(heard.to(torch.uint8))


def test_half_precision_leaves_the_pictures_alone(config):
    network = Trainer(config(training__precision="bf16")).step.network
    heard = network.inputs(noisy())
    with network.autocast():
        seen = network.model.stem[0](heard)
    assert seen.dtype == torch.float32 and torch.equal(seen, network.model.stem[0](heard))


def test_a_gallery_shows_the_pictures_of_mixed_waveforms(config, tmp_path):
    rows, left_out = gallery(config(), {"it": Mixup(), "cut": CutMix()}, tmp_path / "it.png", num_examples=2)
    assert left_out == {"cut": "it mixes parts of pictures, but data.mix_on=waveforms"}
    for example in rows["it"]:
        assert example.own.shape == example.mixed.shape == (64, 101, 1) and example.weight.shape == (64, 101)
        tones = [int(one[:, 20].argmax()) for one in (example.own, example.partner)]
        assert all(example.mixed[tone, 20] > 0.8 for tone in tones)  # both are heard
        assert 0.3 <= example.lam <= 0.7
