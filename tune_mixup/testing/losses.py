"""What a loss promises: a finite mean over the batch with finite gradients, in float32, also under autocast.

from tune_mixup.testing import LossContract

class TestMine(LossContract):
    part = Focal(gamma=2.0)
"""

import torch
from torch import Tensor

from tune_mixup.loss import AnyLoss, Loss
from tune_mixup.testing.batches import changed, copies, generator
from tune_mixup.testing.parts import PartContract
from tune_mixup.testing.watching import global_generators_untouched, no_reads_on_the_host


class LossContract(PartContract[Loss]):
    """For classes derived from `Loss`."""

    kind = AnyLoss

    def test_it_is_the_mean_over_the_batch(self) -> None:
        """So that batches of any size weigh alike: the loss of a batch is the mean of those of its rows."""
        logits, targets = _rows()
        rows = torch.stack([self.part(logits[i : i + 1], targets[i : i + 1]) for i in range(len(logits))])
        whole = self.part(logits, targets)
        assert whole.shape == (), f"the loss has the shape {list(whole.shape)}, must be one number"
        off = float((whole - rows.mean()).abs())
        assert off < 1e-5, f"the loss of a batch is {off:.3g} off the mean of its rows' losses"

    def test_it_is_float32_for_logits_of_any_precision(self) -> None:
        """A sum in bfloat16 would keep two digits."""
        logits, targets = _rows()
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            made = self.part(logits.to(dtype), targets)
            assert made.dtype == torch.float32, f"for {dtype} the loss is {made.dtype}; begin with logits.float()"
            torch.testing.assert_close(made, self.part(logits.to(dtype).float(), targets), rtol=1e-5, atol=1e-5)

    def test_it_and_its_gradients_are_finite_for_any_finite_logits(self) -> None:
        """Also for a network that is very sure, and wrong."""
        for scale in (0.0, 1.0, 100.0, 1e4):
            logits, targets = _rows()
            logits = (logits * scale).requires_grad_()
            loss = self.part(logits, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            finite = logits.grad is not None and bool(loss.isfinite()) and bool(logits.grad.isfinite().all())
            assert finite, f"for logits of size {scale:g} the loss or its gradient is not finite"

    def test_a_step_down_its_gradient_lowers_it(self) -> None:
        """It can be minimised."""
        logits, targets = _rows()
        logits.requires_grad_()
        loss = self.part(logits, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None and bool(logits.grad.any()), "the loss has no gradient"
        lower = self.part(logits.detach() - 1e-2 * logits.grad, targets)
        assert float(lower) < float(loss.detach()), "a small step against the gradient does not lower the loss"

    def test_nothing_is_changed_drawn_or_read_on_the_host(self) -> None:
        """It is part of each training step."""
        logits, targets = _rows()
        given = {"logits": logits, "targets": targets}
        before = copies(given)
        with global_generators_untouched(), no_reads_on_the_host():
            self.part(logits, targets)
        wrong = changed(before, given)
        assert not wrong, f"the loss changes {', '.join(wrong)} in place; make new tensors"

    def test_the_canonical_settings_are_the_same_loss(self) -> None:
        """Losses with one canonical form have one identity."""
        simplest = self.part.canonical()
        assert simplest.canonical() == simplest, "the canonical form must be its own canonical form"
        torch.testing.assert_close(
            simplest(*_rows()), self.part(*_rows()), msg=f"{self.part!r} and {simplest!r} have other values"
        )


def _rows() -> tuple[Tensor, Tensor]:
    """Logits and targets float32 [9, 5]: rows of one class, of two and of three, which sum to 1."""
    targets = torch.eye(5)[torch.arange(9) % 5]
    lam = torch.linspace(0.1, 1, 9)[:, None]
    targets = lam * targets + (1 - lam) * targets.roll(2, 0)
    targets[0] = torch.tensor([0.5, 0.3, 0.2, 0.0, 0.0])
    return torch.randn(9, 5, generator=generator(1)), targets
