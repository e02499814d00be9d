import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data import load_test
from tune_mixup.mixing import MIXERS
from tune_mixup.training.divergence import why_diverged
from tune_mixup.training.trainer import Trainer

REPOSITORY = Path(__file__).parents[2]
SMALL = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 400,
    "data.num_test": 80,
    "data.size": 20,
    "data.batches": "stratified",
    "model.name": "tiny_resnet",
    "model.width": 4,
    "optimizer.lr": 0.05,
    "training.epochs": 4,
    "training.batch_size": 40,
}


CHEAP = {"puzzlemix": {"mixing__t_size": 0}}
"""On images of 20 pixels, patches of usual size would be single pixels, and 400 of them bid for 400 places."""


def config(**changes):
    return TrialConfig.from_dotted(SMALL, {key.replace("__", "."): value for key, value in changes.items()})


def timeless(history):
    return [{k: v for k, v in row.items() if k not in ("epoch_s", "images_per_s")} for row in history]


@pytest.mark.parametrize("name", MIXERS)
def test_every_method_learns_and_reports_finite_values(name):
    trainer = Trainer(config(mixing__name=name, training__epochs=6, **CHEAP.get(name, {})))
    history = trainer.run()
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert all(math.isfinite(value) for row in history for value in row.values())
    assert history[-1]["val_accuracy"] > 0.5  # four classes, well separated
    assert history[-1]["val_nll"] < history[0]["val_nll"]


@pytest.mark.parametrize("name", MIXERS)
@pytest.mark.parametrize("stop", [1, 3])
def test_interrupted_and_resumed_equals_uninterrupted_bit_for_bit(name, stop, tmp_path):
    settings = config(mixing__name=name, **CHEAP.get(name, {}))
    whole = Trainer(settings)
    whole.run()
    first = Trainer(settings, folder=tmp_path)
    for _ in range(stop):
        first.train_epoch()
    first.save()
    del first
    second = Trainer(settings, folder=tmp_path)
    assert second.epoch == stop
    second.run()
    assert timeless(second.history) == timeless(whole.history)
    for key, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[key]), key
    for key, tensor in whole.mixer_state.items():
        assert torch.equal(tensor, second.mixer_state[key]), key


def test_epochs_after_the_checkpoint_are_trained_again_with_the_same_numbers(tmp_path):
    settings = config()
    first = Trainer(settings, folder=tmp_path)
    first.train_epoch()
    first.save()
    first._save_s = math.inf  # from here on nothing is saved, as when saving is slow
    first.train_epoch()
    reported = first.folder.read_epochs()
    second = Trainer(settings, folder=tmp_path)
    assert second.epoch == 1 and len(second.folder.read_epochs()) == 1
    second.train_epoch()
    assert timeless(second.folder.read_epochs()) == timeless(reported)


def test_an_ended_trial_keeps_one_checkpoint_without_its_optimizer(tmp_path):
    trainer = Trainer(config(), folder=tmp_path)
    trainer.train_epoch()
    trainer.save()
    trainer.train_epoch()
    trainer.save()
    assert {"checkpoint.pt", "checkpoint.previous.pt"} < {path.name for path in tmp_path.iterdir()}
    unfinished = (tmp_path / "checkpoint.pt").stat().st_size
    trainer.run()
    assert [path.name for path in tmp_path.glob("checkpoint*")] == ["checkpoint.pt"]
    assert (tmp_path / "checkpoint.pt").stat().st_size < 0.7 * unfinished  # momentum is as large as the weights
    again = Trainer(config(), folder=tmp_path)
    assert again.done and again.history == trainer.history
    assert again.evaluate(again.data.validation) == trainer.evaluate(trainer.data.validation)


def test_damaged_checkpoints_cost_epochs_and_never_the_trial(tmp_path, monkeypatch):
    monkeypatch.setattr("tune_mixup.training.trainer.SAVE_SHARE", math.inf)  # it saves when it is told to, only
    whole = Trainer(config(), folder=tmp_path / "whole")
    whole.run()
    first = Trainer(config(), folder=tmp_path / "first")
    for _ in range(2):
        first.train_epoch()
        first.save()
    for keep, expected in ((("checkpoint.previous.pt",), 1), ((), 0)):
        for path in (tmp_path / "first").glob("checkpoint*"):
            if path.name not in keep:
                path.write_bytes(path.read_bytes()[:100])
        trainer = Trainer(config(), folder=tmp_path / "first")
        assert trainer.epoch == expected
        assert "truncated or damaged" in (tmp_path / "first" / "notes.txt").read_text()
    trainer.run()
    assert timeless(trainer.history) == timeless(whole.history)


