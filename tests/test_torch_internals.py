"""What torch must go on doing, though it does not document it. A failure here names what a release has changed."""

import subprocess
import sys

import pytest
import torch
from scipy.stats import gamma, kstest

from tune_mixup.torch_internals import (
    OperatorSpy,
    add_scaled_,
    copy_,
    increase_,
    scale_,
    standard_gamma,
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


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
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
