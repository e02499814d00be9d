"""What torch must go on doing, though it does not document it. A failure here names what a release has changed."""

import contextlib
import subprocess
import sys

import pytest
import torch
from scipy.stats import gamma, kstest

from tune_mixup.torch_internals import (
    OperatorSpy,
    add_scaled_,
    copy_,
    error_code,
    increase_,
    register_generators,
    scale_,
    standard_gamma,
    updated_quietly,
    without_compiler,
)


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("concentration", [0.5, 1.0, 1.2, 3.0, 40.0])
def test_gamma_is_drawn_by_the_generator(concentration):
    shape = torch.full((4000,), concentration, dtype=torch.float64)
    drawn = standard_gamma(shape, generator=generator(1))
    assert drawn.dtype == torch.float64 and drawn.shape == (4000,)
    p = kstest(drawn.numpy(), gamma(concentration).cdf).pvalue
    assert p > 1e-3, f"torch._standard_gamma no longer draws from Gamma({concentration}, 1): p = {p:.1e}"
    assert torch.equal(drawn, standard_gamma(shape, generator=generator(1))), (
        "torch._standard_gamma depends on more than its generator"
    )
    assert not torch.equal(drawn, standard_gamma(shape, generator=generator(2)))


def test_drawing_gamma_moves_the_generator():
    """Two draws in a row are two draws: the generator's state goes on."""
    one = generator(1)
    shape = torch.full((100,), 2.0, dtype=torch.float64)
    first = standard_gamma(shape, generator=one)
    assert not torch.equal(first, standard_gamma(shape, generator=one))


def made(count=3):
    return [torch.randn(3, index + 1, generator=generator(index)) for index in range(count)]


def test_all_tensors_are_scaled_in_place_by_a_tensor():
    tensors = made()
    places = [tensor.data_ptr() for tensor in tensors]
    expected = [tensor * 0.75 for tensor in tensors]
    scale_(tensors, torch.tensor(0.75))
    for tensor, other, place in zip(tensors, expected, places, strict=True):
        assert torch.equal(tensor, other), "torch._foreach_mul_ with a tensor as factor computes something else"
        assert tensor.data_ptr() == place, "torch._foreach_mul_ no longer works in place"


def test_scaled_tensors_are_added_in_place():
    tensors, others = made(), made(5)[2:]
    others = [torch.full_like(tensor, other.mean().item()) for tensor, other in zip(tensors, others, strict=True)]
    kept = [other.clone() for other in others]
    places = [tensor.data_ptr() for tensor in tensors]
    expected = [tensor + other * 0.3 for tensor, other in zip(tensors, others, strict=True)]
    add_scaled_(tensors, others, torch.tensor(0.3))
    for tensor, other, place in zip(tensors, expected, places, strict=True):
        torch.testing.assert_close(tensor, other)
        assert tensor.data_ptr() == place, "torch._foreach_add_ no longer works in place"
    for other, before in zip(others, kept, strict=True):
        assert torch.equal(other, before), "torch._foreach_mul changes its arguments"


def test_parameters_are_scaled_where_no_gradient_is_kept():
    parameters = [torch.nn.Parameter(tensor) for tensor in made()]
    expected = [parameter.detach() * 0.5 for parameter in parameters]
    with torch.no_grad():
        scale_(parameters, torch.tensor(0.5))
    assert all(torch.equal(parameter, other) for parameter, other in zip(parameters, expected, strict=True))


def test_the_spy_sees_each_operator():
    seen, ones = [], torch.ones(2, requires_grad=True)
    with OperatorSpy(lambda name, arguments: seen.append((name, len(arguments)))):
        result = (ones * 3)[torch.tensor([1])]
    names = [name for name, _ in seen]
    assert "aten::mul" in names and "aten::index" in names, f"TorchDispatchMode no longer tells of operators: {names}"
    assert result.item() == 3 and result.requires_grad, "TorchDispatchMode changes what is computed"
    count = len(seen)
    ones + 1
    assert len(seen) == count, "TorchDispatchMode goes on behind its block"


def test_tensors_are_copied_in_place_and_rounded():
    tensors = [tensor.bfloat16() for tensor in made()]
    places = [tensor.data_ptr() for tensor in tensors]
    others = [tensor + 1.001 for tensor in made()]
    copy_(tensors, others)
    for tensor, other, place in zip(tensors, others, places, strict=True):
        assert torch.equal(tensor, other.bfloat16()), "torch._foreach_copy_ rounds in another way than Tensor.to"
        assert tensor.data_ptr() == place, "torch._foreach_copy_ no longer works in place"
    copy_([], [])


