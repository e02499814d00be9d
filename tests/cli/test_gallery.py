import json
import wave

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from tune_mixup.analysis.gallery import draw, gallery
from tune_mixup.config import TrialConfig
from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.fmix import FMix
from tune_mixup.mixing.manifold_mixup import ManifoldMixup
from tune_mixup.mixing.mixup import Mixup

SYNTHETIC = {"name": "synthetic", "num_train": 60, "num_test": 10, "size": 20, "channels": 3}
DATA = [word for key, value in SYNTHETIC.items() for word in ("--set", f"data.{key}={value}")]


@pytest.fixture
def drawn(tmp_path):
    """Draws one method on synthetic images and returns its examples."""

    def run(mixer, num_examples=1, seed=0):
        config = TrialConfig.parse({"seed": seed, "data": SYNTHETIC})
        rows, left_out = gallery(config, {"it": mixer}, tmp_path / "it.png", num_examples=num_examples, overwrite=True)
        assert left_out == {}
        return rows["it"]

    return run


def test_every_method_is_drawn(command, tmp_path):
    assert command("gallery", *DATA, "--examples", 1, "--to", "all.png", "--json") == 0, command.err
    told = json.loads(command.out)
    assert told["file"] == "all.png" and told["left_out"] == {}
    assert list(told["lam"]) == list(MIXERS)
    assert all(len(lams) == 1 and 0 <= lams[0] <= 1 for lams in told["lam"].values())
    assert told["lam"]["erm"] == [1.0]
    assert [path.name for path in tmp_path.iterdir()] == ["all.png"]
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("mixer", [Erm(), Mixup(), CutMix(), FMix(max_soft=0.2)], ids=lambda mixer: mixer.name)
def test_tiles_belong_together(drawn, mixer):
    """The mixed tile is own and partner, weighed by the mask, whose mean is the lam below it."""
    for example in drawn(mixer, num_examples=3):
        assert example.own.shape == (20, 20, 3) and example.stage == 0
        weight = example.weight[:, :, None]
        mixed = weight * example.own + (1 - weight) * example.partner
        torch.testing.assert_close(example.mixed, mixed, atol=1e-5, rtol=0)
        assert example.weight.mean().item() == pytest.approx(example.lam, abs=1e-6)


def test_what_is_drawn_is_what_the_network_sees(tmp_path):
    """The centre of the images where they are cropped."""
    small, whole = (
        gallery(TrialConfig.parse({"data": {**SYNTHETIC, **crop}}), {"it": Mixup()}, tmp_path / f"{i}.png")[0]["it"][0]
        for i, crop in enumerate(({"crop": {"size": [12, 10], "train": "resized"}}, {}))
    )
    assert small.own.shape == small.mixed.shape == (12, 10, 3) and small.weight.shape == (12, 10)
    torch.testing.assert_close(small.own, whole.own[4:16, 5:15])


def test_images_that_are_neither_grey_nor_colour_are_shown_grey(tmp_path):
    config = TrialConfig.parse({"data": {**SYNTHETIC, "channels": 2}})
    rows, _ = gallery(config, {"it": Mixup()}, tmp_path / "it.png", num_examples=1)
    assert rows["it"][0].own.shape == (20, 20, 1)


def test_images_are_the_same_for_every_method_and_draws_differ(drawn):
    mixup, fmix = drawn(Mixup(), num_examples=3), drawn(FMix(), num_examples=3)
    assert all(torch.equal(one.own, other.own) for one, other in zip(mixup, fmix, strict=True))
    assert len({example.lam for example in mixup}) == 3
    assert mixup[0].lam != drawn(Mixup(), seed=1)[0].lam


@pytest.mark.parametrize("name", ["mixup", "cutmix", "manifold_mixup", "saliencymix", "fmix", "generalized_mixup"])
def test_both_images_of_an_example_are_seen(drawn, name):
    """A uniform lam is within 0.3 to 0.7 in 2 of 5 draws: by chance five of six would be in 4 % of cases."""
    rows = [example for seed in range(2) for example in drawn(MIXERS[name].parse({}), num_examples=3, seed=seed)]
    assert sum(0.3 <= example.lam <= 0.7 for example in rows) >= 5, [example.lam for example in rows]
    assert not any(torch.equal(example.own, example.partner) for example in rows)


def test_words_stand_where_features_are_mixed_and_lam_is_explained(drawn):
    (example,) = drawn(ManifoldMixup(layers=(2,)))
    figure = draw({"it": [example]}, title="a title")
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "features\nafter stage 2" in words and "mixed inside\nthe network" in words
    assert any("lam is the weight of the own image's label" in text.get_text() for text in figure.texts)


def write_words(root):
    """Words of tones as loud as their number, in the layout of Speech Commands."""
    draw = np.random.default_rng(0)
    for loud, word in enumerate(("ja", "nee"), start=1):
        folder = root / "SpeechCommands" / "speech_commands_v0.02" / word
        folder.mkdir(parents=True)
        for take in range(40):
            with wave.open(str(folder / f"{take}_nohash_0.wav"), "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", ""))
                samples = 2000 * loud * np.sin(np.arange(8000) * 2 * np.pi / 40) + draw.normal(size=8000)
                file.writeframes(samples.astype("<i2").tobytes())


