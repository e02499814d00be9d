"""What a mixing method promises the trainer, checked on batches of made-up images.

from tune_mixup.testing import MixerContract

class TestMine(MixerContract):
    part = Mine(alpha=0.4)
"""

from typing import ClassVar
from unittest import SkipTest

import torch
from torch import Tensor

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing import AnyMixer, MixedBatch
from tune_mixup.mixing.base import BatchMixer, forward
from tune_mixup.testing.batches import Batch, changed, copies, generator, network_for, trained_batch
from tune_mixup.testing.steps import MEAN_TOLERANCE, SHAPES, Images, StepContract


class MixerContract(StepContract[BatchMixer]):
    """For methods that mix a batch once: classes derived from `InputMixer` or `BatchMixer`.

    A method that overrides `step`, derived from `Mixer` itself, is checked by `StepContract`.
    """

    kind = AnyMixer
    weighs_pixels: ClassVar[bool] = True
    """False for a method that mixes inputs otherwise than by lam, such as published code whose labels don't follow."""

    def mixed(self, batch: Batch, seed: int = 0) -> MixedBatch:
        """The mixed batch for a seed."""
        assert isinstance(self.part, BatchMixer), (
            f"{type(self.part).__name__} is no BatchMixer; check it with StepContract instead of MixerContract"
        )
        return self.part.mixed_batch(
            network_for(batch), batch.inputs, batch.targets, batch.state, epoch=0, generator=generator(seed)
        )

    def test_targets_are_distributions_weighted_by_lam(self) -> None:
        """Shapes, types and ranges, and lam weighs the row's own example."""
        batch = trained_batch(self.part)
        for seed in range(20):
            _check_mixed(self.mixed(batch, seed), batch)

    def test_any_shape_is_mixed(self) -> None:
        """Few and many classes, images of one row, batches of one."""
        for num_classes, images in filter(self.takes, SHAPES):
            batch = trained_batch(self.part, num_classes, **images._asdict())
            _check_mixed(self.mixed(batch), batch)

    def test_any_precision_is_kept(self) -> None:
        """Inputs of bfloat16 and float64 stay what they are; targets and lam are float32."""
        for dtype in (torch.bfloat16, torch.float64):
            batch = trained_batch(self.part, dtype=dtype)
            _check_mixed(self.mixed(batch), batch)

    def test_the_memory_format_is_kept(self) -> None:
        """Channels last stay last: otherwise `training.channels_last` would cost time instead of saving it."""
        batch = trained_batch(self.part)
        batch = batch._replace(inputs=batch.inputs.contiguous(memory_format=torch.channels_last))
        kept = self.mixed(batch).inputs.is_contiguous(memory_format=torch.channels_last)
        assert kept, "the mixed inputs must have the memory format of the inputs"

    def test_equal_generators_give_equal_batches(self) -> None:
        """The generator decides everything."""
        batch = trained_batch(self.part)
        first, again = (self.mixed(batch, seed=1) for _ in range(2))
        for name in ("inputs", "soft_targets", "lam", "partner"):
            same = torch.equal(getattr(first, name), getattr(again, name))
            assert same, f"two batches from equal generators differ in {name}; draw everything from the generator"

    def test_mixing_changes_nothing_that_comes_in(self) -> None:
        """Inputs and targets are shared with others."""
        batch = trained_batch(self.part)
        before = copies({"inputs": batch.inputs, "targets": batch.targets, **batch.state})
        self.mixed(batch)
        wrong = changed(before, {"inputs": batch.inputs, "targets": batch.targets, **batch.state})
        assert not wrong, f"blend changes {', '.join(wrong)} in place; make new tensors"

    def test_an_example_whose_lam_is_one_stays_as_it_is(self) -> None:
        """Exactly, not nearly."""
        batch = trained_batch(self.part)
        for seed in range(30):
            mixed = self.mixed(batch, seed)
            whole = (mixed.lam == 1).expand(len(batch.inputs))
            assert torch.equal(mixed.soft_targets[whole], batch.targets[whole]), "lam is 1, but the target is another"
            assert torch.equal(mixed.inputs[whole], batch.inputs[whole]), "lam is 1, but the input is another"

    def test_inputs_weigh_as_lam_says(self) -> None:
        """Image i is a constant: after mixing, the mean pixel is lam of it and 1 - lam of its partner's."""
        if self.part.min_stages or not self.weighs_pixels:
            raise SkipTest("the method does not mix inputs by lam")
        batch = trained_batch(self.part, height=12, width=10)
        value = torch.linspace(-1, 1, len(batch.inputs))
        for dtype, tolerance in MEAN_TOLERANCE.items():
            constant = batch._replace(inputs=value[:, None, None, None].expand(batch.inputs.shape).to(dtype))
            for seed in range(10):
                mixed = self.mixed(constant, seed)
                expected = _shares(mixed) @ value
                found = mixed.inputs.double().mean((1, 2, 3)).float()
                worst = float((found - expected).abs().max())
                assert worst <= tolerance, (
                    f"images of one value become {worst:.3g} off lam * own + (1 - lam) * partner, or off their shares; "
                    "lam must weigh the own example, as a mask's mean or as the weight of the sum"
                )

    def test_lam_is_the_mean_of_the_mask(self) -> None:
        """Where pixels have weights of their own: labels weigh exactly as much as pixels."""
        odd, even = (5, Images(13, 3, 9, 7)), (5, Images(13, 3, 8, 6))
        num_classes, images = odd if self.takes(odd) else even
        batch = trained_batch(self.part, num_classes, **images._asdict())
        for seed in range(5):
            mixed = self.mixed(batch, seed)
            if mixed.mask is None or not self.weighs_pixels:
                raise SkipTest("there is no mask that lam would follow")
            _check_mask(mixed, batch)

    def test_step_is_the_soft_loss_of_the_mixed_batch(self) -> None:
        """What `blend` gives is what is trained on."""
        batch = trained_batch(self.part)
        model = network_for(batch)
        output = self.step(batch, seed=4, model=model)
        mixed = self.mixed(batch, seed=4)
        logits = forward(model, mixed)
        torch.testing.assert_close(output.logits, logits, msg="step's logits are not those of what blend gives")
        assert torch.equal(output.soft_targets, mixed.soft_targets), "step's targets are not those that blend gives"
        of_mixed = CrossEntropy()(logits, mixed.soft_targets)
        if isinstance(self.part, BatchMixer) and self.part.trains_beside:
            more = f"{self.part.trains_beside} must add to the loss of the mixed batch, or trains_beside be empty"
            assert output.loss > of_mixed, more
        else:
            torch.testing.assert_close(output.loss, of_mixed)


