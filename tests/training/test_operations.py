"""How many kernels a training step of ResNet-18 launches: on a GPU small batches wait for launches, not for arithmetic.

The numbers may fall. Whoever adds an operation raises one here, and says in the commit what it is for.
"""

from collections import Counter

import pytest

from tune_mixup.config import TrialConfig
from tune_mixup.mixing import MIXERS
from tune_mixup.torch_internals import OperatorSpy
from tune_mixup.training.fitting import draw_batches
from tune_mixup.training.trainer import Trainer

RESNET = {
    "data.name": "synthetic",
    "data.num_train": 200,
    "data.num_test": 20,
    "data.size": 32,
    "data.batches": "stratified",
    "data.augment.crop_padding": 4,
    "data.augment.flip": True,
    "model.name": "resnet18",
    "training.batch_size": 20,
}
LAUNCH_NOTHING = {
    "aten::as_strided", "aten::as_strided_", "aten::detach", "aten::empty", "aten::empty_like", "aten::expand",
    "aten::permute", "aten::select", "aten::slice", "aten::squeeze", "aten::t", "aten::unfold", "aten::unsqueeze",
    "aten::view", "profiler::_record_function_enter_new", "profiler::_record_function_exit",
}  # fmt: skip
"""Operators that only describe memory, or name what follows."""
FAST = {"training.precision": "bf16", "training.channels_last": True}


def operations(changes):
    """Operators of the second step, by name; the first one makes the optimizer's buffers."""
    trainer = Trainer(TrialConfig.from_dotted(RESNET, changes), device="cpu")
    step, counted = trainer.step, Counter()
    batches = draw_batches(trainer.config, trainer.data, 0)
    with step.running():
        step.begin_epoch(0, batches, [0.1] * len(batches))
        step()
        with OperatorSpy(lambda name, _: counted.update([name])):
            step()
    return Counter({name: count for name, count in counted.items() if name not in LAUNCH_NOTHING})


MOST = {
    "alignmixup": 453, "attentivemix": 302, "automix": 761, "comixup": 1321, "cutmix": 249, "erm": 184, "fmix": 247,
    "generalized_mixup": 233, "gridmix": 281, "manifold_mixup": 236, "mixture": 281, "mixup": 206, "puzzlemix": 1338,
    "resizemix": 280, "saliencymix": 298, "samix": 816, "smoothmix": 218,
}  # fmt: skip

PASSES = {"attentivemix": 2, "puzzlemix": 2, "comixup": 2, "automix": 3.75, "samix": 3.75}
"""Forward through the network, where a method asks it what it sees; 15 of 20 layers are up to its third stage."""
NORMS = {"samix": 2}
"""Batch norms of a method's own: one for each of two masks."""


@pytest.mark.parametrize("method", sorted(MIXERS))
def test_a_step_launches_no_more_than_this(method):
    counted = operations({"mixing.name": method})
    assert counted.total() <= MOST[method], counted.most_common()
    layers = 20 * PASSES.get(method, 1)
    norms = counted["aten::native_batch_norm"] - NORMS.get(method, 0)
    assert counted["aten::convolution"] == norms == layers, "all that there is to do"


def test_lower_precision_adds_no_operation_to_each_layer():
    more = operations({"mixing.name": "erm", **FAST}) - operations({"mixing.name": "erm"})
    assert more.total() < 10, more.most_common()


def test_batch_norms_and_weights_have_no_kernel_each_for_their_bookkeeping():
    counted = operations({"mixing.name": "erm", **FAST})
    assert counted["aten::add_"] <= 2, "twenty batch norms would count by one each"
    assert counted["aten::_to_copy"] < 10, "forty weights and gradients would be rounded by one each"
