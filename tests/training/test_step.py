"""The step as it is captured, on the CPU: capturing is replaced by calling, everything else is the real thing."""

import contextlib
import copy
import gc
import json
import math
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.base import MixedBatch
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.optimizer import OPTIMIZERS, Optimizer
from tune_mixup.training import runners, warm
from tune_mixup.training.step import Step
from tune_mixup.training.trainer import Trainer

SMALL = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 200,
    "data.num_test": 40,
    "data.size": 20,
    "data.batches": "stratified",
    "data.augment.crop_padding": 2,
    "data.augment.flip": True,
    "model.name": "tiny_resnet",
    "model.width": 4,
    "optimizer.lr": 0.0625,  # exact in single precision, in which a graph keeps it
    "optimizer.weight_decay": 0.0,
    "schedule.name": "constant",
    "training.epochs": 3,
    "training.batch_size": 40,
}


def config(**changes):
    return TrialConfig.from_dotted(SMALL, {key.replace("__", "."): value for key, value in changes.items()})


def graphed(**changes):
    return config(training__compile="graph", **changes)


def timeless(history):
    return [{k: v for k, v in row.items() if k not in ("epoch_s", "images_per_s")} for row in history]


@pytest.fixture
def captures(monkeypatch):
    """Makes steps capturable here, where a graph is replaced by the body itself; a list of the runners that captured.

    Each runner says in `closed` whether it was closed.
    """
    made = []

    def prepare(self, body, generators):
        assert len(list(generators)) == 2
        self.closed = False
        for _ in range(runners.WARM_UP_STEPS):
            body()
        made.append(self)

    def run(self, body):
        assert not self.closed
        body()

    def close(self):
        self.closed = True

    monkeypatch.setattr(runners.Captured, "prepare", prepare)
    monkeypatch.setattr(runners.Captured, "run", run)
    monkeypatch.setattr(runners.Captured, "close", close)
    monkeypatch.setattr(runners.Captured, "stream", lambda self: contextlib.nullcontext())
    monkeypatch.setattr(runners, "DEVICES", ("cuda", "cpu"))
    monkeypatch.setattr(warm, "KEPT", warm.Kept())
    return made


@pytest.mark.parametrize("name", MIXERS)
def test_a_captured_step_trains_to_the_bit_as_the_eager_one(name, captures):
    settings = {"mixing__name": name, **({"mixing__t_size": 0} if name == "puzzlemix" else {})}
    eager = Trainer(config(**settings))
    captured = Trainer(graphed(**settings))
    assert timeless(captured.run()) == timeless(eager.run())
    assert len(captures) == 1
    for key, tensor in eager.model.state_dict().items():
        assert torch.equal(tensor, captured.model.state_dict()[key]), key
    for key, tensor in eager.mixer_state.items():
        assert torch.equal(tensor, captured.mixer_state[key]), key


@pytest.mark.parametrize("name", ["mixup", "generalized_mixup", "manifold_mixup"])
def test_epochs_without_mixing_are_captured_beside_those_with_it(name, captures):
    settings = {"mixing__name": name, "mixing__warmup_epochs": 1, "mixing__cooldown_epochs": 1, "mixing__applied": 0.5}
    eager, captured = Trainer(config(**settings)), Trainer(graphed(**settings))
    assert timeless(captured.run()) == timeless(eager.run())
    assert len(captures) == 2 and captures[0] is captures[1]
    for key, tensor in eager.mixer_state.items():
        assert torch.equal(tensor, captured.mixer_state[key]), key


def test_another_warm_up_captures_nothing_and_none_at_all_is_another_step(captures):
    settings = {"mixing__name": "mixup", "mixing__warmup_epochs": 1}
    Trainer(graphed(**settings)).run()
    later = {**settings, "mixing__warmup_epochs": 0, "mixing__cooldown_epochs": 2}
    assert timeless(Trainer(graphed(**later)).run()) == timeless(Trainer(config(**later)).run())
    assert len(captures) == 2
    Trainer(graphed(mixing__name="mixup")).run()
    assert len(captures) == 3


@pytest.mark.parametrize("optimizer", [{"optimizer__name": name} for name in OPTIMIZERS])
def test_weight_decay_is_the_same_up_to_rounding(optimizer, captures):
    changes = {**optimizer, "optimizer__lr": 0.01, "optimizer__weight_decay": 0.02, "schedule__name": "cosine"}
    eager, captured = Trainer(config(**changes)).run(), Trainer(graphed(**changes)).run()
    for one, other in zip(eager, captured, strict=True):
        assert other["train_loss"] == pytest.approx(one["train_loss"], rel=1e-4)
        assert other["lr"] == one["lr"]


