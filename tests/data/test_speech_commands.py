"""Tasks, parts and refusals of Speech Commands, on tones in folders like the real ones, and on real spoken digits."""

import math
import os
import stat
import tarfile

import numpy as np
import pytest
import torch
from made_files import SHARED, tone, write_noise, write_wav, write_words

from tune_mixup.activity import heard_by
from tune_mixup.data import image_cache, load, load_test, speech_commands, speech_spectrograms
from tune_mixup.data.base import DataFault
from tune_mixup.data.front_ends import spectrograms
from tune_mixup.data.loading import forget_data
from tune_mixup.data.speech_commands import SpeechCommands
from tune_mixup.data.speech_words import COMMANDS, WORDS, by_hash

CPU = torch.device("cpu")
DIGITS = SHARED / "speech-commands-digits.tar.xz"
FEW = ("up", "down", "cat")


@pytest.fixture
def settings(folder):
    """The folder as a data set of all words in it, with a root beside it."""

    def made(**changes):
        return SpeechCommands.parse(
            {"path": str(folder), "root": str(folder.parent / "root"), "task": "all", **changes}
        )

    return made


def refused(settings, reason):
    with pytest.raises(ValueError, match=reason) as error:
        settings.read_train()
    assert "\n" not in str(error.value)
    return str(error.value)


# Parts


def test_lists_say_which_part_a_recording_is_in(folder, settings):
    write_words(folder, FEW, per_part=2)
    train, names = settings().read_train()
    assert names == ("cat", "down", "up")
    assert train.targets.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert (
        settings().read_validation().targets.tolist() == settings().read_test().targets.tolist() == [0, 0, 1, 1, 2, 2]
    )


def test_each_picture_is_that_of_its_recording(folder, settings):
    write_words(folder, FEW)
    sounds = {}
    for number, word in enumerate(FEW):
        for part in ("train0", "train1", "val0", "test0"):
            samples = tone(200 * (number + 1), samples=3000 + 100 * len(sounds))
            write_wav(folder / word / f"{part}_nohash_0.wav", samples)
            sounds[word, part] = np.round(samples * 32767) / 32768
    for found, takes in (
        (settings().read_train()[0], ("train0", "train1")),
        (settings().read_validation(), ("val0",)),
        (settings().read_test(), ("test0",)),
    ):
        expected = [sounds[word, take] for word in sorted(FEW) for take in takes]
        for image, samples in zip(found.images, expected, strict=True):
            made = spectrograms(torch.tensor(samples)[None], "logmel")[0]
            torch.testing.assert_close(image.float(), made, atol=1e-3, rtol=0)


VALIDATED = ("fde2dee7", "099d52ad", "66cff190", "541120c7", "364c0853", "0ab3b47d", "4abefdf5", "65ec06e5", "44bc77f7")
TESTED = ("0c40e715", "0ea0e2f4", "42beb5eb", "44260689", "022cd682", "096456f9", "0d53e045", "ffa76c4a", "ffb86d3c")


@pytest.mark.parametrize(("part", "speakers"), [("val", VALIDATED), ("test", TESTED)])
def test_the_rule_gives_speakers_the_part_that_the_published_lists_give_them(part, speakers):
    assert {by_hash(f"{speaker}_nohash_{take}.wav") for speaker in speakers for take in range(3)} == {part}


def test_the_rule_keeps_four_fifths_of_the_speakers_for_training():
    parts = [by_hash(f"{speaker:08x}_nohash_0.wav") for speaker in range(4000)]
    shares = [parts.count(part) / 4000 for part in ("train", "val", "test")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)  # 3 standard deviations of the first


def test_without_lists_the_parts_are_those_of_the_rule(folder, settings):
    for word in FEW:
        for speaker in ("eb67fcbc", "f953e1af", "fde2dee7", "0c40e715"):
            write_wav(folder / word / f"{speaker}_nohash_0.wav", tone(300, samples=2000 + len(word) * ord(speaker[0])))
    found = (settings().read_train()[0], settings().read_validation(), settings().read_test())
    assert [len(one.targets) for one in found] == [6, 3, 3]