def test_seeds_differ_and_equal_seeds_agree():
    runs = {seed: timeless(Trainer(config(seed=seed, training__epochs=2)).run()) for seed in (0, 1)}
    assert runs[0] != runs[1]
    assert timeless(Trainer(config(seed=0, training__epochs=2)).run()) == runs[0]


def test_the_confusion_matrix_is_kept_per_epoch(tmp_path):
    trainer = Trainer(config(mixing__name="generalized_mixup", training__epochs=3), folder=tmp_path)
    trainer.run()
    files = sorted((tmp_path / "snapshots").iterdir())
    assert [file.name for file in files] == ["0001.npz", "0002.npz", "0003.npz"]
    with np.load(files[-1]) as arrays:
        assert arrays["confusion"].shape == (4, 4)
        np.testing.assert_allclose(arrays["confusion"].sum(1), 1, atol=1e-9)
        np.testing.assert_array_equal(arrays["confusion"], trainer.mixer_state["confusion"].numpy())


def test_a_diverged_trial_says_so_with_finite_values_and_ends(tmp_path):
    trainer = Trainer(config(optimizer__lr=1e30), folder=tmp_path)
    history = trainer.run()
    assert history[-1]["diverged"] == 1 and len(history) < 4 and trainer.done
    assert all(math.isfinite(value) for row in history for value in row.values())
    assert Trainer(config(optimizer__lr=1e30), folder=tmp_path).done


def test_a_loss_that_stays_far_above_guessing_has_exploded():
    wild = Trainer(config(optimizer__lr=3.0)).run()
    assert max(row["val_nll"] for row in wild) > 40 * math.log(4), "confident nonsense on validation alone is no fault"
    assert len(wild) == 4 and all(row["diverged"] == 0 for row in wild)
    last = Trainer(config(optimizer__lr=10.0)).run()[-1]
    assert last["diverged"] == 1 and last["train_loss"] > 10 * math.log(4)
    assert not any(key.startswith("val_") for key in last) and all(math.isfinite(value) for value in last.values())
    assert why_diverged(last) == f"the loss is {last['train_loss']:.4g}, more than 10 times that of guessing"
    assert why_diverged({"epoch": 3, "diverged": 1}) == "the loss is NaN or infinite"


@pytest.mark.parametrize(
    "given, got",
    [
        ({"optimizer.lr": 0.1}, "dict"),
        ("runs/one", "'runs/one'"),
        (Path("runs/one"), repr(Path("runs/one"))),
        (None, "NoneType"),
        (TrialConfig, "ModelMetaclass"),
    ],
)
def test_what_is_no_configuration_is_refused_in_one_line(given, got):
    words = f"Trainer: got {got}, must be a TrialConfig; TrialConfig.from_dotted makes one of a dict of settings, "
    with pytest.raises(ValueError, match=f"^{re.escape(words)}") as caught:
        Trainer(given)
    assert "\n" not in str(caught.value)


def test_a_trainer_says_what_it_trains_and_how_far_it_is(tmp_path):
    trainer = Trainer(config(mixing__name="mixup"), device="cpu")
    what = "mixup, tiny_resnet, synthetic"
    assert repr(trainer) == f"<Trainer: {what}; epoch 0 of 4; on cpu, without a folder>"
    trainer = Trainer(config(mixing__name="mixup"), folder=tmp_path, device="cpu")
    trainer.train_epoch()
    assert repr(trainer) == f"<Trainer: {what}; epoch 1 of 4; on cpu, in {tmp_path}>"
    wild = Trainer(config(optimizer__lr=1e30), device="cpu")
    epoch = len(wild.run())
    assert (
        repr(wild) == f"<Trainer: erm, tiny_resnet, synthetic; epoch {epoch} of 4, diverged; on cpu, without a folder>"
    )


WITHOUT = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in ("optuna", "pandas", "ray") else super().find_spec(name, path, target)

sys.meta_path = [Without if finder is PathFinder else finder for finder in sys.meta_path]
for absent in ("optuna", "pandas", "ray"):
    try:
        __import__(absent)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{absent} is not blocked")