def test_the_next_trial_of_the_same_structure_captures_nothing(captures):
    Trainer(graphed(mixing__name="generalized_mixup")).run()
    changes = {"mixing__alpha": 0.3, "mixing__gamma": 2.0, "optimizer__lr": 0.125, "training__epochs": 2}
    again = Trainer(graphed(mixing__name="generalized_mixup", **changes)).run()
    assert len(captures) == 1
    assert timeless(again) == timeless(Trainer(config(mixing__name="generalized_mixup", **changes)).run())
    Trainer(graphed(mixing__name="generalized_mixup", optimizer__weight_decay=0.1)).run()
    assert len(captures) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"mixing__name": "cutmix"},
        {"training__batch_size": 20},
        {"optimizer__momentum": 0.5},
        {"model__width": 2},
        {"loss__label_smoothing": 0.1},
        {"data__augment__flip": False},
        {"seed": 1},  # another split
    ],
)
def test_a_trial_of_another_structure_does(changes, captures):
    Trainer(graphed(mixing__name="mixup")).train_epoch()
    changes = {"mixing__name": "mixup", **changes}
    assert timeless(Trainer(graphed(**changes)).run()) == timeless(Trainer(config(**changes)).run())
    assert len(captures) == 2


def test_other_boxes_of_the_same_data_are_another_step(captures):
    boxes = {"data__augment__crop_padding": 0, "data__crop__train": "resized", "mixing__name": "mixup"}
    first = Trainer(graphed(**boxes))
    assert timeless(first.run()) == timeless(Trainer(config(**boxes)).run())
    data = first.data
    del first
    larger = {**boxes, "data__crop__scale": [0.5, 1]}
    captured = Trainer(graphed(**larger))
    assert captured.data is data and len(captures) == 2
    assert timeless(captured.run()) == timeless(Trainer(config(**larger)).run())


def test_a_step_that_is_forgotten_is_let_go_of(captures):
    trainer = Trainer(graphed())
    held = weakref.ref(trainer.step)
    del trainer
    gc.collect()
    assert held() is not None, "kept for the next trial"
    warm.forget()
    assert captures[0].closed
    assert held() is None, "without a collection: a step is in no reference cycle"


def test_two_trials_at_a_time_do_not_share_a_step(captures):
    first, second = Trainer(graphed()), Trainer(graphed(optimizer__lr=0.125))
    assert first.step is not second.step
    first.train_epoch(), second.train_epoch()
    assert timeless(first.history) == timeless(Trainer(config(training__epochs=3)).run()[:1])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_resumed_trial_goes_on_bit_for_bit_in_a_warm_process(optimizer, captures, tmp_path):
    settings = graphed(mixing__name="generalized_mixup", optimizer__name=optimizer)
    whole = Trainer(settings).run()
    first = Trainer(settings, folder=tmp_path)
    first.train_epoch()
    first.save()
    del first
    Trainer(graphed(mixing__name="generalized_mixup", optimizer__name=optimizer, mixing__alpha=0.1)).train_epoch()
    assert timeless(Trainer(settings, folder=tmp_path).run()) == timeless(whole)
    assert len(captures) == 1


def test_a_method_that_cannot_be_captured_is_trained_eagerly(captures, monkeypatch):
    monkeypatch.setattr(MIXERS["mixup"], "capturable", False)
    assert timeless(Trainer(graphed(mixing__name="mixup")).run()) == timeless(
        Trainer(config(mixing__name="mixup")).run()
    )
    assert not captures


def test_without_a_gpu_a_graph_is_refused():
    with pytest.raises(ValueError, match=r"training.compile: got 'graph', which captures a CUDA graph.*on the cpu"):
        Trainer(graphed(), device="cpu")


def test_a_graph_and_a_loss_scale_are_refused():
    with pytest.raises(ValueError, match="compile is graph and precision fp16"):
        graphed(training__precision="fp16")


