import math
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tune_mixup
from tune_mixup.config import TrialConfig
from tune_mixup.data.loading import forget_data, load
from tune_mixup.data.synthetic import Synthetic
from tune_mixup.record.trial_folder import TrialFolder
from tune_mixup.training.trained import load_trained
from tune_mixup.training.trainer import Trainer

REPOSITORY = Path(__file__).parents[2]
SMALL = {
    "data.name": "synthetic",
    "data.num_classes": 3,
    "data.num_train": 150,
    "data.num_test": 30,
    "data.size": 8,
    "data.channels": 3,
    "model.name": "tiny_resnet",
    "model.width": 4,
    "mixing.name": "mixup",
    "training.epochs": 2,
    "training.batch_size": 30,
}


def config(**changes):
    return TrialConfig.from_dotted(SMALL, {key.replace("__", "."): value for key, value in changes.items()})


def train(folder, epochs=None, **changes):
    trainer = Trainer(config(**changes), folder=folder, device="cpu")
    for _ in range(trainer.config.training.epochs if epochs is None else epochs):
        trainer.train_epoch()
        trainer.save_if_unsaved()  # on a slow machine it has saved by itself
    return trainer


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A trial that has ended; nobody writes there."""
    return train(tmp_path_factory.mktemp("trained") / "trial")


def contents(folder):
    """Every file below, with its bytes and the time of its last change."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def measured(probabilities, targets):
    """Accuracy, nll and ece (15 bins) by a loop over the rows."""
    right, nll, bins = 0, 0.0, [[0, 0.0, 0.0] for _ in range(15)]
    for row, target in zip(probabilities.double().tolist(), targets.tolist(), strict=True):
        top = row.index(max(row))
        right += top == target
        nll -= math.log(row[target])
        one = bins[max(0, math.ceil(max(row) * 15) - 1)]
        one[0] += 1
        one[1] += top == target
        one[2] += max(row)
    count = len(targets)
    ece = sum(abs(correct - confidence) for members, correct, confidence in bins if members) / count
    return {"val_accuracy": right / count, "val_nll": nll / count, "val_ece": ece}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training__eval_batch_size": 7},
        {"training__precision": "bf16", "training__channels_last": True},
        {"training__precision": "fp16"},
        {"data__mean": [0.1, 0.2, 0.3], "data__std": [0.5, 0.25, 0.125]},
        {"model__num_classes": 5},
    ],
)
def test_predictions_have_the_metrics_that_validation_had(tmp_path, changes):
    trainer = train(tmp_path, **changes)
    trained = load_trained(tmp_path, device="cpu")
    images, targets = trainer.data.validation
    probabilities = trained.predict(images)
    assert probabilities.dtype == torch.float32
    assert probabilities.shape == (15, changes.get("model__num_classes", 3))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(15))
    report = trainer.history[-1]
    for name, value in measured(probabilities, targets).items():
        assert value == pytest.approx(report[name], rel=1e-5, abs=1e-6), name
    assert (trained.config, trained.epoch, trained.report) == (trainer.config, 2, report)
    assert trained.class_names == ("class 0", "class 1", "class 2")


def test_images_are_normalised_and_shown_to_the_network_as_they_are(finished):
    trained = load_trained(finished.folder.path, device="cpu")
    images = finished.data.validation.images[:]
    assert not trained.model.training and trained.device.type == "cpu"
    with torch.no_grad():
        for image, row in zip(images, trained.logits(images), strict=True):
            pixels = (image.double() / 255 - finished.data.mean.double()) / finished.data.std.double()
            expected = trained.model(pixels.float()[None])[0]
            torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-5)
    assert not trained.logits(images).requires_grad
    assert trained.predict(images[:0]).shape == (0, 3)


def test_batches_are_of_the_size_for_evaluation(tmp_path, monkeypatch):
    train(tmp_path, training__eval_batch_size=4)
    trained = load_trained(tmp_path, device="cpu")
    seen = []
    trained.model.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    trained.predict(torch.zeros(10, 3, 8, 8, dtype=torch.uint8))
    assert seen == [4, 4, 2]


def test_the_network_predicts_in_evaluation_mode_whatever_was_done_to_it(finished):
    trained = load_trained(finished.folder.path, device="cpu")
    images = finished.data.validation.images[:]
    before = trained.predict(images)
    trained.model.train()
    assert torch.equal(trained.predict(images), before)