def told(settings):
    """What is said while the data is read."""
    said = set()
    with heard_by(lambda activity: said.add(activity.what)):
        settings.read_train()
    return " ".join(said)


@pytest.mark.parametrize(("lists", "rule"), [(True, "validation_list.txt and testing_list.txt"), (False, "the hash")])
def test_the_rule_that_was_used_is_said(folder, settings, lists, rule):
    write_words(folder, FEW, lists=lists)
    assert f"reading 12 recordings, split by {rule}" in told(settings())


def test_without_a_validation_part_it_comes_off_the_training_set(folder, settings):
    write_words(folder, FEW, per_part=3)
    (folder / "validation_list.txt").write_text("")
    assert settings().read_validation() is None
    data = load(settings(validation_fraction=0.25), seed=0, device=CPU)
    assert (len(data.train.images), len(data.validation.images)) == (21, 6)


def test_without_a_test_part_only_the_test_is_refused(folder, settings):
    write_words(folder, FEW)
    (folder / "testing_list.txt").write_text("\n")
    assert len(load(settings(), seed=0, device=CPU).train.images) == 9
    with pytest.raises(
        ValueError, match=r"^data.path: .* has no recording for the test; add some to testing_list.txt$"
    ):
        load_test(settings(), device=CPU)


def test_lists_that_can_not_be_followed_are_refused(folder, settings):
    write_words(folder, FEW)
    (folder / "testing_list.txt").write_text((folder / "validation_list.txt").read_text())
    refused(settings(), "both name up/val0_nohash_0.wav; remove it from one")
    (folder / "testing_list.txt").unlink()
    refused(settings(), "lacks testing_list.txt; add it, or remove validation_list.txt")


# Tasks


@pytest.mark.parametrize(("task", "count"), [(10, 10), (30, 30), (35, 35)])
def test_tasks_take_their_words_in_the_order_of_the_study(folder, settings, task, count):
    write_words(folder, WORDS, rate=1000)
    read = settings(task=task, sample_rate=1000)
    train, names = read.read_train()
    assert names == WORDS[:count] and read.known_shape() == (count, 64, 101)
    assert train.targets.tolist() == [k for k in range(count) for _ in range(2)]


def test_twelve_words_are_the_commands_with_a_tenth_of_others_and_of_noise(folder, settings):
    write_words(folder, WORDS, per_part=3, rate=1000)
    write_noise(folder, rate=1000)
    read = settings(task=12, sample_rate=1000)
    train, names = read.read_train()
    assert names == (*COMMANDS, "_unknown_", "_silence_")
    for found, each in ((train, 6), (read.read_validation(), 3), (read.read_test(), 3)):
        share = math.ceil(10 * each / 10)
        assert torch.bincount(found.targets).tolist() == [each] * 10 + [share] * 2
        unknown = found.images[found.targets == 10]
        assert len({image.numpy().tobytes() for image in unknown}) == share
    everything = settings(sample_rate=1000)
    _, all_names = everything.read_train()
    for found, all_here in (
        (train, everything.read_train()[0]),
        (read.read_validation(), everything.read_validation()),
        (read.read_test(), everything.read_test()),
    ):
        named = zip(all_here.images, all_here.targets.tolist(), strict=True)
        words = {image.numpy().tobytes(): all_names[k] for image, k in named}
        drawn = {words[image.numpy().tobytes()] for image in found.images[found.targets == 10]}  # of its own part
        assert not drawn & set(COMMANDS) and len(drawn) > 1


