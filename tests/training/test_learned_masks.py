"""Trials of methods with parameters of their own: the optimizer trains them, and a kill or a graph changes nothing."""

import pytest
import torch
from test_step import captures as captures  # noqa: F401
from torch import nn

from tune_mixup.config import TrialConfig
from tune_mixup.mixing.learned import BLOCK, ENCODER, HEAD, STEPS
from tune_mixup.training.trained import load_trained
from tune_mixup.training.trainer import Trainer

TRIAL = {
    "data.name": "synthetic",
    "data.num_train": 60,
    "data.num_test": 12,
    "data.size": 8,
    "data.num_classes": 3,
    "model.name": "tiny_resnet",
    "model.width": 2,
    "optimizer.lr": 0.0625,
    "training.epochs": 3,
    "training.batch_size": 18,
}
ONE = {"mixing__head": "one", "mixing__momentum_steps": 6, "mixing__momentum": 0.5}
METHODS = pytest.mark.parametrize("changes", [{"mixing__name": "automix"}, {"mixing__name": "samix", **ONE}], ids=str)


def trial(**changes):
    return TrialConfig.from_dotted(TRIAL, {key.replace("__", "."): value for key, value in changes.items()})


def weights(trainer):
    named = {**trainer.model.state_dict(), **trainer.mixer_state}
    return {name: tensor.detach().clone() for name, tensor in named.items()}


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def learned(trainer):
    return [name for name in trainer.mixer_state if name.startswith((BLOCK, HEAD))]


@METHODS
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_trial_that_was_cut_off_goes_on_to_the_bit(tmp_path, changes, optimizer):
    config = trial(**changes, optimizer__name=optimizer)
    whole = Trainer(config, device="cpu")
    whole.run()
    cut = Trainer(config, folder=tmp_path / "trial", device="cpu")
    cut.train_epoch()
    cut.save_if_unsaved()
    again = Trainer(config, folder=tmp_path / "trial", device="cpu")
    assert again.epoch == 1 and equal(weights(again), weights(cut))
    again.run()
    assert equal(weights(again), weights(whole))
    saved = torch.load(tmp_path / "trial" / "checkpoint.pt", weights_only=True)["mixer"]
    assert saved.keys() == whole.mixer_state.keys()
    assert not any(tensor.requires_grad for tensor in saved.values())


@METHODS
def test_the_optimizer_trains_the_block_and_the_second_head_and_not_the_encoder(changes):
    trainer = Trainer(trial(**changes), device="cpu")
    grouped = {id(tensor) for group in trainer.step.optimizer.param_groups for tensor in group["params"]}
    held = {name for name, tensor in trainer.mixer_state.items() if id(tensor) in grouped}
    assert held == set(learned(trainer)) and len(held) > 4
    assert all(isinstance(trainer.mixer_state[name], nn.Parameter) for name in held)
    assert {id(parameter) for parameter in trainer.model.parameters()} < grouped
    first = weights(trainer)
    trainer.train_epoch()
    kept = trainer.step.optimizer.state
    for name in held:
        assert not torch.equal(trainer.mixer_state[name], first[name]), name
        assert "momentum_buffer" in kept[trainer.mixer_state[name]]
    assert not torch.equal(trainer.mixer_state[ENCODER], first[ENCODER])


@pytest.mark.parametrize("decay_norms", [True, False])
def test_the_weight_decay_is_theirs_too(decay_norms):
    """With nothing but decay a step multiplies by 1 - 0.1 * 0.5; biases only where they decay."""
    changes = {"optimizer__weight_decay": 0.5, "optimizer__momentum": 0.0, "optimizer__lr": 0.1}
    trainer = Trainer(trial(mixing__name="automix", optimizer__decay_norms=decay_norms, **changes), device="cpu")
    first = {name: trainer.mixer_state[name].detach().clone() + 1 for name in learned(trainer)}
    trainer.step.set_mixer_state({**trainer.mixer_state, **first})
    for tensor in trainer.step.mixer_state.values():
        tensor.grad = torch.zeros_like(tensor) if tensor.requires_grad else None
    trainer.step.optimizer.step()
    for name, tensor in first.items():
        share = 0.95 if decay_norms or tensor.ndim > 1 else 1.0
        torch.testing.assert_close(trainer.mixer_state[name].detach(), share * tensor)


@METHODS
def test_a_captured_step_trains_as_the_eager_one_and_serves_the_next_trial(changes, captures):  # noqa: F811
    for more in ({}, {"mixing__alpha": 1.5, "mixing__mask_weight": 0.3, "mixing__momentum": 0.75}):
        plain = {"optimizer__weight_decay": 0.0, "schedule__name": "constant"}
        eager = Trainer(trial(**{**plain, **changes, **more}), device="cpu")
        graph = Trainer(trial(training__compile="graph", **{**plain, **changes, **more}), device="cpu")
        assert [row["train_loss"] for row in eager.run()] == [row["train_loss"] for row in graph.run()]
        assert equal(weights(eager), weights(graph))
        graph.close()
    assert len(captures) == 1


def test_the_momentum_counts_the_steps_of_all_epochs():
    trainer = Trainer(trial(mixing__name="automix", mixing__momentum_steps=100), device="cpu")
    history = trainer.run()
    assert trainer.mixer_state[STEPS].item() == len(history) * 3


@pytest.mark.parametrize("head", ["mix", "one"])
def test_what_is_kept_of_a_trial_is_the_network_with_the_head_that_is_named(tmp_path, head):
    trainer = Trainer(trial(mixing__name="automix", mixing__head=head), folder=tmp_path / "trial", device="cpu")
    history = trainer.run()
    kept = load_trained(tmp_path / "trial", device="cpu")
    assert equal(kept.model.state_dict(), trainer.model.state_dict())
    validation = trainer.data.validation
    found = trainer.evaluate(validation)["nll"]
    assert history[-1]["val_nll"] == found
    second = {name.removeprefix(HEAD): tensor for name, tensor in trainer.mixer_state.items() if name.startswith(HEAD)}
    assert not any(
        torch.equal(tensor, dict(trainer.model.head.named_parameters())[name]) for name, tensor in second.items()
    )


@pytest.mark.parametrize("name", ["automix", "samix"])
def test_a_stage_without_a_map_is_refused_before_training(name):
    with pytest.raises(ValueError, match=rf"^mixing.layer: the features after stage 3 are \[8, 1, 1\].* {name} needs"):
        Trainer(trial(mixing__name=name, mixing__layer=3, data__size=4), device="cpu")
    with pytest.raises(ValueError, match="mixes features after stage 4, but model.name=tiny_resnet has 3 stages"):
        trial(mixing__name=name, mixing__layer=4)
