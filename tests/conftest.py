import pytest
import torch


@pytest.fixture(autouse=True)
def global_generator_untouched():
    """No test may leave torch's global generator moved: our code draws from explicit generators only."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state()), "the global torch generator was used"
