"""What an architecture promises: stages where features can be mixed, any size from `min_side` up, all of it in weights.

    from tune_mixup.testing import ModelContract

    class TestMine(ModelContract):
        part = MyNet(width=8)

Choose small settings: the suite trains the network at its smallest size.
"""

from functools import partial

import torch
from torch import Tensor

from tune_mixup.models import AnyModel
from tune_mixup.models.base import Model, StagedNetwork
from tune_mixup.testing.batches import generator
from tune_mixup.testing.parts import PartContract
from tune_mixup.testing.watching import global_generators_untouched

SIZES = ((3, 28, 28), (3, 32, 32), (3, 33, 47), (3, 64, 64), (1, 160, 101), (4, 32, 40), (2, 16, 16))
"""Channels, height and width; a side below the model's smallest is enlarged."""


class ModelContract(PartContract[Model]):
    """For classes derived from `Model`."""

    kind = AnyModel

    def build(self, *, channels: int = 3, num_classes: int = 10, seed: int = 0) -> StagedNetwork:
        """A network from a seed; the global generator is left as it was, as the trainer leaves it."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.part.build(channels=channels, num_classes=num_classes)

    def images(self, size: int, *, channels: int = 3) -> Tensor:
        """Made-up inputs float32 [size, C, H, W], of 16 pixels along a side or the least that the model takes."""
        side = max(16, self.part.min_side)
        return torch.randn((size, channels, side, side), generator=generator())

    def test_the_stages_are_as_many_as_it_says(self) -> None:
        """Methods that mix features choose among them before a network is built."""
        count = len(self.build().stages)
        assert count == self.part.num_stages, f"the network has {count} stages, num_stages says {self.part.num_stages}"

    def test_any_size_and_number_of_channels_gives_logits(self) -> None:
        """Images that are not square or of an odd side too; nothing is computed for it."""
        for channels, *sides in SIZES:
            height, width = (max(side, self.part.min_side) for side in sides)
            with torch.device("meta"):
                network = self.build(channels=channels, num_classes=7).eval()
                shape = tuple(network(torch.empty(5, channels, height, width)).shape)
            wanted = (5, 7)
            assert shape == wanted, f"logits for {channels} x {height} x {width} are {shape}, must be {wanted}"

    def test_the_smallest_side_trains_and_every_weight_gets_a_gradient(self) -> None:
        """Weights that no loss reaches would stay at chance, and the optimizer could not be captured."""
        network, side = self.build(), self.part.min_side
        with torch.random.fork_rng(devices=[]):  # dropout draws from the global generator
            logits = network(torch.randn((2, 3, side, side), generator=generator()))
        logits.square().sum().backward()
        assert bool(logits.isfinite().all()), f"logits of images of {side} x {side} pixels are not finite"
        without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
        assert not without, f"no gradient reaches {', '.join(without)}; use them or leave them out"

    def test_one_image_is_enough_to_predict(self) -> None:
        """In evaluation no image depends on the others of its batch."""
        network, side = self.build().eval(), self.part.min_side
        inputs = torch.randn((3, 3, side, side), generator=generator())
        with torch.no_grad():
            together, alone = network(inputs), torch.cat([network(image[None]) for image in inputs])
        torch.testing.assert_close(
            alone, together, rtol=1e-3, atol=1e-4, msg="an image alone gets other logits than in a batch, in eval mode"
        )

    def test_smaller_images_are_refused(self) -> None:
        """Before anything is trained."""
        side = self.part.min_side
        self.part.check_size(side, 10 * side)
        try:
            self.part.check_size(10 * side, side - 1)
        except ValueError:
            return
        raise AssertionError(f"check_size lets {10 * side} x {side - 1} pixels through, min_side is {side}")

    def test_an_identity_edit_changes_nothing_at_any_depth(self) -> None:
        """What is edited after a stage is all that the next one sees."""
        network, inputs = self.build().eval(), self.images(2)
        with torch.no_grad():
            plain = network(inputs)
            for depth in range(len(network.stages) + 1):
                same = torch.equal(network(inputs, edits={depth: lambda features: features}), plain)
                assert same, f"an edit after stage {depth} that returns its argument changes the logits"

    def test_an_edit_reaches_the_logits_from_any_depth(self) -> None:
        """The order of the rows, turned round after a stage, is turned round in the logits: no way leads past it."""
        network, inputs = self.build().eval(), self.images(3)
        with torch.no_grad():
            plain = network(inputs)
            assert not torch.allclose(plain, plain.flip(0), rtol=0, atol=1e-7), "all images have the same logits"
            for depth in range(len(network.stages) + 1):
                swapped = network(inputs, edits={depth: lambda features: features.flip(0)})
                torch.testing.assert_close(
                    swapped, plain.flip(0), msg=f"something leads past the features after stage {depth}"
                )

    def test_no_stage_writes_into_the_features_it_is_given(self) -> None:
        """Mixing needs them again."""
        network, inputs = self.build(), self.images(2)
        for depth in range(len(network.stages) + 1):
            kept: list[Tensor] = []
            with torch.random.fork_rng(devices=[]):
                network(inputs, edits={depth: partial(_keeping, kept)})
            assert torch.equal(*kept), f"what follows stage {depth} changes its features in place"

    def test_weights_come_from_torchs_global_generator_alone(self) -> None:
        """The trainer seeds it around `build`, so that a seed gives the same network in every process."""
        with global_generators_untouched(torchs_own=False):
            first, again, other = (self.build(seed=seed).state_dict() for seed in (1, 1, 2))
        for name in first:
            assert torch.equal(first[name], again[name]), f"{name} differs between two networks of one seed"
        drawn = [name for name in first if name.startswith("stages") and first[name].ndim > 1]
        alike = [name for name in drawn if torch.equal(first[name], other[name])]
        assert drawn and not alike, f"{alike or 'the stages'} do not depend on the seed; draw the weights"

    def test_a_checkpoint_holds_all_of_it(self) -> None:
        """A network with the weights and buffers of another gives the same logits."""
        trained, other = self.build(seed=1), self.build(seed=2)
        with torch.random.fork_rng(devices=[]):
            trained(self.images(4))  # running statistics are part of it
        other.load_state_dict(trained.state_dict())
        with torch.no_grad():
            same = torch.equal(trained.eval()(self.images(2)), other.eval()(self.images(2)))
        assert same, "state_dict() does not hold all that the logits depend on; register it as parameter or buffer"

    def test_channels_last_and_bfloat16_give_about_the_same_logits(self) -> None:
        """`training.channels_last` and `training.precision` change the speed, not the model."""
        network, inputs = self.build().eval(), self.images(2)
        with torch.no_grad():
            plain = network(inputs)
            last = network(inputs.to(memory_format=torch.channels_last))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                low = network(inputs)
        torch.testing.assert_close(last, plain, rtol=1e-3, atol=1e-4, msg="channels last gives other logits")
        assert low.dtype == torch.bfloat16, f"under autocast the logits are {low.dtype}; don't force a precision"
        most = 0.05 * float(plain.abs().max())
        torch.testing.assert_close(low.float(), plain, rtol=0.1, atol=most, msg="bfloat16 gives other logits")


def _keeping(kept: list[Tensor], features: Tensor) -> Tensor:
    kept.extend([features, features.detach().clone()])
    return features
