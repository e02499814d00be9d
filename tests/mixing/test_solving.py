"""What a solver had not settled is counted, image by image, and told in the report."""

import json

import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing.comixup import CoMixup
from tune_mixup.mixing.first_state import first_state
from tune_mixup.mixing.gradients import Gradients
from tune_mixup.mixing.grid_labelling import label_grid
from tune_mixup.mixing.mixed_batch import MixedBatch
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.puzzlemix import PuzzleMix
from tune_mixup.mixing.selection import select, unmixed
from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.training.trainer import Trainer

CPU = torch.device("cpu")
SOLVING = {
    "puzzlemix": PuzzleMix(t_size=0, grids=(4,)),
    "comixup": CoMixup(eta=0.0, beta=0.01, rounds=1),
}
SMALL = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 80,
    "data.num_test": 40,
    "data.size": 16,
    "model.name": "tiny_resnet",
    "model.width": 4,
    "training.epochs": 4,
    "training.batch_size": 20,
}


def made(seed=0):
    return torch.Generator().manual_seed(seed)


def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TinyResNet(width=4).build(channels=3, num_classes=4)


def examples():
    return torch.randn(12, 3, 16, 16, generator=made(1)), torch.eye(4).repeat(3, 1)


def begun(mixer):
    return first_state(mixer, network(), 4, image=(3, 16, 16), device=CPU, generator=made(2))


def stepped(mixer, state, seed=3):
    return mixer.step(network(), *examples(), state, epoch=0, generator=made(seed), loss=CrossEntropy()).state


def problems(weight):
    """Thirty grids of 6 x 6 with two labels each, and edges of this weight between all neighbours."""
    unary = torch.randn(30, 6, 6, 2, generator=made())
    edges = torch.full((30, 6, 5), weight)
    return unary, edges.mT, edges, 1 - torch.eye(2)


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("sweeps", [2, 3, 8])
def test_a_labelling_has_settled_where_one_sweep_less_ends_with_the_same_labels(weight, sweeps, monkeypatch):
    """The labels of each sweep are what `labelling_cost` is asked about."""
    seen = []

    def cost(labels, *problem):
        seen.append(labels)
        return torch.arange(len(labels), dtype=torch.float32)

    monkeypatch.setattr("tune_mixup.mixing.grid_labelling.labelling_cost", cost)
    settled = label_grid(*problems(weight), sweeps=sweeps).settled
    assert len(seen) == 1 + sweeps
    expected = [seen[-1][b].tolist() == seen[-2][b].tolist() for b in range(30)]
    assert settled.tolist() == expected
    if weight == 0:
        assert all(expected), "each cell has its own best label at once"
    if weight == 3 and sweeps == 2:
        assert not all(expected), "two sweeps are too few for such edges"


@pytest.fixture
def noise(monkeypatch):
    """A network that looks anywhere, and a sweep where there are five: an untrained one looks everywhere alike."""

    def looked(model, inputs, targets):
        return torch.rand(len(inputs), *inputs.shape[2:], generator=made(5)) ** 4

    monkeypatch.setattr("tune_mixup.mixing.puzzlemix.input_gradient", looked)
    monkeypatch.setattr("tune_mixup.mixing.comixup.input_gradient", looked)
    monkeypatch.setattr("tune_mixup.mixing.puzzlemix.SWEEPS", 1)


@pytest.mark.parametrize("name", ["puzzlemix", "comixup"])
def test_images_whose_outcome_had_not_settled_are_added_up(name, noise):
    mixer = SOLVING[name]
    state, expected = begun(mixer), 0
    assert state["unsettled"].item() == 0
    for seed in range(3):
        blended = mixer.blend(network(), *examples(), state, epoch=0, generator=made(seed))
        assert blended.unsettled.shape == (12,) and blended.unsettled.dtype == torch.bool
        expected += sum(blended.unsettled.tolist())
        state = stepped(mixer, state, seed)
        assert state["unsettled"].item() == expected
    assert state["unsettled"].dtype == torch.float64
    assert expected > 0, "so few rounds are not enough for all"
    assert mixer.snapshot(state) == {"unsettled": state["unsettled"]}


def test_with_clean_images_the_same_are_counted(monkeypatch):
    """Where the network looks is seen in another mode then, and here the same is given to both."""
    plain = SOLVING["comixup"]
    mixer = plain.replace(clean_lam=1.0)
    noise = torch.rand(12, 16, 16, generator=made(5)) ** 4
    monkeypatch.setattr(
        "tune_mixup.mixing.comixup.loss_and_gradients",
        lambda model, inputs, targets, loss: Gradients(model(inputs).sum(), noise),
    )
    state, expected = begun(mixer), 0
    for seed in range(3):
        expected += sum(plain.assemble(*examples(), noise, state, generator=made(seed)).unsettled.tolist())
        state = stepped(mixer, state, seed)
    assert state["unsettled"].item() == expected > 0


def test_a_batch_that_is_not_mixed_counts_for_nothing():
    mixer = SOLVING["comixup"]
    state = begun(mixer)
    after = mixer.plain_step(network(), *examples(), state, loss=CrossEntropy()).state
    assert after["unsettled"].item() == 0
    never = mixer.replace(applied=1e-9)
    assert stepped(never, begun(never))["unsettled"].item() == 0


def test_of_two_batches_the_rows_that_are_chosen_count():
    rows = torch.tensor([True, True, False, False])
    inputs, targets = torch.zeros(4, 1, 2, 2), torch.eye(4)
    plain = unmixed(inputs, targets)
    solved: MixedBatch = plain._replace(unsettled=torch.tensor([True, False, True, False]))
    assert select(rows, plain, plain).unsettled is None
    assert select(rows, solved, plain).unsettled.tolist() == [True, False, False, False]
    assert select(rows, plain, solved).unsettled.tolist() == [False, False, True, False]
    other = plain._replace(unsettled=torch.tensor([False, False, True, True]))
    assert select(rows, solved, other).unsettled.tolist() == [True, False, True, True]


def test_a_mixture_counts_under_the_label(noise):
    mixer = Mixture(members={"mixup": Mixup(), "comixup": SOLVING["comixup"]}, per="sample")
    state, count = begun(mixer), 0
    for seed in range(3):
        count += sum(mixer.blend(network(), *examples(), state, epoch=0, generator=made(seed)).unsettled.tolist())
        state = stepped(mixer, state, seed)
    assert count > 0
    assert mixer.snapshot(state) == {"comixup.unsettled": torch.tensor(float(count)).double()}


def test_the_report_has_the_count_of_epochs_with_mixing_also_after_a_kill(tmp_path):
    mixing = {"name": "comixup", "rounds": 1, "beta": 0.01, "eta": 0.0, "warmup_epochs": 1}
    config = TrialConfig.from_dotted(SMALL, {"mixing": mixing})
    whole = Trainer(config, folder=tmp_path / "whole").run()
    counts = [row.get("unsettled") for row in whole]
    assert counts[0] is None and 0 < counts[1] <= counts[2] <= counts[3] <= 3 * 80
    first = Trainer(config, folder=tmp_path / "killed")
    for _ in range(2):
        first.train_epoch()
    first.save()
    again = Trainer(config, folder=tmp_path / "killed").run()
    assert [row.get("unsettled") for row in again] == counts
    lines = [json.loads(line) for line in (tmp_path / "whole" / "epochs.jsonl").read_text().splitlines()]
    assert [line.get("unsettled") for line in lines] == counts
    assert not (tmp_path / "whole" / "snapshots").exists(), "a number needs no file of its own"
