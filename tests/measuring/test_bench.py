"""Measuring in this process: what is counted has closed forms, what is timed is timed by a made-up clock."""

import math

import pytest
import torch
from torch import nn

from tune_mixup.config import TrialConfig
from tune_mixup.measuring import bench
from tune_mixup.measuring.bench import Bench, ceilings, shortened
from tune_mixup.mixing import MIXERS
from tune_mixup.training import fitting
from tune_mixup.training.fitting import draw_batches, load_fitting

CPU = torch.device("cpu")
SMALL = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 400,
    "data.num_test": 40,
    "data.size": 20,
    "data.batches": "stratified",
    "data.augment.crop_padding": 2,
    "data.augment.flip": True,
    "model.name": "tiny_resnet",
    "model.width": 2,
    "training.batch_size": 20,
}


def config(**changes):
    return TrialConfig.from_dotted(SMALL, {key.replace("__", "."): value for key, value in changes.items()})


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", MIXERS)
def test_every_method_can_be_measured(name):
    found = Bench(config(mixing__name=name), device=CPU, steps=2).parts(0)
    assert all(math.isfinite(value) for value in found)
    assert all(value >= 0 for key, value in found._asdict().items() if key != "loop_overhead")
    assert found.network_s > 0 and found.loop_s > 0 and found.evaluation_s > 0 and found.save_s > 0


def test_operations_are_those_of_all_layers_and_their_gradients():
    measured = Bench(config(), device=CPU, steps=2)
    forward = []

    def count(layer, inputs, output):
        macs = output.numel() * layer.weight[0].numel()
        forward.append(2 * macs / len(output))

    model = measured.trainer.model
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(count)
    model(torch.zeros(3, 1, 20, 20))
    assert len(forward) == 10  # stem, two in each block, two shortcuts, head
    # each layer again for the gradient of its weights, and for that of its input, but for the first: images have none
    expected = 3 * sum(forward) - forward[0]
    assert measured.parts(0).flops_per_image == pytest.approx(expected)


def test_images_per_second_weigh_epochs_by_their_time(monkeypatch):
    measured = Bench(config(), device=CPU, steps=2)
    rates = iter([100.0, 300.0])
    monkeypatch.setattr(measured.trainer, "train_epoch", lambda: {"images_per_s": next(rates)})
    images = draw_batches(config(), measured.trainer.data, epoch=0).numel()
    assert measured.train(1.01 * images / 100) == pytest.approx(2 / (1 / 100 + 1 / 300))


def test_one_epoch_is_trained_however_short_the_time():
    measured = Bench(config(), device=CPU, steps=2)
    assert measured.train(0) > 0 and measured.trainer.epoch == 1


def test_parts_are_medians_of_turns(monkeypatch):
    measured = Bench(config(), device=CPU, steps=3)
    steps = len(draw_batches(config(), measured.trainer.data, epoch=0))
    times = [[6.0, 3.0, 9.0], [12.0, 9.0, 9.0], [0.5, 0.1, 0.2], [0.7, 0.8, 0.9]]
    monkeypatch.setattr(bench, "timed", lambda what, device, seconds: [0.5])
    monkeypatch.setattr(bench, "in_turns", lambda what, device, seconds: times)
    found = measured.parts(5)
    assert (found.network_s, found.loop_s) == (6 / steps, 9 / steps)
    assert found.loop_overhead == 1.0  # of 12/6, 9/3 and 9/9 less 1
    assert (found.input_s, found.mixing_s) == (0.2, 0.8)


def test_where_features_are_mixed_the_plain_pass_is_taken_off(monkeypatch):
    measured = Bench(config(mixing__name="manifold_mixup"), device=CPU, steps=2)
    seen = []

    def turns(what, device, seconds):
        seen.extend(one() for one in what[3:])
        return [[1.0], [1.0], [0.1], [0.9], [0.6]]

    monkeypatch.setattr(bench, "timed", lambda what, device, seconds: [0.5])
    monkeypatch.setattr(bench, "in_turns", turns)
    assert measured.parts(5).mixing_s == pytest.approx(0.3)
    mixed, plain = seen
    assert mixed.loss.shape == plain.shape == () and mixed.loss != plain


def test_a_validation_of_many_batches_is_scaled_up(monkeypatch):
    measured = Bench(config(training__eval_batch_size=16), device=CPU, steps=2)
    monkeypatch.setattr(bench, "timed", lambda what, device, seconds: [0.5, 0.25])
    assert len(measured.validation.images) == 40
    assert measured.parts(0).evaluation_s == 0.375 * 40 / 16


@pytest.mark.parametrize("steps", [2, 3, 7])
@pytest.mark.parametrize("batches", ["stratified", "shuffled"])
def test_epochs_are_as_short_as_asked_for(steps, batches):
    given = config(data__batches=batches)
    short = shortened(given, steps, load_fitting(given, device=CPU))
    count = len(draw_batches(short, load_fitting(short, device=CPU), epoch=0))
    assert steps - 1 <= count <= steps + 1
    assert short.training.epochs >= bench.FOREVER
    assert short.replace(training=given.training, data=given.data) == given


def test_data_that_is_short_already_is_taken_whole():
    given = config()
    assert shortened(given, 50, load_fitting(given, device=CPU)).data == given.data


def test_data_whose_rare_class_would_not_fill_a_batch_is_taken_whole(monkeypatch):
    given = config()
    whole = load_fitting(given, device=CPU)

    def refuse(config, *, device):
        raise ValueError("the smallest class has 1")

    monkeypatch.setattr(fitting, "load_fitting", refuse)
    assert shortened(given, 2, whole).data == given.data


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("fastest", ["product", "convolution"])
def test_ceilings_are_operations_and_bytes_over_the_shortest_time(monkeypatch, precision, fastest):
    seen = []

    def timed(what, device, *, seconds):
        seen.append(what())
        slow = fastest == "convolution" and seen[-1].ndim == 2
        return [90.0, 80.0] if slow else [0.5, 0.25, 1.0]

    monkeypatch.setattr(bench, "timed", timed)
    found = ceilings(CPU, precision)
    product, convolution, last, copy = seen
    per_pixel = 2 * 3 * 3 * convolution.shape[1]  # as many channels go in as come out
    counts = {"product": 2 * product.shape[0] ** 3, "convolution": convolution.numel() * per_pixel}
    assert found.flops == max(counts.values() if fastest == "product" else [counts["convolution"]]) / 0.25
    assert found.copy_bytes == 2 * 4 * copy.numel() / 0.25
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    assert product.dtype == convolution.dtype == last.dtype == dtype
    assert last.is_contiguous(memory_format=torch.channels_last) and last.shape == convolution.shape


def test_turns_go_round_and_leave_the_first_out():
    calls = []
    took = bench.in_turns([lambda: calls.append("a"), lambda: calls.append("b")], CPU, 0)
    assert calls == ["a", "b"] * 3 and [len(times) for times in took] == [2, 2]
    again = []
    assert len(bench.timed(lambda: again.append(0), CPU, seconds=0)) == 2 and len(again) == 3


def test_what_has_taken_all_the_time_is_not_done_again(monkeypatch):
    calls = []
    monkeypatch.setattr(bench, "_once", lambda what, device: what() or 3.0)
    took = bench.in_turns([lambda: calls.append("a"), lambda: calls.append("b")], CPU, 6.0)
    assert (took, calls) == ([[3.0], [3.0]], ["a", "b"])
