"""Parts from outside in trials: found from plain settings, as objects, in files, in spaces and on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from optuna.distributions import CategoricalDistribution
from outside_parts.blend import Blend, HalfCut, Named, OtherNamed, Outer
from outside_parts.others import Adagrad, Brier, Linear, Patches, Shifted, Stripes

from tune_mixup.cli import run
from tune_mixup.cli.fields import explain_key
from tune_mixup.config import TrialConfig
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.parts import structure
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import plan
from tune_mixup.training.trainer import Trainer

BLEND, OTHERS, TWINS = "outside_parts.blend", "outside_parts.others", "outside_parts.twins"
EVERY_KIND = {
    "data.name": f"{OTHERS}:Stripes",
    "model.name": f"{OTHERS}:Patches",
    "mixing.name": f"{BLEND}:Blend",
    "loss.name": f"{OTHERS}:Brier",
    "optimizer.name": f"{OTHERS}:Adagrad",
    "schedule.name": f"{OTHERS}:Linear",
    "training.metrics": [f"{OTHERS}:SECOND"],
}
SHORT = {"training.epochs": 2, "training.batch_size": 20}
CLASSES = {"data": Stripes, "model": Patches, "mixing": Blend, "loss": Brier, "optimizer": Adagrad, "schedule": Linear}
MIXTURE = {
    "mixing.name": "mixture",
    "mixing.members.mixup.alpha": 0.3,
    "mixing.members.mine.name": f"{BLEND}:Blend",
    "mixing.members.mine.share": 0.6,
}
FORMS = [
    EVERY_KIND,
    {"mixing.name": f"{BLEND}:Blend", "mixing.share": 0.5},
    {"mixing.name": f"{BLEND}:Named"},
    {"mixing.name": f"{BLEND}:HalfCut"},
    {"mixing.name": f"{BLEND}:Outer.Inner"},
    {"mixing.name": "cutmix", "mixing.partners.name": f"{OTHERS}:Shifted", "mixing.partners.by": 3},
    {"mixing.name": f"{BLEND}:HalfCut", "mixing.partners.name": f"{OTHERS}:Shifted"},
    MIXTURE,
]


def names(plain):
    return {section: plain[section]["name"] for section in CLASSES}


def test_a_part_of_every_kind_is_found_and_trains():
    config = TrialConfig.from_dotted(EVERY_KIND, SHORT, {"training.epochs": 4})
    assert {section: type(getattr(config, section)) for section in CLASSES} == CLASSES
    last = Trainer(config).run()[-1]
    assert last["val_accuracy"] == 1  # stripes can be told apart by one convolution
    # With two classes, the second guess is right where the first one is wrong.
    assert last["val_second"] == pytest.approx(1 - last["val_accuracy"]) and "val_second_median" in last


def test_what_trains_alike_under_another_name_gives_the_same_numbers():
    ours = {
        "data": {"name": "synthetic", "num_train": 100, "size": 8},
        "model": {"name": "tiny_resnet", "width": 4},
        "mixing": {"name": "mixup", "partners": {"name": "random"}},
        "loss": {"name": "cross_entropy"},
        "optimizer": {"name": "sgd"},
        "schedule": {"name": "cosine"},
    }
    twins = {"data": "MyData", "model": "MyModel", "mixing": "MyMixup", "loss": "MyLoss", "optimizer": "MySgd"}
    theirs = {section: {**ours[section], "name": f"{TWINS}:{name}"} for section, name in twins.items()}
    theirs["mixing"]["partners"] = {"name": f"{TWINS}:MyPartners"}
    theirs["schedule"] = {"name": f"{TWINS}:MyCosine"}
    expected, found = (TrialConfig.from_dotted(settings, SHORT) for settings in (ours, theirs))
    unlike = ("epoch_s", "images_per_s")
    expected_rows, rows = (
        [{key: value for key, value in row.items() if key not in unlike} for row in Trainer(config).run()]
        for config in (expected, found)
    )
    assert rows == expected_rows
    assert found.identity() != expected.identity() and found != expected


@pytest.mark.parametrize("settings", FORMS, ids=str)
def test_a_configuration_survives_yaml(settings, tmp_path):
    config = TrialConfig.from_dotted(settings)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config.plain()))
    read = TrialConfig.parse(yaml.safe_load(file.read_text()))
    assert read == config and read.identity() == config.identity() and read.plain() == config.plain()


@pytest.mark.parametrize(
    ("part", "name", "settings"),
    [
        (Blend(share=0.5), f"{BLEND}:Blend", {"share": 0.5}),
        (Named(), f"{BLEND}:Named", {"share": 0.75}),
        (Outer.Inner(), f"{BLEND}:Outer.Inner", {"share": 0.75}),
        (HalfCut(), f"{BLEND}:HalfCut", {"applied": 0.5, "partners": {"name": "random"}}),
        (CutMix(partners=Shifted(by=2)), "cutmix", {"partners": {"name": f"{OTHERS}:Shifted", "by": 2}}),
    ],
    ids=lambda value: str(value),
)
def test_an_object_is_written_as_the_settings_that_make_it_again(part, name, settings):
    config = TrialConfig(mixing=part)
    assert config.mixing is part
    written = config.plain()["mixing"]
    assert written["name"] == name and written.items() >= settings.items()
    parsed = TrialConfig.parse({"mixing": {"name": name, **settings}})
    assert parsed == config and hash(parsed) == hash(config) and parsed.identity() == config.identity()
    assert TrialConfig.parse({"mixing": part}) == config


def test_members_of_a_mixture():
    config = TrialConfig.from_dotted(MIXTURE)
    assert config.mixing == Mixture(members={"mixup": Mixup(alpha=0.3), "mine": Blend(share=0.6)})
    only = Mixture(members={"mine": Blend(share=0.6)})
    assert TrialConfig(mixing=only).identity() == TrialConfig(mixing=Blend(share=0.6)).identity()


def test_classes_with_one_name_share_nothing():
    one, other = TrialConfig(mixing=Named()), TrialConfig(mixing=OtherNamed())
    assert one.identity() != other.identity() and one != other
    assert structure(one.mixing) != structure(other.mixing)


def test_the_place_a_class_was_named_by_does_not_matter(tmp_path, monkeypatch):
    (tmp_path / "shop_window.py").write_text("from outside_parts.blend import Blend, CutMix")
    monkeypatch.syspath_prepend(tmp_path)
    config = TrialConfig.from_dotted({"mixing.name": "shop_window:Blend"})
    assert config == TrialConfig(mixing=Blend())
    assert TrialConfig.from_dotted({"mixing.name": "shop_window:CutMix"}) == TrialConfig(mixing=CutMix())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mixing.share": 2.0}, "mixing.share: got 2.0, must be less than or equal to 1"),
        ({"mixing.shar": 0.5}, "mixing.shar: there is no such setting here (got 0.5)"),
        ({"mixing.share": "0.5"}, "mixing.share: got '0.5', must be a number"),
        ({"mixing.share": float("nan")}, "mixing.share: got nan"),
        ({"mixing.name": f"{BLEND}:HalfCut", "mixing.partners.name": f"{OTHERS}:Shifted", "mixing.partners.by": -1},
         "mixing.partners.by: got -1"),
        (MIXTURE | {"mixing.members.mine.share": 0.1}, "mixing.members.mine.share: got 0.1"),
        (MIXTURE | {"mixing.members.mine.name": f"{BLEND}:Blnd"},
         "mixing.members.mine.name: got 'outside_parts.blend:Blnd', but outside_parts.blend has no Blnd; did you mean "
         "Blend?"),
    ],
    ids=str,
)  # fmt: skip
def test_settings_are_validated_like_our_own(settings, message):
    with pytest.raises(ValueError) as caught:
        TrialConfig.from_dotted({"mixing.name": f"{BLEND}:Blend"}, settings)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_space_searches_over_classes_and_explains_their_settings():
    name = "mixing.name"
    space = SearchSpace(
        fixed={key: value for key, value in MIXTURE.items() if key != "mixing.members.mine.share"},
        free={"mixing.members.mine.share": CategoricalDistribution((0.5, 0.75))},
    )
    assert "What stays of the own example" in explain_key("mixing.members.mine.share", space)
    fixed = {key: value for key, value in EVERY_KIND.items() if key != name}
    space = SearchSpace(
        fixed=fixed,
        free={name: CategoricalDistribution((f"{BLEND}:Blend", "mixup"))}
        | {"mixing.share": CategoricalDistribution((0.5, 0.75))},
        conditions={"mixing.share": {name: (f"{BLEND}:Blend",)}},
    )
    assert "What stays of the own example" in explain_key("mixing.share", space)
    assert "Height and width" in explain_key("data.size", space)
    config = plan(space, name="gm")
    assert type(config.trial({name: f"{BLEND}:Blend", "mixing.share": 0.5}).mixing) is Blend


def test_a_metric_from_outside_ranks_trials():
    fixed = {"data.name": "digits", "mixing.name": "mixup"}
    space = SearchSpace(fixed=fixed, free={"mixing.alpha": CategoricalDistribution((0.1, 1.0))})
    by_path = plan(space, name="gm", metric=f"{OTHERS}:SECOND")
    assert (by_path.metric, by_path.direction) == ("val_second", "minimize")
    assert set(by_path.trial({"mixing.alpha": 1.0}).metrics) == {"accuracy", "nll", "ece", "second"}
    added = {"training.metrics": f"{OTHERS}:SECOND"}
    by_name = plan(space, added, name="gm", metric="val_second_median")
    assert by_name.direction == "minimize"
    assert plan(space, added, name="gm", metric=f"{OTHERS}:SECOND") == by_path
    with pytest.raises(ValueError, match="metric: got 'val_second', which is not reported; did you mean"):
        plan(space, name="gm", metric="val_second")
    with pytest.raises(ValueError, match="training.metrics: got 'outside_parts.others:SECND', but"):
        plan(space, name="gm", metric=f"{OTHERS}:SECND")


def test_a_trial_on_the_command_line(tmp_path, capsys):
    settings = EVERY_KIND | SHORT | {"training.metrics": f"{OTHERS}:SECOND", "mixing.share": 0.5}
    set_ = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    out = tmp_path / "trial"
    assert run(["train", "--space", "quickstart", *set_, "--out", str(out), "--json"]) == 2
    assert "mixing.alpha: there is no such setting" in capsys.readouterr().err  # the space's first point has it
    (tmp_path / "mine.yaml").write_text("training: {epochs: 1}")
    assert run(["train", "--config", str(tmp_path / "mine.yaml"), *set_, "--out", str(out), "--json"]) == 0
    end = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert names(end["config"]) == {section: settings[f"{section}.name"] for section in CLASSES}
    assert end["metrics"]["val_second"] == pytest.approx(1 - end["metrics"]["val_accuracy"])
    written = TrialConfig.parse(yaml.safe_load((out / "config.yaml").read_text()))
    assert written.of_data(None) == TrialConfig.from_dotted(settings)


@pytest.mark.slow
def test_a_users_own_process_finds_them_on_its_path(tmp_path):
    (tmp_path / "my_mixer.py").write_text((Path(__file__).parent / "outside_parts" / "blend.py").read_text())
    (tmp_path / "mine.yaml").write_text("{data: {train_limit: 200}, training: {epochs: 1}}")
    words = ["--config", "mine.yaml", "--set", "mixing.name=my_mixer:Blend", "--out", "out"]
    code = f"from tune_mixup.cli import main; import sys; sys.argv[1:] = {['train', *words]!r}; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())["mixing"]["name"] == "my_mixer:Blend"


SNIPPET = """
from outside_parts.blend import Blend
from outside_parts.others import Patches

from tune_mixup.config import TrialConfig
from tune_mixup.mixing import Mixer

config = TrialConfig(mixing=Blend(share=0.5), model=Patches())
mixer: Mixer = config.mixing
"""


@pytest.mark.slow
def test_mypy_knows_what_a_section_takes(tmp_path):
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text(SNIPPET)
    bad.write_text(SNIPPET + "\nTrialConfig(mixing=Patches())\n")
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(tmp_path / "mypy.ini")]
    (tmp_path / "mypy.ini").write_text("[mypy]\nplugins = pydantic.mypy\nfollow_imports = silent\n")
    path = {"MYPYPATH": f"{root}:{Path(__file__).parent}", "PATH": ""}
    accepted, refused = (
        subprocess.run([*command, str(file)], cwd=tmp_path, env=path, capture_output=True, text=True)
        for file in (good, bad)
    )
    assert accepted.returncode == 0, accepted.stdout
    assert refused.returncode == 1 and '"mixing" to "TrialConfig" has incompatible type "Patches"' in refused.stdout