@pytest.fixture
def image_folder(tmp_path):
    """Sixty grey-green images of two classes, a third of them for testing."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        part, kind = ("test" if number % 3 == 0 else "train"), ("dark", "light")[number % 2]
        folder = tmp_path / "images" / part / kind
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image // 2 + 127 * (number % 2)).save(folder / f"{number}.png")
    data = {"data.name": "imagefolder", "data.path": str(tmp_path / "images"), "data.root": str(tmp_path / "root")}
    others = {key: value for key, value in SMALL.items() if not key.startswith("data.")}
    return TrialConfig.from_dotted(others, data, {"training.batch_size": 12})


def test_the_data_may_be_gone(image_folder, tmp_path):
    trainer = Trainer(image_folder, folder=tmp_path / "trial", device="cpu")
    trainer.run()
    images, targets = trainer.data.validation
    shutil.rmtree(tmp_path / "images")
    forget_data()
    trained = load_trained(tmp_path / "trial", device="cpu")
    assert trained.class_names == ("dark", "light")
    found = measured(trained.predict(images[:]), targets)
    assert found["val_nll"] == pytest.approx(trainer.history[-1]["val_nll"], rel=1e-5)
    without_data(tmp_path / "trial" / "checkpoint.pt")
    with pytest.raises(ValueError, match="checkpoint.pt was written by an earlier version, .*images does not exist"):
        load_trained(tmp_path / "trial", device="cpu")


def without_data(path):
    """Makes a checkpoint what it was before it held facts of the data."""
    state = torch.load(path, weights_only=True)
    del state["data"]
    torch.save(state, path)


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """The folder of trial 0 of a sweep that was run by the code of before, which kept nothing of the data."""
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(REPOSITORY / "tests" / "record" / "before_formats.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "finished" / "trials" / "t0000"


def test_a_checkpoint_of_before_reads_the_data_instead(before, monkeypatch):
    monkeypatch.setattr(Synthetic, "read_test", None)
    assert "data" not in torch.load(before / "checkpoint.pt", weights_only=True)
    found = contents(before)
    trained = load_trained(before, device="cpu")
    assert contents(before) == found
    assert trained.epoch == trained.config.training.epochs == 9
    images, targets = load(trained.config.data, seed=trained.config.seed, device=torch.device("cpu")).validation
    last = TrialFolder(before).read_epochs()[-1]
    for name, value in measured(trained.predict(images[:]), targets).items():
        assert value == pytest.approx(last[name], rel=1e-4, abs=1e-6), name


def test_a_trial_of_before_goes_on_with_the_same_numbers(tmp_path):
    whole = train(tmp_path / "whole", training__epochs=3)
    parts = train(tmp_path / "parts", epochs=1, training__epochs=3)
    without_data(tmp_path / "parts" / "checkpoint.pt")
    again = Trainer(parts.config, folder=tmp_path / "parts", device="cpu")
    assert again.epoch == 1
    again.run()
    for key, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[key]), key
    assert "data" in torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)


def test_an_unfinished_trial_gives_its_newest_whole_checkpoint_and_nothing_is_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(Synthetic, "read_test", None)
    trainer = train(tmp_path, epochs=2, training__epochs=4)
    images, targets = trainer.data.validation
    reports = trainer.history
    monkeypatch.setattr(Synthetic, "read_train", None)
    forget_data()
    for epoch in (2, 1):
        found = contents(tmp_path)
        trained = load_trained(tmp_path, device="cpu")
        assert trained.epoch == epoch and f"epoch {epoch} of 4;" in repr(trained)
        nll = measured(trained.predict(images[:]), targets)["val_nll"]
        assert nll == pytest.approx(reports[epoch - 1]["val_nll"], rel=1e-5)
        assert contents(tmp_path) == found
        newest = tmp_path / "checkpoint.pt"
        newest.write_bytes(newest.read_bytes()[:100])
    (tmp_path / "checkpoint.previous.pt").write_bytes(b"")
    found = contents(tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint.pt and .*checkpoint.previous.pt is truncated or damaged, "):
        load_trained(tmp_path, device="cpu")
    assert contents(tmp_path) == found


def test_a_model_that_was_trained_as_a_cuda_graph_predicts_without_one(finished, tmp_path):
    folder = shutil.copytree(finished.folder.path, tmp_path / "trial")
    TrialFolder(folder).write_config(config(training__compile="graph").plain())
    trained = load_trained(folder, device="cpu")
    assert trained.config.training.compile == "graph"
    images = finished.data.validation.images[:]
    assert torch.equal(trained.predict(images), load_trained(finished.folder.path, device="cpu").predict(images))


def test_a_diverged_model_says_so(tmp_path):
    Trainer(config(optimizer__lr=1e30), folder=tmp_path, device="cpu").run()
    trained = load_trained(tmp_path, device="cpu")
    assert trained.report["diverged"] == 1 and ", diverged; on cpu" in repr(trained)


def test_it_says_what_it_is(finished):
    folder = finished.folder.path
    trained = load_trained(str(folder), device="cpu")
    assert repr(trained) == f"<TrainedModel: mixup, tiny_resnet, synthetic; epoch 2 of 2; on cpu, from {folder}>"


@pytest.mark.parametrize(
    "break_, words",
    [
        (shutil.rmtree, "t does not exist; give the folder of a trial: DIR of"),
        (
            lambda folder: [shutil.rmtree(folder), folder.write_text("")],
            "t is not a folder; give the folder of a trial",
        ),
        (lambda folder: (folder / "config.yaml").unlink(), "t holds no config.yaml; give the folder of a trial"),
        (lambda folder: (folder / "config.yaml").write_text("seed: -1"), "config.yaml: seed: got -1, must be"),
        (
            lambda folder: (folder / "checkpoint.pt").unlink(),
            r"t holds no checkpoint \(2 epochs were reported\); trials",
        ),
        (lambda folder: (folder / "checkpoint.pt").write_bytes(b"PK"), "checkpoint.pt is truncated or damaged, and no"),
        (lambda folder: torch.save({"epoch": 1}, folder / "checkpoint.pt"), "checkpoint.pt is not the checkpoint of a"),
        (lambda folder: torch.save([1], folder / "checkpoint.pt"), "checkpoint.pt is not the checkpoint of a trial"),
        (
            lambda folder: TrialFolder(folder).write_config(config(model__width=6).plain()),
            "checkpoint.pt: its weights are not those of the model that .*config.yaml describes; give",
        ),
    ],
)
def test_a_folder_that_gives_no_model_is_refused_in_one_line(finished, tmp_path, break_, words):
    folder = shutil.copytree(finished.folder.path, tmp_path / "t")
    break_(folder)
    with pytest.raises(ValueError, match=words) as caught:
        load_trained(folder, device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "images, words",
    [
        (torch.zeros(2, 3, 8, 8), "images: got float32 [2, 3, 8, 8], must be uint8 [N, 3, 8, 8]: "),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), "got uint8 [2, 1, 8, 8], must be uint8 [N, 3, 8, 8]"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), "got uint8 [2, 8, 8, 3], must be"),
        (torch.zeros(2, 3, 8, 9, dtype=torch.uint8), "got uint8 [2, 3, 8, 9], must be"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "got uint8 [3, 8, 8], must be"),
        (np.zeros((2, 3, 8, 8), np.uint8), "images: got ndarray, must be a torch.Tensor of uint8 [N, 3, 8, 8]; "),
    ],
)
def test_other_images_are_refused_in_one_line(finished, images, words):
    trained = load_trained(finished.folder.path, device="cpu")
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        trained.predict(images)
    assert "\n" not in str(caught.value)


def test_the_example_of_the_documentation_runs_word_for_word(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "models.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    names = {}
    exec(compile(code, "docs/models.md", "exec"), names)
    assert names["probabilities"].shape == (5, 10)
    printed, classes = capsys.readouterr().out.splitlines()
    assert f"print(trained)  # {printed}\n" in code
    assert re.fullmatch(r"\[('\d', ){4}'\d'\]", classes)
    assert tune_mixup.load_trained is load_trained


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_a_gpu_predicts_what_it_validated_and_a_cpu_nearly_the_same(tmp_path, precision):
    settings = config(training__precision=precision, training__channels_last=True, training__epochs=4)
    trainer = Trainer(settings, folder=tmp_path, device="cuda")
    trainer.run()
    images, targets = trainer.data.validation
    trained = load_trained(tmp_path)
    assert trained.device.type == "cuda"
    there, here = trained.predict(images), trained.predict(images.cpu())
    assert there.device.type == "cuda" and here.device.type == "cpu"
    torch.testing.assert_close(there.cpu(), here, rtol=1e-5, atol=1e-6)
    for name, value in measured(here, targets.cpu()).items():
        assert value == pytest.approx(trainer.history[-1][name], rel=1e-4, abs=1e-5), name
    on_cpu = load_trained(tmp_path, device="cpu").predict(images.cpu())
    torch.testing.assert_close(on_cpu, here, rtol=0, atol=2e-3 if precision in ("fp32", "tf32") else 5e-2)
