"""Whose a folder is, and what a trial goes on with when its files are not as it left them."""

import shutil

import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data.base import DataFault
from tune_mixup.training import checkpoint
from tune_mixup.training.trainer import Trainer

CONFIG = TrialConfig.from_dotted(
    {
        "data.name": "synthetic",
        "data.num_train": 60,
        "data.size": 8,
        "model.width": 2,
        "training.batch_size": 20,
        "training.epochs": 4,
    }
)


def trained(folder, epochs=2, config=CONFIG):
    trainer = Trainer(config, folder=folder, device="cpu")
    for _ in range(epochs):
        trainer.train_epoch()
    trainer.save_if_unsaved()
    return trainer


def timeless(history):
    return [{key: value for key, value in row.items() if key not in ("epoch_s", "images_per_s")} for row in history]


@pytest.fixture
def folder(tmp_path):
    trained(tmp_path / "t0000")
    return tmp_path / "t0000"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return timeless(trained(tmp_path_factory.mktemp("whole") / "t", 4).history)


def goes_on(folder):
    """Where it goes on, the notes that it made, and all its epochs."""
    notes = folder / "notes.txt"
    notes.unlink(missing_ok=True)
    trainer = Trainer(CONFIG, folder=folder, device="cpu")
    began = trainer.epoch
    return began, notes.read_text() if notes.exists() else "", timeless(trainer.run())


def test_a_trial_notes_the_content_of_its_data(folder):
    held = TrialConfig.parse(Trainer(CONFIG, folder=folder).folder.read_config())
    assert CONFIG.data.fingerprint is None and len(held.data.fingerprint) == 16
    assert held.identity() != CONFIG.identity() and held.of_data(None) == CONFIG


def test_a_folder_of_before_goes_on_and_notes_the_content_then(folder, whole):
    """Neither its configuration nor the identity in its states knew of data."""
    trainer = Trainer(CONFIG, folder=folder)
    trainer.folder.write_config(CONFIG.plain())
    for file in folder.glob("checkpoint*.pt"):
        state = torch.load(file, weights_only=True)
        torch.save({**state, "identity": CONFIG.identity()}, file)
    assert goes_on(folder) == (2, "", whole)
    assert trainer.folder.read_config()["data"]["fingerprint"] == trainer.data.fingerprint


@pytest.mark.parametrize("change", [{"data.data_seed": 1}, {"data.num_train": 80}])
def test_other_settings_are_another_trial(folder, change):
    with pytest.raises(ValueError, match="another configuration; choose another folder"):
        Trainer(TrialConfig.from_dotted(CONFIG.plain(), change), folder=folder)


def test_other_data_under_the_same_settings_are_refused(folder):
    held = Trainer(CONFIG, folder=folder).folder
    of_other = CONFIG.of_data("0123456789abcdef")
    with pytest.raises(DataFault, match="must be 0123456789abcdef"):
        Trainer(of_other, folder=folder)
    held.write_config(of_other.plain())
    for file in folder.glob("checkpoint*.pt"):
        file.unlink()
    with pytest.raises(DataFault, match="holds a trial of data with the fingerprint 0123456789abcdef, but those"):
        Trainer(CONFIG, folder=folder)


def foreign(folder):
    """The checkpoint of another trial, which loads and is whole."""
    other = trained(folder.parent / "other", 1, CONFIG.replace(seed=5))
    shutil.copy(other.folder.checkpoint, folder / "checkpoint.pt")


def no_state(folder):
    torch.save({"weights": torch.ones(3)}, folder / "checkpoint.pt")


def older_history(folder):
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    torch.save({**state, "history": state["history"][:-1]}, folder / "checkpoint.pt")


@pytest.mark.parametrize("damage", [foreign, no_state, older_history])
def test_a_state_that_loads_and_is_not_ours_is_passed_over_with_a_note(folder, whole, damage):
    damage(folder)
    began, notes, history = goes_on(folder)
    assert (began, history) == (1, whole)
    assert notes.endswith("checkpoint.pt is no state of this trial; trained on from epoch 1\n")


def test_a_state_that_was_deleted_leaves_a_note(folder, whole):
    (folder / "checkpoint.pt").unlink()
    began, notes, history = goes_on(folder)
    assert (began, history) == (1, whole)
    assert notes.endswith(" checkpoint.pt was missing; trained on from epoch 1\n")
    trained(folder.parent / "again")
    for file in (folder.parent / "again").glob("checkpoint*.pt"):
        file.unlink()
    began, notes, history = goes_on(folder.parent / "again")
    assert (began, history) == (0, whole) and notes.endswith(" checkpoint.pt was missing; trained on from epoch 0\n")


def test_a_state_that_was_not_yet_in_its_place_is_taken(folder, whole):
    (folder / "checkpoint.pt").rename(folder / "checkpoint.next.pt")
    assert goes_on(folder) == (2, "", whole)


def test_an_ended_trial_keeps_a_state_that_was_not_yet_in_its_place(folder, whole):
    assert goes_on(folder)[2] == whole
    (folder / "checkpoint.pt").rename(folder / "checkpoint.next.pt")
    assert Trainer(CONFIG, folder=folder, device="cpu").done
    assert [file.name for file in folder.glob("checkpoint*.pt")] == ["checkpoint.pt"]


def test_who_reads_that_a_trial_has_ended_finds_its_weights(folder, whole, monkeypatch):
    """A driver that is killed then takes the trial to be complete, and nobody would train it to its end again."""
    trainer = Trainer(CONFIG, folder=folder, device="cpu")
    trainer.train_epoch()

    def killed(state, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.train_epoch()
    assert len(trainer.folder.read_epochs()) < 4
    monkeypatch.undo()
    assert goes_on(folder)[2] == whole
    assert len(trainer.folder.read_epochs()) == checkpoint.peek(folder / "checkpoint.pt")[0]["epoch"] == 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("epochs: 4", "epochs: 5"),
        lambda text: text[: text.index("optimizer:")],  # whole lines, and no checksum
        lambda text: text[: text.index("  epochs:")],
        lambda text: "",
    ],
)
def test_a_damaged_configuration_is_written_again(folder, whole, damage):
    path = folder / "config.yaml"
    before = path.read_text()
    path.write_text(damage(before))
    began, notes, history = goes_on(folder)
    assert (began, history) == (2, whole) and "config.yaml was damaged; written again" in notes
    assert path.read_text() == before


def test_a_damaged_configuration_is_no_way_into_the_folder_of_another(folder):
    before = (folder / "checkpoint.pt").read_bytes()
    for content in (None, "seed: ["):
        (folder / "config.yaml").unlink(missing_ok=True)
        if content is not None:
            (folder / "config.yaml").write_text(content)
        with pytest.raises(ValueError, match="another configuration"):
            Trainer(CONFIG.replace(seed=1), folder=folder)
    assert (folder / "checkpoint.pt").read_bytes() == before
    assert checkpoint.peek(folder / "checkpoint.pt")[0]["epoch"] == 2


def test_what_is_left_of_a_configuration_does_not_make_a_trial_without_a_state_another(folder, whole):
    (folder / "checkpoint.pt").unlink()
    (folder / "checkpoint.previous.pt").unlink(missing_ok=True)
    path = folder / "config.yaml"
    path.write_text(path.read_text().partition("  epochs:")[0])
    began, notes, history = goes_on(folder)
    assert (began, history) == (0, whole) and "config.yaml was damaged; written again" in notes