@pytest.mark.parametrize("front_end", ["logmel", "spectrogram"])
def test_sound_is_drawn_as_a_spectrogram_that_can_be_read(tmp_path, front_end):
    """Tones of 400 Hz for half a second: low, on the left, and the brightest there is; the rest is dark."""
    write_words(tmp_path)
    data = {"name": "speech_commands", "root": str(tmp_path), "task": "all", "front_end": front_end}
    config = TrialConfig.parse({"data": data})
    rows, _ = gallery(config, {"it": Mixup(), "deep": ManifoldMixup(layers=(2,))}, tmp_path / "it.png", num_examples=2)
    for example in rows["it"]:
        height, width, _ = example.own.shape
        loudest = int(example.own[:, 20].argmax())
        assert loudest < height / 4 and example.own[loudest, 20] > 0.8
        assert float(example.own[:, int(0.7 * width) :].max()) < 0.5
        assert set(example.classes) <= {"ja", "nee"} and example.weight.shape == (height, width)
    assert max(float(example.own.max()) for row in rows.values() for example in row) > 0.95
    figure = draw(rows, title="a title", sound=True)
    figure.draw_without_rendering()
    assert any("time runs to the right, frequency upwards" in text.get_text() for text in figure.texts)
    own, _, weight, _ = figure.axes[:4]
    assert own.images[0].origin == "lower" and own.images[0].get_cmap().name == "magma"
    assert weight.images[0].origin == "lower" and weight.images[0].get_cmap().name == "gray"
    assert own.get_box_aspect() == 0.8
    assert [axes.get_xlabel() for axes in figure.axes[:2]] == list(rows["it"][0].classes)


def test_pictures_keep_their_shape_and_classes_are_named(drawn):
    examples = drawn(Mixup(), num_examples=2)
    figure = draw({"it": examples}, title="a title")
    assert all(axes.get_box_aspect() == 1 for axes in figure.axes)
    assert figure.axes[0].images[0].origin == "upper" and figure.axes[0].images[0].get_cmap().name == "gray"
    shown = [axes.get_xlabel() for axes in figure.axes]
    for number, example in enumerate(examples):
        assert shown[4 * number : 4 * number + 2] == [name[:13] for name in example.classes]
    assert not any("spectrogram" in text.get_text() for text in figure.texts)


def test_a_long_name_of_a_class_is_shortened(drawn):
    (example,) = drawn(Mixup())
    figure = draw({"it": [example._replace(classes=("a" * 13, "b" * 14))]}, title="a title")
    assert [axes.get_xlabel() for axes in figure.axes[:2]] == ["a" * 13, "b" * 10 + "..."]


def test_no_text_is_cut_off_however_few_examples_there_are(drawn):
    for count in (1, 3):
        figure = draw({"generalized_mixup": drawn(Mixup(), num_examples=count)}, title="digits, seed 0")
        figure.draw_without_rendering()
        width, height = figure.get_size_inches() * figure.dpi
        boxes = [text.get_window_extent() for text in figure.findobj(Text) if text.get_text()]
        assert all(0 <= box.x0 and box.x1 <= width and 0 <= box.y0 and box.y1 <= height for box in boxes)


def test_mixed_features_are_said_in_words(drawn):
    (example,) = drawn(ManifoldMixup(layers=(2,)))
    assert example.weight is None and example.stage == 2
    assert torch.equal(example.mixed, example.own)
    (example,) = drawn(ManifoldMixup(layers=(0,)))
    assert example.weight is not None and example.stage == 0


def test_the_same_command_draws_the_same_picture(command, tmp_path):
    pictures = []
    for seed in (3, 3, 4):
        assert command("gallery", *DATA, "--mixers", "cutmix,fmix", "--seed", seed, "--to", "some.png", "--force") == 0
        assert command.out == "some.png: cutmix, fmix\n"
        pictures.append((tmp_path / "some.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_a_method_with_settings_of_its_own(command):
    settings = [*DATA, "--set", "mixing.name=cutmix", "--set", "mixing.alpha=0", "--examples", 2]
    assert command("gallery", *settings, "--to", "one.pdf", "--json") == 0, command.err
    assert json.loads(command.out)["lam"] == {"cutmix": [1.0, 1.0]}


def test_a_method_that_cannot_mix_the_data_is_left_out_with_the_reason(command):
    assert command("gallery", "--mixers", "erm,resizemix", "--examples", 1, "--to", "digits.svg") == 0, command.err
    first, second = command.out.splitlines()
    assert first == "digits.svg: erm"
    assert second.startswith("left out resizemix: mixing.min_tau: got 0.1, which gives empty boxes on images of 8 x 8")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--mixers", "cutmx", "--to", "a.png"], "--mixers: got 'cutmx', which is not known; did you mean cutmix?"),
        (["--mixers", "", "--to", "a.png"], "--mixers: got '', which is not known; known: alignmixup, attentivemix"),
        (["--mixers", "resizemix", "--to", "a.png"], "resizemix: mixing.min_tau: got 0.1"),
        (["--mixers", "erm", "--set", "mixing.name=fmix", "--to", "a.png"], "got --mixers and --set mixing; give one"),
        (["--to", "a.txt"], "to: got 'a.txt', which must end in .png, .pdf, .svg"),
        (["--to", "picture"], "to: got 'picture', which must end in .png, .pdf, .svg"),
        (["--data", "cifar", "--to", "a.png"], "data.name: got 'cifar', which is not known; did you mean cifar10?"),
        (["--mixers", "erm", "--examples", "0", "--to", "a.png"], "--examples"),
        (["--mixers", "erm", "--examples", "99", "--to", "a.png"], "examples: got 99, must be 1 to 20"),
        (["--set", "mixing.alpha=1", "--to", "a.png"], "mixing.alpha: there is no such setting here"),
        ([], "--to FILE is missing"),
    ],
)
def test_bad_input_is_refused_in_one_line(command, tmp_path, arguments, words):
    assert words in command.refused("gallery", *arguments)
    assert list(tmp_path.iterdir()) == []
