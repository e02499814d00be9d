import pytest
import torch
from fake_worker import plan
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tune_mixup.config import TrialConfig
from tune_mixup.measuring.largest import expected_memory, largest
from tune_mixup.search_space import SearchSpace

FIXED = {"data.name": "synthetic", "data.size": 8}


def largest_of(free, **rest):
    return largest(plan(space=SearchSpace(fixed=FIXED, free=free, **rest)))


def test_the_largest_model_and_batch_though_no_corner_has_both():
    found = largest_of(
        {
            "model.width": CategoricalDistribution((4, 16, 8)),
            "training.batch_size": CategoricalDistribution((100, 50)),
            "optimizer.lr": FloatDistribution(0.01, 0.1),
        }
    )
    assert (found.model.width, found.training.batch_size) == (16, 100)


def test_ranges_are_taken_at_their_ends():
    assert largest_of({"training.batch_size": IntDistribution(10, 90)}).training.batch_size == 90


def test_another_architecture_that_needs_more():
    free = {
        "model.name": CategoricalDistribution(("tiny_resnet", "preact_resnet18")),
        "model.width": IntDistribution(2, 8),
    }
    conditions = {"model.width": {"model.name": ("tiny_resnet",)}}
    assert largest_of(free, conditions=conditions).model.name == "preact_resnet18"


def test_a_baseline_inside_the_range_of_others_counts_too():
    free = {"model.width": CategoricalDistribution((4, 32)), "training.batch_size": IntDistribution(10, 50)}
    found = largest_of(free, baselines=({"model.width": 32, "training.batch_size": 20},))
    assert (found.model.width, found.training.batch_size) == (32, 50)


def test_values_that_do_not_go_together_are_left_out():
    free = {
        "model.name": CategoricalDistribution(("tiny_resnet", "vgg11")),  # vgg11 is not for 8 x 8 pixels
        "training.batch_size": CategoricalDistribution((50, 100)),
    }
    found = largest_of(free, baselines=({"model.name": "tiny_resnet", "training.batch_size": 50},))
    assert (found.model.name, found.training.batch_size) == ("tiny_resnet", 100)


@pytest.mark.parametrize("width", [4, 16])
def test_expected_memory_counts_weights_thrice_and_what_each_layer_puts_out(width):
    config = TrialConfig.from_dotted({**FIXED, "model.width": width, "training.batch_size": 30})
    pixels = 8 * 8
    # stem: convolution, norm, relu; block 1: two of each; blocks 2 and 3: two of each and a shortcut without relu
    first = (3 + 6) * width * pixels
    second = (6 + 2) * 2 * width * pixels // 4
    third = (6 + 2) * 4 * width * pixels // 16
    head = 4 * width + 4 * width + 10
    assert expected_memory(config) == 4 * (30 * (first + second + third + head) + 3 * weights_of(width))


def weights_of(width):
    def conv(inputs, outputs, side=3):
        return inputs * outputs * side**2

    w, w2, w4 = width, 2 * width, 4 * width
    stem = conv(3, w) + 2 * w
    blocks = [
        2 * conv(w, w) + 2 * 2 * w,
        conv(w, w2) + conv(w2, w2) + 2 * 2 * w2 + conv(w, w2, 1) + 2 * w2,
        conv(w2, w4) + conv(w4, w4) + 2 * 2 * w4 + conv(w2, w4, 1) + 2 * w4,
    ]
    return stem + sum(blocks) + w4 * 10 + 10


def test_nothing_is_drawn_and_nothing_built():
    before = torch.get_rng_state()
    config = TrialConfig.from_dotted({"data.name": "cifar10", "model.name": "wide_resnet", "training.batch_size": 128})
    assert expected_memory(config) > 10**9
    assert torch.equal(before, torch.get_rng_state())
