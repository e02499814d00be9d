"""A sweep over data with wrong labels, by the command line, on the Fashion-MNIST of the shared folder."""

import gzip
import json
import shutil
from pathlib import Path

import pytest

from tune_mixup.reading import parse_yaml

RAW = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "FashionMNIST" / "raw"
SPACE = """
from optuna.distributions import CategoricalDistribution, FloatDistribution
from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "fashion_mnist", "data.train_limit": 600, "data.samples_per_class": 20,
        "data.batches": "stratified", "data.unbalanced": "cycle", "data.label_noise.kind": "pairs",
        "data.crop.size": 24, "model.width": 2, "mixing.name": "generalized_mixup",
        "training.epochs": 2, "training.batch_size": 40,
    },
    free={
        "data.label_noise.share": FloatDistribution(0.0, 0.5),
        "mixing.gamma": FloatDistribution(0.1, 1.0),
        "data.imbalance": CategoricalDistribution((1.0, 4.0)),
    },
    baselines=({"data.label_noise.share": 0.4, "mixing.gamma": 0.25, "data.imbalance": 4.0},),
)
"""


@pytest.fixture
def root(tmp_path):
    """A data root with the files unpacked, so that no trial has to."""
    if not RAW.is_dir():
        pytest.skip("needs the shared data folder beside the checkout")
    raw = tmp_path / "data" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in RAW.glob("*.gz"):
        with gzip.open(packed) as source, (raw / packed.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    return tmp_path / "data"


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_sweep_over_noise_and_imbalance_goes_all_the_way(command, root, tmp_path):
    (tmp_path / "noisy.py").write_text(SPACE)
    where = ("--data-root", root)
    assert command("sweep", "noisy.py", "--trials", 3, "--concurrent", 1, "--scheduler", "none", *where) == 0, (
        command.err
    )
    assert command("leaderboard", "noisy", "--json") == 0, command.err
    rows = json.loads(command.out)["rows"]
    assert len({row["data.label_noise.share"] for row in rows}) == len(rows) == 3
    assert command("export", "noisy", "--to", "best.yaml") == 0, command.err
    trained = ("train", "--config", "best.yaml", "--out", "again", *where)
    assert command(*trained) == 0, command.err
    data = parse_yaml((tmp_path / "again" / "config.yaml").read_text())["data"]
    assert data["samples_per_class"] == 20 and data["label_noise"]["kind"] == "pairs"
    assert data["label_noise"]["share"] == pytest.approx(rows[0]["data.label_noise.share"], rel=1e-3)
    assert command("evaluate", "noisy", "--top", 1, "--seeds", 1, "--json") == 0, command.err
    settings = ("--set", "data.crop.size=24", "--set", "data.label_noise.share=0.4", "--mixers", "cutmix")
    assert command("gallery", "--data", "fashion_mnist", *where, *settings, "--to", "noisy.png") == 0, command.err