def test_silence_is_of_stretches_of_noise_that_no_other_part_has(folder, settings):
    """Each tenth of the noise is a tone of its own: eight for training, one for validation, one for the test."""
    write_words(folder, WORDS)
    rows = [500 * (k + 1) for k in range(10)]
    write_wav(folder / "_background_noise_" / "a.wav", np.concatenate([tone(row, samples=32_000) for row in rows]))
    read = settings(task=12, front_end="log_magnitude")
    found = {"train": read.read_train()[0], "val": read.read_validation(), "test": read.read_test()}
    heard = {}
    for part, (images, targets) in found.items():
        loudest = images[targets == 11].float().mean(3)[:, 0].argmax(1)
        heard[part] = {round(int(row) * 50 / 500) * 500 for row in loudest}
    assert heard["val"] == {4500} and heard["test"] == {5000}
    assert heard["train"] <= set(rows[:8])


def test_twelve_words_need_noise_and_other_words(folder, settings):
    write_words(folder, COMMANDS)
    write_noise(folder, seconds=5)
    refused(settings(task=12), "has 0 train recordings of other words than the commands, but _unknown_ needs 2")
    write_words(folder, WORDS)
    refused(settings(task=12), "has no WAV file of 10 seconds or more, of which _silence_ is made; add one")
    (folder / "_background_noise_" / "hum.wav").unlink()
    refused(settings(task=12), "lacks _background_noise_/ with WAV files, of which _silence_ is made; add it")


def test_a_folder_without_the_words_of_the_task_is_refused(folder, settings):
    write_words(folder, FEW)
    refused(settings(task=10), "^data.task=10: .* lacks the words yes, no, left, right, on, off, stop, go; .*task=all")
    assert "and 22 more; it must hold" in refused(settings(task=35), "lacks the words yes, no, left")


@pytest.mark.parametrize("words", [(), ("one",)])
def test_one_word_is_no_task(folder, settings, words):
    write_words(folder, words)
    refused(settings(), "^data.task=all: .* has fewer than two words; it must hold a folder for each word")


def test_a_word_without_recordings_for_training_is_refused(folder, settings):
    write_words(folder, FEW)
    (folder / "empty").mkdir()
    refused(settings(), "empty holds no WAV file for training; add some, or remove the folder")


def test_a_folder_that_is_not_there_is_refused_with_what_it_must_hold(folder, settings):
    message = "does not exist; it must hold a folder for each word with its WAV files, as Speech Commands unpacks"
    with pytest.raises(DataFault, match=f"speech_commands_v0.01 {message}"):
        load(SpeechCommands(path=folder / "speech_commands_v0.01"), seed=0, device=CPU)
    (folder / "file").write_text("")
    refused(settings(path=str(folder / "file")), "file is not a folder; it must hold")


def test_both_releases_are_found_in_the_root(folder):
    for version, words in (("v0.01", FEW), ("v0.02", ("ja", "nee"))):
        write_words(folder / "SpeechCommands" / f"speech_commands_{version}", words)
        found = SpeechCommands(root=folder, version=version, task="all").read_train()[1]
        assert found == tuple(sorted(words))


def test_what_is_no_recording_is_passed_over(folder, settings):
    write_words(folder, FEW)
    expected = settings().read_train()[0]
    (folder / "up" / "notes.txt").write_text("no sound")
    (folder / "up" / ".hidden.wav").write_text("no sound")
    (folder / "up" / "folder.wav").mkdir()
    (folder / ".git").mkdir()
    (folder / "LICENSE").write_text("")
    os.mkfifo(folder / "up" / "pipe.wav")
    assert torch.equal(settings().read_train()[0].images, expected.images)


# Recordings


def spoil(folder):
    """Four files that are no recordings: three of one word for training, and the noise."""
    for take in range(3):
        (folder / "cat" / f"train{take}_nohash_0.wav").write_bytes(b"")
    (folder / "_background_noise_" / "hum.wav").write_bytes(b"no sound")


def test_all_bad_recordings_are_listed_at_once(folder, settings):
    write_words(folder, FEW, per_part=3)
    write_noise(folder)
    spoil(folder)
    message = refused(
        settings(), r"4 of 37 files in .* can't be read as recordings: cat/train0\S* \(is empty\), cat/tr"
    )
    assert message.endswith(
        "_background_noise_/hum.wav (is no WAV file); replace or remove them, or leave them out by data.on_error=skip"
    )
    for word in FEW:
        for path in (folder / word).iterdir():
            path.write_bytes(b"")
    message = refused(settings(), "37 of 37 files")
    assert message.count("(is empty)") == 10 and " and 27 more; replace" in message
    assert not (folder / ".tune_mixup").exists()


