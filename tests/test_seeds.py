"""Any seed that is no negative number does everywhere: where something keeps it in 32 or 64 bits, it is folded."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.analysis.configurations import read_configurations
from tune_mixup.analysis.export import export
from tune_mixup.cluster.evaluation import fresh_seeds
from tune_mixup.cluster.evaluation import plan as evaluation_of
from tune_mixup.config import TrialConfig
from tune_mixup.data import DATASETS
from tune_mixup.data.loading import load
from tune_mixup.mixing import MIXERS
from tune_mixup.record import tables
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.session import Session
from tune_mixup.search_space import SearchSpace
from tune_mixup.seeding import generator
from tune_mixup.sweep_config import plan
from tune_mixup.testing.kills import create
from tune_mixup.testing.made_up_sweep import work
from tune_mixup.training.trainer import Trainer

HUGE = (2**32 - 1, 2**32, 2**63, 2**64, 10**30)
TINY = {
    "data.name": "synthetic", "data.num_classes": 3, "data.num_train": 60, "data.size": 32, "model.width": 4,
    "data.batches": "stratified", "training.batch_size": 30,
}  # fmt: skip


def test_streams_of_huge_seeds_differ():
    draws = {float(torch.rand(1, generator=generator(seed, "mix"))) for seed in HUGE}
    assert len(draws) == len(HUGE)


@pytest.mark.parametrize("name", [name for name in MIXERS if name != "mixture"])
def test_every_method_trains_on_a_huge_seed(tmp_path, name):
    settings = {**TINY, "mixing.name": name, "training.epochs": 1, "seed": 10**30}
    config = TrialConfig.from_dotted(settings)
    first = Trainer(config, folder=tmp_path).run()[-1]
    again = Trainer(config, folder=tmp_path)
    assert again.epoch == 1, "the checkpoint belongs to this seed"
    assert again.run()[-1]["train_loss"] == first["train_loss"]


@pytest.mark.parametrize("name", [name for name in ("digits", "synthetic") if name in DATASETS])
@pytest.mark.parametrize("seed", HUGE)
def test_data_are_split_by_a_huge_seed(name, seed):
    config = TrialConfig.from_dotted({"data.name": name})
    one = load(config.data, seed=seed, device=torch.device("cpu"))
    other = load(config.data, seed=seed + 1, device=torch.device("cpu"))
    assert not torch.equal(one.train.targets, other.train.targets)


@pytest.mark.parametrize("seed", HUGE)
def test_a_sweep_with_a_huge_seed_is_kept_exported_and_evaluated(tmp_path, seed):
    space = SearchSpace(
        fixed={"data.name": "synthetic", "mixing.name": "mixup", "training.epochs": 2},
        free={
            "mixing.alpha": FloatDistribution(0.1, 1.0),
            "optimizer.lr": FloatDistribution(0.01, 0.1),
            "seed": CategoricalDistribution((seed, seed + 1)),
        },
        baselines=({"mixing.alpha": 0.5, "optimizer.lr": 0.05, "seed": seed},) * 2,
    )
    config = plan(space, {}, name="s", seed=seed, trials=5, scheduler="none", metric="val_accuracy")
    config = config.replace(space=config.space.replace(baselines=space.baselines))  # twice, which planning leaves out
    record = create(tmp_path, config)
    work(Session.open(record, config))
    record = SweepRecord.open(record.path)
    for trial in record.study.asked():
        replicate = record.study.facts(trial.number).replicate_seed
        made = config.trial(trial.params)
        made = made if replicate is None else made.replace(seed=replicate)
        record.folder.trial(trial.number).write_config(made.plain())
    assert record.study.facts(1).replicate_seed == seed + 1, "the same setting again, on the next seed"
    assert set(tables.trials(record)["seed"]) <= {seed, seed + 1}
    for suffix in ("parquet", "csv", "json", "yaml"):
        export(record, 5, tmp_path / f"best.{suffix}")
        found = read_configurations(tmp_path / f"best.{suffix}")
        assert {TrialConfig.from_dotted(one).seed for one in found} <= {seed, seed + 1}
    assert isinstance(pd.read_parquet(tmp_path / "best.parquet"), pd.DataFrame)
    evaluation = evaluation_of(record, config, [0], fresh_seeds(record, 2), str)
    assert [point["seed"] for point in evaluation.plan.space.baselines] == [seed + 2, seed + 3]
    assert json.loads(json.dumps(config.model_dump(mode="json")))["seed"] == seed


def test_numpy_seeds_are_numbers():
    space = SearchSpace(fixed={"data.name": "digits"}, free={"optimizer.lr": FloatDistribution(0.01, 0.1)})
    config = plan(space, {"sweep.trials": np.int64(7), "training.epochs": np.int32(3)}, name="s", seed=np.uint64(2**63))
    assert (config.seed, config.trials) == (2**63, 7) and type(config.seed) is int
    assert config.space.fixed["training.epochs"] == 3


@pytest.mark.slow
def test_the_verbs_take_a_huge_seed(tmp_path):
    for verb in (
        ["train", "--space", "quickstart", "--set", "training.epochs=1", "--set", "data.train_limit=400", "--out", "r"],
        ["gallery", "--data", "digits", "--to", "g.png"],
        ["check", "quickstart"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "tune_mixup", *verb, "--seed", str(10**30)],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
