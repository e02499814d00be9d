"""What torch must go on doing, though it does not document it. A failure here names what a release has changed."""

import pytest
import torch
from scipy.stats import gamma, kstest

from tune_mixup.torch_internals import OperatorSpy, add_scaled_, error_code, scale_, standard_gamma


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


def test_the_number_of_an_error_of_cuda():
    """On a CPU nobody makes such an error with a number: here it is given one as torch gives it."""
    error = torch.AcceleratorError("CUDA error: out of memory")
    assert error_code(error) is None
    error.error_code = 2
    assert error_code(error) == 2