def test_bad_recordings_are_left_out_on_demand_which_is_said(folder, settings, caplog, monkeypatch):
    monkeypatch.setattr(speech_spectrograms, "_CHUNK", 4)
    write_words(folder, FEW, per_part=3)
    write_noise(folder)
    clean = settings().read_train()[0].images.clone()
    spoil(folder)
    skipping = settings(on_error="skip")
    for _ in range(2):  # also when they come from the stored spectrograms
        caplog.clear()
        forget_data()
        data = load(skipping, seed=0, device=CPU)
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith("4 of 37 files in ") and line.endswith("; they are left out")
    assert torch.equal(data.train.images[:], clean[3:]) and data.background is None  # cat is the first word
    assert data.train.targets.tolist() == [0] * 3 + [1] * 6 + [2] * 6
    refused(settings(), "4 of 37 files")  # although the stored spectrograms are there
    for path in [*(folder / "cat").glob("train[012]_*"), folder / "_background_noise_" / "hum.wav"]:
        path.unlink()
    assert settings().known_fingerprint() == data.fingerprint, "as if they had never been there"


def test_a_word_of_which_nothing_is_left_to_train_on_is_refused(folder, settings):
    write_words(folder, FEW)
    for path in (folder / "cat").glob("train*"):
        path.write_bytes(b"")
    refused(settings(on_error="skip"), "no recording of 'cat' for training can be used; add whole ones")
    assert not (folder / ".tune_mixup").exists()


def test_another_sample_rate_is_refused_unless_it_is_declared(folder, settings):
    write_words(folder, FEW, rate=8000)
    message = refused(
        settings(),
        r"12 of 12 files in .* can't be read as recordings: cat/test0_nohash_0.wav \(has 8000 samp",
    )
    assert ", or set data.sample_rate to what all have, or leave them out" in message
    low = settings(sample_rate=8000).read_train()[0].images
    write_words(folder, FEW)
    high = settings().read_train()[0].images
    for one, other in zip(low.float(), high.float(), strict=True):  # the same tones, louder than all else
        assert abs(one[0, :, 20].argmax() - other[0, :, 20].argmax()) <= 1


def test_a_silent_recording_is_taken_as_it_is(folder, settings):
    write_words(folder, FEW)
    write_wav(folder / "cat" / "train0_nohash_0.wav", np.zeros(16_000))
    for front_end in ("logmel", "spectrogram"):
        assert not settings(front_end=front_end).read_train()[0].images[0].any()


# Cache and fingerprint


def logged(monkeypatch):
    made = []
    build = speech_commands.spectrograms_of

    def counted(layout, **options):
        made.append(options)
        return build(layout, **options)

    monkeypatch.setattr(speech_commands, "spectrograms_of", counted)
    return made


def test_spectrograms_are_made_once_for_each_setting_that_they_depend_on(folder, settings, monkeypatch):
    made = logged(monkeypatch)
    write_words(folder, FEW)
    for _ in range(2):
        for front_end in ("logmel", "spectrogram"):
            settings(front_end=front_end, augment={"time_shift": 5}).read_train()
            settings(front_end=front_end, root=str(folder / "elsewhere")).read_test()
    assert [one["front_end"] for one in made] == ["logmel", "spectrogram"]
    assert len(list((folder / ".tune_mixup").glob("speech-*.pt"))) == 2