def _check_mixed(mixed: MixedBatch, batch: Batch) -> None:
    inputs, targets, _ = batch
    size, num_classes = targets.shape
    assert mixed.inputs.shape == inputs.shape, f"inputs are {_of(mixed.inputs)}, must be as before: {_of(inputs)}"
    assert mixed.inputs.dtype == inputs.dtype, f"inputs are {_of(mixed.inputs)}, must be as before: {_of(inputs)}"
    assert bool(mixed.inputs.isfinite().all()), "inputs are no longer finite"
    soft, lam, partner = mixed.soft_targets, mixed.lam, mixed.partner
    right = soft.shape == (size, num_classes) and soft.dtype == torch.float32
    assert right, f"soft_targets are {_of(soft)}, must be torch.float32 {[size, num_classes]}"
    assert bool((soft >= 0).all()), "soft_targets must not be negative"
    off = float((soft.sum(1) - 1).abs().max())
    assert off < 1e-5, f"rows of soft_targets must sum to 1; one is {off:.3g} off"
    right = lam.shape in [(), (size,)] and lam.dtype == torch.float32
    assert right, f"lam is {_of(lam)}, must be torch.float32 [] or [{size}]"
    assert bool(((lam >= 0) & (lam <= 1)).all()), f"lam must be in [0, 1], got {lam.min():.3g} to {lam.max():.3g}"
    right = partner.shape == (size,) and partner.dtype == torch.int64
    assert right, f"partner is {_of(partner)}, must be torch.int64 [{size}]"
    assert bool(((partner >= 0) & (partner < size)).all()), f"partner must be rows of the batch, 0 to {size - 1}"
    if mixed.shares is not None:
        _check_shares(mixed.shares, mixed)
    off = float((soft - _shares(mixed) @ targets).abs().max())
    assert off < 1e-5, (
        f"soft_targets must be lam * own + (1 - lam) * partner's, or by shares where it has them; one is {off:.3g} "
        "off (lam weighs the own example)"
    )


def _shares(mixed: MixedBatch) -> Tensor:
    """How much of each example each row has, [B, B]."""
    if mixed.shares is not None:
        return mixed.shares
    size = len(mixed.partner)
    own, partner = torch.eye(size), torch.eye(size)[mixed.partner]
    return mixed.lam.expand(size)[:, None] * own + (1 - mixed.lam.expand(size)[:, None]) * partner


def _check_shares(shares: Tensor, mixed: MixedBatch) -> None:
    size = len(mixed.partner)
    right = shares.shape == (size, size) and shares.dtype == torch.float32
    assert right, f"shares are {_of(shares)}, must be torch.float32 {[size, size]}"
    alone = mixed.partner == torch.arange(size)
    own = torch.where(alone, 1.0, mixed.lam)
    off = max(float((shares.sum(1) - 1).abs().max()), float((shares.diagonal() - own).abs().max()))
    assert off < 1e-6, f"rows of shares must sum to 1 and have lam on the diagonal; one is {off:.3g} off"
    others = shares.masked_fill(torch.eye(size, dtype=torch.bool), 0)
    most = others.gather(1, mixed.partner[:, None]).squeeze(1)
    assert torch.equal(most, others.amax(1)), "the partner must be who has the largest share beside the own example"


def _check_mask(mixed: MixedBatch, batch: Batch) -> None:
    assert mixed.mask is not None
    lam = mixed.lam.reshape(-1)
    height, width = batch.inputs.shape[2:]
    right = mixed.mask.shape == (len(lam), 1, height, width) and mixed.mask.dtype == torch.float32
    assert right, f"mask is {_of(mixed.mask)}, must be torch.float32 {[len(lam), 1, height, width]}"
    assert bool(((mixed.mask >= 0) & (mixed.mask <= 1)).all()), "mask must be in [0, 1]"
    off = float((mixed.mask.double().mean((1, 2, 3)).float() - lam).abs().max())
    assert off <= 1e-6, f"lam must be the mean of the mask; one is {off:.3g} off"
    own = (mixed.mask == 1).expand_as(batch.inputs)
    assert torch.equal(mixed.inputs[own], batch.inputs[own]), "where the mask is 1, pixels must be the own image's"
    others = (mixed.partner != torch.arange(len(batch.inputs)))[:, None, None, None]
    pasted = (mixed.mask < 1).expand_as(batch.inputs) & others
    assert bool((mixed.inputs != batch.inputs)[pasted].all()), "where the mask is below 1, the partner must show"


def _of(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"
