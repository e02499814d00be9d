"""The suite for mixers fails for each promise that is broken, with words that say which."""

import broken_mixers as broken
import pytest
import torch

from tune_mixup.mixing.base import Mixer
from tune_mixup.testing import MixerContract, StepContract

CASES = [
    (broken.ChangesInputs(), "mixing_changes_nothing_that_comes_in", "blend changes inputs in place"),
    (broken.ChangesInputs(), "nothing_that_comes_in_is_changed", "step changes inputs in place"),
    (broken.ChangesItsState(), "nothing_that_comes_in_is_changed", "step changes seen in place"),
    (broken.EndChangesItsState(), "nothing_that_comes_in_is_changed", "end_epoch changes seen in place"),
    (broken.GlobalDraw(), "no_global_generator_is_asked", "torch's global generator was used"),
    (broken.GlobalDraw(), "equal_generators_give_equal_batches", "differ in inputs"),
    (broken.Remembers(), "equal_generators_give_equal_trainings", "two steps from equal generators differ"),
    (broken.Remembers(), "equal_generators_give_equal_batches", "differ in inputs"),
    (broken.TargetsTooSmall(), "targets_are_distributions_weighted_by_lam", "must sum to 1; one is 0.1 off"),
    (broken.TargetsTooSmall(), "a_step_trains_on_distributions", "must sum to 1; one is 0.1 off"),
    (broken.WeighsThePartner(), "targets_are_distributions_weighted_by_lam", "lam weighs the own example"),
    (broken.OtherPixels(), "inputs_weigh_as_lam_says", "must weigh the own example"),
    (broken.LamAboveOne(), "targets_are_distributions_weighted_by_lam", "soft_targets must not be negative"),
    (broken.SinglePrecision(), "any_precision_is_kept", "must be as before: torch.bfloat16"),
    (broken.NeedsManyImages(), "any_shape_is_mixed", "inputs are no longer finite"),
    (broken.NeedsManyImages(), "any_shape_trains", "the loss is not finite for Images(size=1"),
    (broken.RefusesAll(), "any_shape_trains", "check_data refuses every shape"),
    (broken.LastRowsFirst(), "the_memory_format_is_kept", "memory format of the inputs"),
    (broken.AlmostWhole(), "an_example_whose_lam_is_one_stays_as_it_is", "lam is 1, but the input is another"),
    (broken.WrongMask(), "lam_is_the_mean_of_the_mask", "lam must be the mean of the mask"),
    (broken.TrainsOnOthers(), "step_is_the_soft_loss_of_the_mixed_batch", "step's logits are not those"),
    (broken.ReadsOnTheHost(), "a_step_reads_nothing_on_the_host", "reads a value on the host"),
    (broken.OtherOperators(), "a_captured_step_would_hold_for_any_epoch", "other operators in another epoch"),
    (broken.StateGrows(), "the_state_keeps_its_names_shapes_types_and_device", "keep names, shapes and types"),
    (broken.StateHasAGraph(), "the_state_keeps_its_names_shapes_types_and_device", "detach what is remembered"),
    (broken.OtherParameter(), "the_state_keeps_its_names_shapes_types_and_device", "detach what is remembered"),
    (broken.UnusedParameter(), "a_step_trains_on_distributions", "seen of the state is a parameter and gets no finite"),
    (broken.EndlessSnapshot(), "snapshots_are_finite_tensors_on_the_cpu", "snapshot seen is not finite"),
    (broken.OtherCanonical(), "the_canonical_settings_train_alike", "train to other losses"),
    (broken.TooStrong(), "the_strength_is_a_share_up_to_a_half", "must be 0 to 1/2"),
    (broken.FrozenWeights(), "a_step_trains_on_distributions", "stages.0.weight gets no finite gradient"),
    (broken.inside_a_function(), "settings_survive_being_written_and_read", "can't be imported by other processes"),
]


class TestRight(MixerContract):
    part = broken.Right()


@pytest.mark.parametrize(("part", "promise", "words"), CASES, ids=lambda value: type(value).__name__)
def test_a_broken_promise_is_found(part, promise, words):
    suite = MixerContract()
    suite.part = part
    with pytest.raises(AssertionError) as caught, torch.random.fork_rng(devices=[]):
        getattr(suite, f"test_{promise}")()
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_every_promise_can_be_broken():
    promises = {name for name in dir(MixerContract) if name.startswith("test_")}
    assert {f"test_{promise}" for _, promise, _ in CASES} == promises


class Bare(Mixer):
    def step(self, model, inputs, targets, state, *, epoch, generator, loss):
        return broken.Right().step(model, inputs, targets, state, epoch=epoch, generator=generator, loss=loss)


class TestBare(StepContract):
    part = Bare()


def test_a_mixer_of_extra_passes_is_sent_to_its_own_suite():
    suite = MixerContract()
    suite.part = Bare()
    with pytest.raises(AssertionError, match="check it with StepContract"):
        suite.test_equal_generators_give_equal_batches()