def test_a_number_is_added_in_place():
    counts = [torch.tensor(3), torch.tensor(0)]
    increase_(counts, 5)
    assert [count.item() for count in counts] == [8, 5], "torch._foreach_add_ with a number adds something else"
    increase_([], 5)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_optimizers_without_the_compiler_do_the_same(kind):
    def trained(kind):
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = kind([weight], lr=0.1)
        for factor in (1.0, -2.0):
            (weight.square().sum() * factor).backward()
            optimizer.step()
            optimizer.zero_grad()
        return weight.detach(), optimizer

    (weight, _), (other, optimizer) = trained(kind), trained(without_compiler(kind))
    assert torch.equal(weight, other)
    optimizer.load_state_dict(optimizer.state_dict())
    hooked = []
    optimizer.register_step_pre_hook(lambda *_: hooked.append(1))
    optimizer.step()
    assert hooked == [1], "hooks of optimizers are no longer called around the method that the class has"


def test_optimizers_without_the_compiler_do_not_import_it():
    code = (
        "import sys, torch\n"
        "from tune_mixup.torch_internals import without_compiler\n"
        "weight = torch.nn.Parameter(torch.ones(3))\n"
        "optimizer = without_compiler(torch.optim.AdamW)([weight], lr=0.1, fused=True)\n"
        "weight.sum().backward()\n"
        "optimizer.step(); optimizer.zero_grad(); optimizer.load_state_dict(optimizer.state_dict())\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, f"a method of torch's optimizers is guarded anew: {done.stderr}"


def test_the_number_of_an_error_of_cuda():
    """On a CPU nobody makes such an error with a number: here it is given one as torch gives it."""
    error = torch.AcceleratorError("CUDA error: out of memory")
    assert error_code(error) is None
    error.error_code = 2
    assert error_code(error) == 2


@pytest.mark.parametrize(
    ("made", "settings"),
    [
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "fused": True}),
        (torch.optim.Adam, {"lr": 0.1, "weight_decay": 0.1, "fused": True}),
        (torch.optim.AdamW, {"lr": 0.1, "fused": True}),
        (torch.optim.RMSprop, {"lr": 0.1}),
        (torch.optim.Adafactor, {"lr": 0.1}),
    ],
)
def test_a_quiet_update_is_the_same_update(made, settings):
    weights = [torch.nn.Parameter(torch.linspace(-1, 1, 6).reshape(2, 3)) for _ in range(2)]
    for weight in weights:
        weight.grad = torch.linspace(1, 2, 6).reshape(2, 3)
    loud = made(weights[:1], **settings)
    loud.step()
    quiet = updated_quietly(lambda: made(weights[1:], **settings))
    assert torch.equal(*weights), "an optimizer's unwrapped step updates otherwise"
    kept = [optimizer.state[weight] for optimizer, weight in zip((loud, quiet), weights, strict=True)]
    assert kept[0].keys() == kept[1].keys(), "an optimizer's unwrapped step keeps something else"


@pytest.mark.parametrize("fault", [False, True])
def test_optimizers_are_as_before_after_a_quiet_update(fault):
    wrapped = torch.optim.Optimizer.add_param_group
    weight = torch.nn.Parameter(torch.zeros(3))
    weight.grad = torch.ones(3)

    def build():
        if fault:
            raise ValueError("no")
        return torch.optim.SGD([weight], lr=0.1)

    with contextlib.suppress(ValueError):
        updated_quietly(build)
    assert torch.optim.Optimizer.add_param_group is wrapped


QUIETLY = """
import sys
import torch
from tune_mixup.torch_internals import updated_quietly
asked = []
class Asked(BaseException):
    pass
def ask(*args):
    asked.append("asked")
    raise Asked
torch.cuda._lazy_init = ask
torch.cuda.is_available = torch.accelerator.is_available = lambda: True
torch.cuda.is_current_stream_capturing = torch.accelerator.current_stream = ask
for name in ("SGD", "Adam", "AdamW"):
    weight = torch.nn.Parameter(torch.zeros(3))
    weight.grad = torch.ones(3)
    build = lambda: getattr(torch.optim, name)([weight], lr=0.1, fused=True)
    try:
        updated_quietly(build) if sys.argv[1] == "quiet" else build().step()
    except Asked:
        pass
print(len(asked), "torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize(("how", "expected"), [("quiet", ["0", "False"]), ("loud", ["2", "True"])])
def test_a_quiet_update_imports_no_compiler_and_asks_for_no_gpu(how, expected):
    """That the usual one does both shows that the quiet one is still needed; SGD asks for no GPU."""
    done = subprocess.run([sys.executable, "-c", QUIETLY, how], capture_output=True, text=True)
    assert done.stdout.split() == expected, done.stderr


@pytest.mark.parametrize(("version", "registered"), [("2.11.0", 2), ("2.13.1+cu130", 2), ("2.14.0", 0), ("3.0.0", 0)])
def test_generators_are_registered_where_a_capture_does_not_find_them(monkeypatch, version, registered):
    class Graph:
        def __init__(self):
            self.known = []

        def register_generator_state(self, one):
            self.known.append(one)

    monkeypatch.setattr(torch, "__version__", version)
    graph = Graph()
    register_generators(graph, [generator(0), generator(1)])
    assert len(graph.known) == registered
    assert hasattr(torch.cuda.CUDAGraph, "register_generator_state")