def test_kernels_are_as_asked_inside_and_as_before_outside():
    before = (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    for precision, deterministic in (("fp32", True), ("tf32", False), ("bf16", True)):
        trainer = Trainer(config(training__precision=precision, training__deterministic=deterministic))
        with trainer.step.running():
            assert torch.backends.cudnn.allow_tf32 == (precision != "fp32")
            assert torch.backends.cudnn.deterministic == deterministic
            assert torch.backends.cudnn.benchmark != deterministic
        now = (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
        assert now == before


COMPILED = """
import json, sys, torch
from tune_mixup import Trainer, TrialConfig
torch.set_num_threads(1)
mode, small, trials = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
rows = []
for number, changes in enumerate(trials):
    eager = Trainer(TrialConfig.from_dotted(small, changes)).run()
    # From the second trial on, compiling again is an error.
    torch.compiler.set_stance("fail_on_recompile" if number else "default")
    compiled = Trainer(TrialConfig.from_dotted(small, {**changes, "training.compile": mode})).run()
    torch.compiler.set_stance("default")
    rows += [[a["train_loss"], b["train_loss"], b["val_nll"]] for a, b in zip(eager, compiled, strict=True)]
print(json.dumps(rows))
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["model", "step"])
def test_compiled_trials_agree_with_eager_ones_and_compile_once(mode):
    """The inductor sums in another order, so single precision differs in its last digits; one epoch of five steps.

    In a process of its own, since a fault of a compiled kernel would end this one.
    """
    trials = [
        {"mixing.name": "generalized_mixup", "optimizer.weight_decay": 1e-3},
        {"mixing.name": "generalized_mixup", "mixing.alpha": 0.3, "mixing.gamma": 2.0, "optimizer.lr": 0.02},
        {"mixing.name": "generalized_mixup", "seed": 1},
    ]
    trials = [{**changes, "training.epochs": 1} for changes in trials]
    words = [sys.executable, "-c", COMPILED, mode, json.dumps(SMALL), json.dumps(trials)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])
    assert len(rows) == len(trials)
    for eager, compiled, nll in rows:
        assert compiled == pytest.approx(eager, rel=1e-3)
        assert math.isfinite(nll)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["model", "step"])
def test_compiled_trials_agree_with_eager_ones_where_not_every_epoch_and_batch_is_mixed(mode):
    """An epoch without mixing, one with the half of its batches mixed, and one without.

    By mixup, whose draws do not go by what the network has done: or else the last digits decide who is mixed with whom.
    """
    epochs = {"mixing.warmup_epochs": 1, "mixing.cooldown_epochs": 1, "mixing.applied": 0.5, "training.epochs": 3}
    sizes = {"data.num_train": 100, "training.batch_size": 20, "model.width": 2}
    trials = [{"mixing.name": "mixup", **epochs, **sizes}]
    words = [sys.executable, "-c", COMPILED, mode, json.dumps(SMALL), json.dumps(trials)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])
    assert len(rows) == 3
    for eager, compiled, nll in rows:
        assert compiled == pytest.approx(eager, rel=1e-3)
        assert math.isfinite(nll)


@pytest.mark.gpu
@pytest.mark.parametrize("name", MIXERS)
def test_a_graph_on_the_gpu_trains_as_the_eager_step_does(name):
    """Kernels are the same and repeatable, so only the weight decay's rounding could differ, and it is off."""
    warm.forget()
    weaker = {"mixing__alpha": 0.3} if name not in ("erm", "smoothmix", "mixture") else {}
    for changes in ({}, weaker, {"mixing__warmup_epochs": 1, "mixing__cooldown_epochs": 1, "mixing__applied": 0.6}):
        eager = Trainer(config(mixing__name=name, **changes), device="cuda").run()
        captured = Trainer(graphed(mixing__name=name, **changes), device="cuda").run()
        for one, other in zip(eager, captured, strict=True):
            assert other["train_loss"] == pytest.approx(one["train_loss"], rel=1e-4)


@pytest.mark.gpu
def test_no_step_waits_for_the_gpu():
    for mode in ("none", "graph"):
        trainer = Trainer(config(mixing__name="generalized_mixup", training__compile=mode), device="cuda")
        trainer.train_epoch()
        index = torch.arange(40, device="cuda")
        torch.cuda.set_sync_debug_mode("error")
        try:
            trainer.step(index)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_a_step_keeps_its_tensors_in_their_places(captures):
    trainer = Trainer(graphed(mixing__name="generalized_mixup"))
    assert isinstance(trainer.step, Step)
    places = {key: tensor.data_ptr() for key, tensor in {**trainer.model.state_dict(), **trainer.mixer_state}.items()}
    trainer.run()
    trainer.load_state_dict(trainer.state_dict())
    now = {key: tensor.data_ptr() for key, tensor in {**trainer.model.state_dict(), **trainer.mixer_state}.items()}
    assert now == places


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_can_be_captured(name, captures, monkeypatch):
    """torch refuses some while a stream is being captured; here it is told that one is, where a graph would be made."""
    asked = []

    class Stream:
        def is_capturing(self):
            asked.append(1)
            return True

    trainer = Trainer(graphed(optimizer__name=name))
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "current_stream", Stream)
    groups = trainer.step.optimizer.param_groups
    assert all(isinstance(group["lr"], torch.Tensor) for group in groups)
    trainer.step._place.zero_()
    trainer.step.runner.run(trainer.step._body)
    if "capturable" in groups[0]:
        assert asked, "torch no longer asks; look for how it refuses optimizers now"
        for group in groups:
            group["capturable"] = False
        with pytest.raises(RuntimeError, match="capturable is False"):
            trainer.step.runner.run(trainer.step._body)


def test_a_captured_step_that_does_not_fit_is_closed_before_the_next_is_made(captures, monkeypatch):
    order = []
    for name in ("prepare", "close"):
        before = getattr(runners.Captured, name)

        def noted(self, *arguments, name=name, before=before):
            order.append((name, id(self)))
            return before(self, *arguments)

        monkeypatch.setattr(runners.Captured, name, noted)
    for method in ("mixup", "cutmix", "fmix"):
        Trainer(graphed(mixing__name=method)).train_epoch()
    assert [name for name, _ in order] == ["prepare", "close", "prepare", "close", "prepare"]
    assert order[1][1] == order[0][1] and order[3][1] == order[2][1]
    assert [runner.closed for runner in captures] == [True, True, False]


def test_ten_structures_in_turn_leave_one_step(captures):
    steps = []
    for method in ("erm", "mixup", "cutmix", "manifold_mixup", "fmix"):
        for size in (20, 40):
            trainer = Trainer(graphed(mixing__name=method, training__batch_size=size, training__epochs=1))
            trainer.run()
            steps.append(weakref.ref(trainer.step))
            del trainer
    assert [step() is not None for step in steps] == [False] * 9 + [True]
    assert len(captures) == 10 and [runner.closed for runner in captures] == [True] * 9 + [False]


def test_an_epoch_may_be_shorter_than_the_warm_up(captures):
    settings = {"mixing__name": "mixup", "training__batch_size": 100}  # one batch of the 180 images
    captured, eager = Trainer(graphed(**settings)), Trainer(config(**settings))
    assert timeless(captured.run()) == timeless(eager.run())


def test_a_closed_trainer_leaves_its_captured_step_to_the_next(captures):
    first = Trainer(graphed())
    first.train_epoch()
    first.close()
    second = Trainer(graphed(mixing__name="erm", optimizer__lr=0.125))
    assert second.step is first.step and len(captures) == 1


@pytest.mark.slow
def test_a_graph_of_a_compiled_network_trains_as_the_eager_step_does():
    """The capture is replaced by the body itself; the network is compiled as one piece, and once."""
    script = f"""
import contextlib, json, sys, torch
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_step as t
from torch._dynamo.utils import counters
torch.set_num_threads(1)
t.runners.DEVICES = ("cpu",)
t.runners.Captured.prepare = lambda self, body, generators: body()
t.runners.Captured.run = lambda self, body: body()
t.runners.Captured.close = lambda self: None
t.runners.Captured.stream = lambda self: contextlib.nullcontext()
losses = []
for name in ("generalized_mixup", "manifold_mixup"):
    for mode in ("none", "model+graph"):
        counters.clear()
        trainer = t.Trainer(t.config(mixing__name=name, training__compile=mode, training__epochs=1))
        losses.append(trainer.run()[0]["train_loss"])
    losses.append(counters["stats"]["unique_graphs"])
    losses.append(sum(counters["graph_break"].values()))
print(json.dumps(losses))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    losses = json.loads(done.stdout.decode().splitlines()[-1])
    for eager, captured, graphs, breaks in (losses[:4], losses[4:]):
        assert captured == pytest.approx(eager, rel=1e-3)
        assert (graphs, breaks) == (1, 0), "what draws is outside of what is compiled"


def test_a_closed_trial_is_closed_and_leaves_the_next_one_alone(captures, tmp_path):
    first = Trainer(graphed(), folder=tmp_path)
    first.train_epoch()
    history = list(first.history)
    first.close()
    second = Trainer(graphed())
    second.train_epoch()
    first.close()  # once more, which must not close the step of the second one
    assert second.step is first.step and not captures[0].closed
    second.train_epoch()
    assert first.history == history
    calls = (first.train_epoch, first.save, first.state_dict, lambda: first.model)
    for call in (*calls, lambda: first.evaluate(first.data.validation)):
        with pytest.raises(RuntimeError, match="the trial is closed"):
            call()


class OwnAlpha(Mixup):
    """Goes by the setting itself, in a method that its base reads from the state."""

    def mix(self, inputs, targets, state, *, epoch, generator):
        lam = torch.full((), float(self.alpha))
        partner = torch.arange(len(inputs)).flip(0)
        mixed = lam * inputs + (1 - lam) * inputs[partner]
        return MixedBatch(mixed, lam * targets + (1 - lam) * targets[partner], lam, partner)


def test_a_method_derived_from_ours_that_goes_by_its_setting_is_captured_anew(captures):
    def trial(mode, alpha):
        return Trainer(config(training__compile=mode).replace(mixing=OwnAlpha(alpha=alpha)))

    trial("graph", 1.0).run()
    assert timeless(trial("graph", 0.25).run()) == timeless(trial("none", 0.25).run())
    assert len(captures) == 2


class Frozen(TinyResNet):
    """Its stem is not trained."""

    def build(self, *, channels, num_classes):
        network = super().build(channels=channels, num_classes=num_classes)
        network.stem.requires_grad_(False)
        return network


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_frozen_weights_do_not_decay_under_a_graph(optimizer, captures):
    settings = config(optimizer__name=optimizer, optimizer__weight_decay=0.1).replace(model=Frozen(width=4))
    trainer = Trainer(settings.replace(training=settings.training.replace(compile="graph")))
    before = [weight.clone() for weight in trainer.model.stem.parameters()]
    trainer.train_epoch()
    assert captures and all(map(torch.equal, before, trainer.model.stem.parameters()))


class Adagrad(Optimizer):
    """Keeps a sum that does not begin at 0."""

    lr: float = 0.05

    def build(self, parameters):
        return torch.optim.Adagrad(self._groups(parameters), lr=self.lr, initial_accumulator_value=0.5)

    def decay_(self, parameters, *, lr, weight_decay):
        raise AssertionError("for captured steps only")


def test_an_optimizer_that_does_not_say_it_begins_at_zero_is_trained_without_a_graph(captures):
    eager, captured = (
        Trainer(config(training__compile=mode).replace(optimizer=Adagrad())) for mode in ("none", "graph")
    )
    assert timeless(captured.run()) == timeless(eager.run()) and not captures


def test_a_state_may_move_from_one_name_to_another():
    trainer = Trainer(config(mixing__name="mixup"))
    step = trainer.step
    step.set_mixer_state({"new": torch.tensor(2.0), "old": torch.tensor(1.0)})
    step.set_mixer_state({"new": torch.tensor(3.0), "old": step.mixer_state["new"]})
    assert (step.mixer_state["new"].item(), step.mixer_state["old"].item()) == (3.0, 2.0)


def test_a_trial_that_has_trained_can_go_back_to_before_its_first_epoch():
    first, fresh = Trainer(config(mixing__name="mixup")), Trainer(config(mixing__name="mixup"))
    start = copy.deepcopy(fresh.state_dict())
    first.train_epoch()
    first.load_state_dict(start)
    assert timeless(first.run()) == timeless(fresh.run())


class Averaging(TinyResNet):
    """Its batch norms average over all batches."""

    def build(self, *, channels, num_classes):
        network = super().build(channels=channels, num_classes=num_classes)
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = None
        return network


def test_batch_norms_that_read_their_count_are_refused_under_a_graph(captures):
    settings = graphed().replace(model=Averaging(width=4))
    with pytest.raises(ValueError, match="batch norm with momentum=None"):
        Trainer(settings)


@pytest.mark.parametrize("name", ["mixup", "manifold_mixup"])
def test_a_captured_step_is_fed_from_the_host_as_from_the_device(name, captures, tmp_path):
    """The batch is copied to where the graph reads it; two trials in turn use one graph."""
    settings = {"mixing__name": name, "data__root": str(tmp_path)}
    for alpha in (0.5, 1.0):
        eager = Trainer(config(**settings, mixing__alpha=alpha, data__residence="device"))
        fed = Trainer(graphed(**settings, mixing__alpha=alpha, data__residence="host"))
        assert timeless(fed.run()) == timeless(eager.run())
        for key, tensor in eager.model.state_dict().items():
            assert torch.equal(tensor, fed.model.state_dict()[key]), key
        fed.close()
    assert len(captures) == 1