def test_what_is_added_removed_changed_or_moved_makes_them_anew(folder, settings, monkeypatch):
    made = logged(monkeypatch)
    write_words(folder, FEW, per_part=2)
    fingerprints = [settings().known_fingerprint()]
    changes = (
        lambda: write_wav(folder / "up" / "more_nohash_0.wav", tone(700)),
        lambda: (folder / "up" / "more_nohash_0.wav").unlink(),
        lambda: write_wav(folder / "up" / "train0_nohash_0.wav", tone(900, samples=5000)),
        lambda: (folder / "validation_list.txt").write_text("up/train0_nohash_0.wav\n"),
    )
    for change in changes:
        change()
        fingerprints.append(settings().known_fingerprint())
    assert len(made) == 5
    assert fingerprints[0] == fingerprints[2] and len(set(fingerprints)) == 4


def test_the_fingerprint_knows_noise_but_not_the_test(folder, settings):
    write_words(folder, FEW)
    first = settings().known_fingerprint()
    write_wav(folder / "up" / "test0_nohash_0.wav", tone(999))
    assert settings().known_fingerprint() == first
    write_noise(folder)
    assert settings().known_fingerprint() != first


def test_a_cache_of_another_version_is_made_anew(folder, settings, monkeypatch):
    write_words(folder, FEW)
    settings().read_train()
    made = logged(monkeypatch)
    settings().read_train()
    monkeypatch.setattr(speech_commands, "_FORMAT", -1)
    settings().read_train()
    assert len(made) == 1


def test_a_folder_that_can_not_be_written_is_cached_in_the_root(folder, settings, monkeypatch):
    write_words(folder, FEW)
    store = image_cache._store

    def refuse(file, *args):
        if file.is_relative_to(folder):
            raise OSError(28, "No space left on device")
        store(file, *args)

    monkeypatch.setattr(image_cache, "_store", refuse)
    settings().read_train()
    (cached,) = (folder.parent / "root" / "speech_commands").glob("*/speech-*.pt")
    assert stat.S_ISREG(cached.stat().st_mode)


# Settings


def test_noise_is_pieces_of_the_training_stretch(folder, settings):
    write_words(folder, FEW)
    assert settings().read_background() is None
    write_noise(folder, seconds=10)
    assert settings().read_background().shape == (8, 1, 64, 101)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task": 11}, "^task: got 11, must be 10, 12, 30, 35 or 'all'$"),
        ({"task": "eleven"}, "^task: got 'eleven', must be 10, 12, 30, 35 or 'all'$"),
        ({"front_end": "mfcc"}, "front_end"),
        ({"sample_rate": 0}, "sample_rate"),
        ({"augment": {"time_shift": 101}}, "augment.time_shift"),
        ({"augment": {"time_mask": 102}}, "augment.time_mask"),
        (
            {"augment": {"frequency_masks": 1, "frequency_mask": 65}},
            "augment.frequency_mask: got 65, but front_end=logmel has 64 rows; use at most that",
        ),
        (
            {"augment": {"noise": 0.5}, "front_end": "spectrogram"},
            "augment.noise: got 0.5, but front_end=spectrogram has every clip on a scale of its own",
        ),
    ],
)
def test_settings_that_can_not_be_are_refused(settings, changes, reason):
    with pytest.raises(ValueError, match=reason):
        settings(**changes)


def test_noise_without_a_folder_of_noise_is_refused(folder, settings):
    write_words(folder, FEW)
    read = settings(augment={"noise": 0.5})
    with pytest.raises(ValueError, match=r"^data.augment.noise: got 0.5, but the data has no folder _back"):
        load(read, seed=0, device=CPU).prepared(read.augment)


@pytest.mark.skipif(not DIGITS.is_file(), reason="needs the shared data folder beside the checkout")
def test_real_spoken_digits(folder):
    with tarfile.open(DIGITS) as archive:
        archive.extractall(folder, filter="data")
    read = SpeechCommands(root=folder, task="all")
    data = load(read, seed=0, device=CPU)
    sizes = [len(one.images) for one in (data.train, data.validation, load_test(read, device=CPU))]
    assert sizes == [400, 100, 100]
    assert sorted(data.class_names) == sorted(WORDS[10:20])
    assert data.size == (64, 101) and 0.1 < float(data.mean) < 0.9