from tune_mixup import Trainer, TrialConfig, load_trained
settings = {"data.name": "synthetic", "data.num_train": 40, "data.size": 8, "model.width": 4}
config = TrialConfig.from_dotted(settings, {"mixing.name": "generalized_mixup", "data.batches": "stratified",
                                            "training.epochs": 1, "training.batch_size": 20})
trainer = Trainer(config, folder=sys.argv[1], device="cpu")
(report,) = trainer.run()
print(report["epoch"], load_trained(sys.argv[1], device="cpu").predict(trainer.data.validation.images).shape[1])
"""


def test_a_trial_needs_no_ray_no_optuna_and_no_pandas(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, tmp_path / "trial"], capture_output=True, text=True, cwd=REPOSITORY
    )
    assert done.stdout == "1 10\n", done.stderr


def test_medians_are_over_the_last_epochs():
    history = Trainer(config(training__median_epochs=3)).run()
    for row in range(4):
        window = [h["val_accuracy"] for h in history[max(0, row - 2) : row + 1]]
        assert history[row]["val_accuracy_median"] == np.median(window)
    assert all(h["val_nll_median"] == h["val_nll"] for h in Trainer(config(training__median_epochs=1)).run())


def test_as_published_all_is_trained_on_and_the_test_split_measured():
    whole = config(data__validation_fraction=0, training__median_epochs=3)
    trainer = Trainer(whole)
    assert len(trainer.data.train.targets) == 400
    test = load_test(whole.data, device=torch.device("cpu"))
    seen = []
    while not trainer.done:
        report = trainer.train_epoch()
        predicted = trainer.step.network.logits(test.images).argmax(1)
        seen.append((predicted == test.targets).double().mean().item())
        assert report["test_accuracy"] == pytest.approx(seen[-1], abs=1e-6)
        assert report["test_accuracy_median"] == pytest.approx(np.median(seen[-3:]), abs=1e-6)
        assert not any(key.startswith("val_") for key in report)
    assert trainer.test()["accuracy"] == trainer.history[-1]["test_accuracy"]


def evaluated(history):
    return [row["epoch"] for row in history if "val_accuracy" in row]


def test_validation_at_rungs_only_changes_nothing_but_what_is_known():
    always = Trainer(config(training__epochs=8, training__median_epochs=2)).run()
    rare = Trainer(config(training__epochs=8, training__median_epochs=2, training__eval="rungs"), rungs=(3, 4)).run()
    assert evaluated(rare) == [2, 3, 4, 7, 8]  # the epochs that the medians at 3, 4 and 8 are taken over
    for one, other in zip(timeless(always), timeless(rare), strict=True):
        shared = {key: value for key, value in one.items() if key in other and not (key.endswith("median"))}
        assert shared == {key: value for key, value in other.items() if not key.endswith("median")}
    for epoch in (3, 4, 8):
        assert rare[epoch - 1]["val_accuracy_median"] == always[epoch - 1]["val_accuracy_median"]
    assert all(math.isfinite(row["train_loss"]) and row["diverged"] == 0 for row in rare)


def test_without_rungs_validation_is_at_the_end():
    assert evaluated(Trainer(config(training__eval="rungs", training__median_epochs=1)).run()) == [4]
    diverged = Trainer(config(training__eval="rungs", optimizer__lr=1e30, training__median_epochs=1)).run()
    assert diverged[-1]["diverged"] == 1 and not evaluated(diverged)


def test_the_schedule_reaches_the_optimizer():
    history = Trainer(config(optimizer__lr=0.04)).run()
    expected = [0.04 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]
    assert [row["lr"] for row in history] == pytest.approx(expected)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_learns_too(precision):
    history = Trainer(config(training__precision=precision, training__channels_last=True, training__epochs=6)).run()
    assert history[-1]["val_accuracy"] > 0.5


@pytest.mark.slow
def test_a_compiled_model_gives_the_same_losses():
    """In a process of its own, since a fault of a compiled kernel would end this one."""
    script = (
        "import json, sys, torch; torch.set_num_threads(1)\n"
        "from tune_mixup import Trainer, TrialConfig\n"
        "settings = json.loads(sys.argv[1])\n"
        "for mode in ('none', 'model'):\n"
        "    trial = TrialConfig.from_dotted(settings, {'training.compile': mode, 'training.epochs': 1})\n"
        "    print(Trainer(trial).run()[0]['train_loss'])\n"
    )
    words = [sys.executable, "-c", script, json.dumps(SMALL)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    eager, compiled = map(float, done.stdout.split())
    assert compiled == pytest.approx(eager, rel=1e-3)


def test_evaluation_is_of_the_whole_split_in_evaluation_mode():
    trainer = Trainer(config(training__eval_batch_size=7))
    trainer.train_epoch()
    values = trainer.evaluate(trainer.data.validation)
    trainer.model.eval()
    right, nll = 0, 0.0
    with torch.no_grad():
        for image, target in zip(*trainer.data.validation, strict=True):
            pixels = (image.float() / 255 - trainer.data.mean) / trainer.data.std
            logits = trainer.model(pixels[None])[0].double()
            right += int(logits.argmax() == target)
            nll -= float(logits.log_softmax(0)[target])
    count = len(trainer.data.validation.targets)
    assert values["accuracy"] == pytest.approx(right / count)
    assert values["nll"] == pytest.approx(nll / count, rel=1e-4)


def test_a_folder_of_another_trial_is_refused(tmp_path):
    Trainer(config(), folder=tmp_path)
    with pytest.raises(ValueError, match="another configuration"):
        Trainer(config(mixing__name="mixup"), folder=tmp_path)
    with pytest.raises(ValueError, match="another configuration"):
        Trainer(config(seed=5), folder=tmp_path)


@pytest.mark.parametrize("name", MIXERS)
def test_no_step_reads_from_the_device(name, monkeypatch):
    """The host must never wait for the device: an epoch of ten steps reads as little as one of two."""
    counts = []
    for num_train in (100, 450):
        settings = config(mixing__name=name, data__num_train=num_train, **CHEAP.get(name, {}))
        counts.append(count_reads(Trainer(settings), monkeypatch))
    assert counts[0] == counts[1]


def count_reads(trainer, monkeypatch):
    reads = []
    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__int__", "__float__"):
        original = getattr(torch.Tensor, name)

        def spy(self, *args, _original=original, _name=name, **kwargs):
            reads.append(_name)
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, spy)
    trainer._train()
    monkeypatch.undo()
    return reads


def test_a_model_with_dropout_resumes_bit_for_bit_too(tmp_path):
    settings = TrialConfig.from_dotted({key: value for key, value in SMALL.items() if key != "model.width"}, {
        "model.name": "vgg11", "model.variant": "speech", "data.size": 16, "data.num_train": 80, "training.epochs": 2,
    })  # fmt: skip
    whole = Trainer(settings).run()
    first = Trainer(settings, folder=tmp_path)
    first.train_epoch()
    first.save()
    assert timeless(Trainer(settings, folder=tmp_path).run()) == timeless(whole)


def test_images_too_small_for_the_model_are_refused():
    settings = {key: value for key, value in SMALL.items() if key != "model.width"}
    with pytest.raises(ValueError, match="preact_resnet18.*8"):
        Trainer(TrialConfig.from_dotted(settings, {"data.size": 4, "model.name": "preact_resnet18"}))


def test_spare_outputs_are_for_methods_that_do_not_pair_every_class():
    Trainer(config(model__num_classes=6, mixing__name="mixup")).train_epoch()
    with pytest.raises(ValueError, match="model.num_classes: got 6, but the data has 4 classes"):
        Trainer(config(model__num_classes=6, mixing__name="generalized_mixup"))


def test_settings_of_one_identity_train_alike_and_share_a_folder(tmp_path):
    plain, degenerate = config(mixing__name="erm"), config(mixing__name="generalized_mixup", mixing__alpha=0.0)
    assert plain.identity() == degenerate.identity()
    first = Trainer(plain, folder=tmp_path)
    first.train_epoch()
    first.save()
    assert timeless(Trainer(degenerate, folder=tmp_path).run()) == timeless(Trainer(plain).run())


def test_an_empty_folder_does_not_mean_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = TrialConfig.from_dotted({"data.name": "synthetic", "data.num_train": 60, "training.batch_size": 30})
    with pytest.raises(ValueError, match="^got '', must be a path; give . for the current folder$"):
        Trainer(config, folder="")
    assert not list(tmp_path.iterdir())
