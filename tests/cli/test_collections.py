"""The verbs on data from tables, arrays and torchvision's files."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tune_mixup.analysis.configurations import read_configurations
from tune_mixup.analysis.gallery import gallery
from tune_mixup.config import TrialConfig
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.training.trained import load_trained

QUICK = ("model.name=tiny_resnet", "model.width=2", "training.epochs=2", "training.batch_size=8", "data.size=8")
NAMES = ("black cat", "white dog")


def images(count, seed):
    """Half of them dark, half of them light, so that they can be learnt."""
    noise = np.random.default_rng(seed).integers(0, 60, (count, 10, 9, 3), dtype=np.uint8)
    return noise + (np.arange(count) % 2 * 180).astype(np.uint8)[:, None, None, None]


@pytest.fixture
def table(tmp_path):
    """A folder as on the hub, with images larger than wanted."""
    features = {"image": {"_type": "Image"}, "label": {"names": list(NAMES), "_type": "ClassLabel"}}
    noted = {"huggingface": json.dumps({"info": {"features": features}})}
    for seed, part in enumerate(("train", "test")):
        cells = []
        for each in images(40, seed):
            content = io.BytesIO()
            Image.fromarray(each).save(content, "PNG")
            cells.append({"bytes": content.getvalue(), "path": None})
        rows = pa.table({"image": cells, "label": [i % 2 for i in range(40)]}).replace_schema_metadata(noted)
        (tmp_path / "pets").mkdir(exist_ok=True)
        pq.write_table(rows, tmp_path / "pets" / f"{part}-00000-of-00001.parquet")
    return tmp_path / "pets"


def sets(*settings):
    return [word for setting in (*QUICK, *settings) for word in ("--set", setting)]


def test_training_on_an_npz_file_keeps_its_class_names(command, tmp_path):
    arrays = {"images": images(40, 0), "labels": np.arange(40) % 2, "class_names": np.array(NAMES)}
    np.savez(tmp_path / "mine.npz", **arrays)
    assert command("train", "--space", "mixup", *sets("data.name=npz", "data.path=mine.npz"), "--out", "one") == 0, (
        command.err
    )
    assert load_trained(tmp_path / "one").class_names == NAMES


def test_what_has_no_test_is_told_before_training(command, table):
    (table / "test-00000-of-00001.parquet").unlink()
    words = sets("data.name=parquet", "data.path=pets", "data.validation_fraction=0")
    assert "pets has no file whose name begins with test" in command.refused(
        "train", "--space", "mixup", *words, "--out", "one"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_every_verb_works_on_a_parquet_file(command, table, tmp_path):
    words = sets("data.name=parquet", "data.path=pets")
    flags = ("--trials", 3, "--name", "s", "--concurrent", 1, "--scheduler", "none")
    assert command("sweep", "mixup", *words, *flags) == 0, command.err
    record = SweepRecord.open(tmp_path / "sweeps" / "s")
    assert [trial.state.name for trial in record.study.asked()] == ["COMPLETE"] * 3
    assert command("leaderboard", "s", "--json") == 0
    assert len(json.loads(command.out)["rows"]) == 3
    assert command("export", "s", "--to", "best.yaml") == 0
    (best,) = read_configurations(tmp_path / "best.yaml")
    assert best["data"]["path"] == str(table) and best["data"]["fingerprint"]
    assert command("train", "--config", "best.yaml", "--out", "one") == 0, command.err
    assert load_trained(tmp_path / "one").class_names == NAMES
    assert command("evaluate", "s", "--top", 1, "--seeds", 1, "--json") == 0, command.err
    (row,) = json.loads(command.out.splitlines()[-1])["rows"]
    assert 0 <= row["test_accuracy_mean"] <= 1
    assert command("gallery", *words, "--mixers", "mixup", "--to", "g.png") == 0, command.err
    rows, _ = gallery(TrialConfig.parse(best), {"it": Mixup()}, tmp_path / "it.png", num_examples=3)
    assert {name for example in rows["it"] for name in example.classes} <= set(NAMES)
