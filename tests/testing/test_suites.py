"""The other suites fail for each promise that is broken, with words that say which."""

import broken_parts as broken
import pytest
import torch

from tune_mixup.loss import CrossEntropy
from tune_mixup.optimizer import Sgd
from tune_mixup.schedule import Constant
from tune_mixup.testing import (
    DatasetContract,
    LossContract,
    ModelContract,
    OptimizerContract,
    SamplerContract,
    ScheduleContract,
    StoppingContract,
)

WRITTEN = "settings_survive_being_written_and_read"


def hidden(base):
    class Hidden(base):
        pass

    return Hidden()


MODELS = [
    (hidden(broken.RightModel), WRITTEN, "can't be imported by other processes"),
    (broken.WrongCount(), "the_stages_are_as_many_as_it_says", "the network has 2 stages, num_stages says 3"),
    (broken.ElevenOutputs(), "any_size_and_number_of_channels_gives_logits", "must be (5, 7)"),
    (
        broken.Unused(),
        "the_smallest_side_trains_and_every_weight_gets_a_gradient",
        "no gradient reaches stages.0.spare",
    ),
    (broken.LooksAtTheBatch(), "one_image_is_enough_to_predict", "an image alone gets other logits"),
    (broken.TakesAnySize(), "smaller_images_are_refused", "check_size lets 40 x 3 pixels through"),
    (broken.EditsCount(), "an_identity_edit_changes_nothing_at_any_depth", "an edit after stage 0"),
    (broken.Shortcut(), "an_edit_reaches_the_logits_from_any_depth", "leads past the features after stage 0"),
    (broken.WritesInPlace(), "no_stage_writes_into_the_features_it_is_given", "what follows stage 1 changes"),
    (broken.PythonsWeights(), "weights_come_from_torchs_global_generator_alone", "Python's global generator"),
    (broken.ConstantWeights(), "weights_come_from_torchs_global_generator_alone", "do not depend on the seed"),
    (broken.NotInTheWeights(), "a_checkpoint_holds_all_of_it", "does not hold all that the logits depend on"),
    (broken.ForcesFloat32(), "channels_last_and_bfloat16_give_about_the_same_logits", "don't force a precision"),
]
DATASETS = [
    (hidden(broken.RightData), WRITTEN, "can't be imported by other processes"),
    (broken.FloatImages(), "splits_are_labelled_bytes", "test images are torch.float32"),
    (broken.OneBasedLabels(), "splits_are_labelled_bytes", "train targets are 1 to 3, must be 0 to 2"),
    (broken.OtherTestSize(), "splits_are_labelled_bytes", "test images are [1, 5, 6]"),
    (broken.NoClassTwo(), "splits_are_labelled_bytes", "no image of the classes [2]"),
    (broken.SameNames(), "class_names_are_distinct", "are not distinct"),
    (broken.OtherShape(), "the_shape_known_before_reading_is_true", "mend it, or return None"),
    (broken.AnewEachTime(), "reading_twice_gives_the_same", "the test images differ when they are read again"),
    (broken.ByTheClock(), "the_fingerprint_is_of_the_content", "known_fingerprint() must stay the same"),
    (broken.TrainsOnTheTest(), "train_validation_and_test_share_no_image", "5 images of the test set are in"),
    (broken.Twice(), "train_validation_and_test_share_no_image", "holds duplicates"),
    (broken.NoHoldOut(), "what_a_trial_sees_is_described", "validation has no image of the classes [2]"),
    (broken.NoHash(), "equal_settings_are_one_data_set", "must be equal and have one hash"),
]
LOSSES = [
    (hidden(CrossEntropy), WRITTEN, "can't be imported by other processes"),
    (broken.SumOfRows(), "it_is_the_mean_over_the_batch", "off the mean of its rows' losses"),
    (broken.InLowPrecision(), "it_is_float32_for_logits_of_any_precision", "begin with logits.float()"),
    (broken.Overflows(), "it_and_its_gradients_are_finite_for_any_finite_logits", "for logits of size 100"),
    (broken.Uphill(), "a_step_down_its_gradient_lowers_it", "the loss has no gradient"),
    (broken.WritesTargets(), "nothing_is_changed_drawn_or_read_on_the_host", "changes targets in place"),
    (broken.OtherLoss(), "the_canonical_settings_are_the_same_loss", "have other values"),
]
OPTIMIZERS = [
    (hidden(Sgd), WRITTEN, "can't be imported by other processes"),
    (broken.Halting(), "it_moves_every_weight_and_repeats_itself", "weights [4] do not move"),
    (broken.NotInTheCheckpoint(), "a_checkpoint_continues_it", "continued from state_dict() ends in other weights"),
    (broken.IgnoresTheRate(), "the_rate_is_read_from_its_groups", "read the rate from there"),
    (broken.DecaysAll(), "norms_decay_only_when_asked", "weights of 1 dimensions decay with decay_norms=False"),
    (broken.NoDecayAlone(), "the_decay_by_itself_is_that_of_the_update", "decay_ does not do what"),
]
SCHEDULES = [
    (hidden(Constant), WRITTEN, "can't be imported by other processes"),
    (broken.Above(), "factors_are_in_0_to_1_and_repeat", "is 1.5, must be in (0, 1]"),
    (broken.InsideAnEpoch(), "per_epoch_it_changes_between_epochs_only", "with per='epoch'"),
    (broken.FalseDrops(), "drops_are_epochs_at_a_lower_rate", "the rate does not fall there"),
]
SAMPLERS = [
    (hidden(broken.Seedless), WRITTEN, "can't be imported by other processes"),
    (broken.Shared(), "each_draw_has_a_sampler_of_its_own", "make() gives one object twice"),
    (broken.OutsideTheSpace(), "points_are_in_the_space", "is not in FloatDistribution"),
    (broken.Seedless(), "a_draw_depends_on_record_seed_and_trial_alone", "all trials get one point"),
    (broken.WithoutSeed(), "a_draw_depends_on_record_seed_and_trial_alone", "the sweep's seed changes nothing"),
    (broken.WithoutSeed(), "any_seed_will_do", "huge seeds all give one point"),
    (broken.Unrepeatable(), "a_draw_depends_on_record_seed_and_trial_alone", "asked twice for trial 0"),
    (broken.Shared(), "a_parameter_by_itself_does_not_depend_on_those_drawn_before", "when asked later"),
    (broken.Unrepeatable(), "a_draw_that_was_broken_off_goes_on_the_same", "broken off after 0 parameters"),
    (broken.LosesASetting(offset=1), "the_record_of_a_sweep_holds_its_settings", "is another sweep"),
    (broken.Unrepeatable(), "a_sweep_killed_after_each_write_asks_as_one_that_never_was", "went another way"),
]
STOPPING = [
    (hidden(broken.Scripted), WRITTEN, "can't be imported by other processes"),
    (broken.FallingRungs(), "rungs_rise_and_lie_inside_the_training", "rungs(5, ()) is [3, 1], must rise"),
    (broken.ShareAboveOne(), "what_it_says_about_its_comparisons_is_possible", "share_spared is 2.0"),
    (broken.Forever(), "equal_reports_get_equal_decisions", "keep all state in the rule"),
    (broken.NoSparing(), "the_control_group_is_never_stopped", "a trial whose seat is spared was stopped"),
    (broken.TwoLines(), "decisions_can_be_written_down", "must be one line"),
    (broken.CountsAgain(), "epochs_gone_by_count_for_nothing", "a report of epoch"),
    (broken.Scripted(), "a_restored_rule_decides_as_the_one_that_was_never_lost", "whatever their order among trials"),
    (broken.LosesItsPatience(patience=4), "the_record_of_a_sweep_holds_its_settings", "is another sweep"),
    (broken.Forever(), "a_sweep_killed_after_each_write_decides_as_one_that_never_was", "decided differently"),
]
SUITES = {
    ModelContract: MODELS,
    DatasetContract: DATASETS,
    LossContract: LOSSES,
    OptimizerContract: OPTIMIZERS,
    ScheduleContract: SCHEDULES,
    SamplerContract: SAMPLERS,
    StoppingContract: STOPPING,
}
CASES = [(suite, *case) for suite, cases in SUITES.items() for case in cases]


@pytest.mark.parametrize(
    ("suite", "part", "promise", "words"), CASES, ids=[f"{type(case[1]).__name__}-{case[2]}" for case in CASES]
)
def test_a_broken_promise_is_found(suite, part, promise, words):
    contract = suite()
    contract.part = part
    contract.trials = 5  # of sweeps that are killed
    with pytest.raises(AssertionError) as caught, torch.random.fork_rng(devices=[]):
        getattr(contract, f"test_{promise}")()
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("suite", SUITES)
def test_every_promise_can_be_broken(suite):
    promises = {name for name in dir(suite) if name.startswith("test_")} - {"test_some_trial_is_stopped"}
    assert {f"test_{promise}" for _, promise, _ in SUITES[suite]} == promises


class TestRightModel(ModelContract):
    part = broken.RightModel()


class TestRightData(DatasetContract):
    part = broken.RightData()
