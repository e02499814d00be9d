"""What any mixing method promises the trainer, those with extra passes included: a step, a state, and no surprises."""

from typing import Generic, NamedTuple, TypeVar
from unittest import SkipTest

import torch
from torch import Tensor

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing import AnyMixer, Mixer
from tune_mixup.mixing.base import StepOutput
from tune_mixup.mixing.first_state import first_state
from tune_mixup.models.base import StagedNetwork
from tune_mixup.testing.batches import CPU, Batch, changed, copies, generator, linear_for, trained_batch
from tune_mixup.testing.parts import PartContract
from tune_mixup.testing.watching import global_generators_untouched, no_reads_on_the_host, operators_noted


class Images(NamedTuple):
    """B, C, H and W of a batch."""

    size: int
    channels: int
    height: int
    width: int


SHAPES = (
    (2, Images(1, 3, 8, 8)),
    (2, Images(2, 3, 8, 8)),
    (3, Images(33, 1, 7, 5)),
    (4, Images(4, 1, 160, 101)),
    (200, Images(200, 3, 4, 4)),
    (10, Images(30, 2, 1, 9)),
)
"""Numbers of classes with batches, among them images of one row. A method may refuse some by its `check_data`."""
MEAN_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-6}
"""How far the mean of a mixed constant image may be off, by the precision of the inputs."""

M = TypeVar("M", bound=Mixer)


class StepContract(PartContract[M], Generic[M]):
    """For every mixing method; those that mix a batch once have more to promise, see `MixerContract`."""

    kind = AnyMixer

    def step(
        self,
        batch: Batch,
        *,
        seed: int = 0,
        epoch: int = 0,
        model: StagedNetwork | None = None,
        mixer: Mixer | None = None,
    ) -> StepOutput:
        """A step of the part, or of `mixer`, on a batch."""
        return (mixer or self.part).step(
            model or self.network(batch),
            batch.inputs,
            batch.targets,
            batch.state,
            epoch=epoch,
            generator=generator(seed),
            loss=CrossEntropy(),
        )

    def build(self, inputs: Tensor, num_classes: int) -> StagedNetwork:
        """A network for images like `inputs`: three linear layers.

        A method that needs maps of features overrides it, as by `tune_mixup.testing.batches.convolutional`.
        """
        return linear_for(inputs, num_classes)

    def network(self, batch: Batch) -> StagedNetwork:
        """The network for a batch, in the precision of its inputs."""
        return self.build(batch.inputs, batch.targets.shape[1]).to(batch.inputs.dtype)

    def takes(self, shape: tuple[int, Images]) -> bool:
        """Whether the part's `check_data` lets images of a shape through."""
        num_classes, images = shape
        try:
            self.part.check_data(height=images.height, width=images.width, num_classes=num_classes)
        except ValueError:
            return False
        return True

    def test_a_step_trains_on_distributions(self) -> None:
        """Shapes and types of what a step gives, for whole multiples of the batch; and gradients are finite."""
        batch = trained_batch(self.part, build=self.build)
        model = self.network(batch)
        output = self.step(batch, model=model)
        rows, num_classes = output.logits.shape
        assert rows and rows % len(batch.inputs) == 0, f"logits have {rows} rows, must be a multiple of the batch's"
        assert num_classes == batch.targets.shape[1], "logits must have a column for each class"
        assert output.soft_targets.shape == output.logits.shape, "soft_targets must have the shape of the logits"
        off = float((output.soft_targets.sum(1) - 1).abs().max())
        assert off < 1e-5, f"rows of soft_targets must sum to 1; one is {off:.3g} off"
        assert output.loss.shape == () and bool(output.loss.isfinite()), "the loss must be one finite number"
        output.loss.backward()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            finite = parameter.grad is not None and bool(parameter.grad.isfinite().all())
            assert finite, f"{name} gets no finite gradient; the loss must reach every weight of the network"
        for name, tensor in batch.state.items():
            reached = tensor.grad is not None and bool(tensor.grad.isfinite().all())
            assert reached or not tensor.requires_grad, (
                f"{name} of the state is a parameter and gets no finite gradient"
            )

    def test_any_shape_trains(self) -> None:
        """Few and many classes, images of one row, batches of one; `check_data` must refuse what is not taken."""
        taken = [shape for shape in SHAPES if self.takes(shape)]
        assert taken, "check_data refuses every shape; it must let through what can be mixed"
        for num_classes, images in taken:
            batch = trained_batch(self.part, num_classes, **images._asdict(), build=self.build)
            assert bool(self.step(batch).loss.isfinite()), f"the loss is not finite for {images}"

    def test_equal_generators_give_equal_trainings(self) -> None:
        """Two epochs, states and logits, to the last bit: nothing is remembered beside the state."""
        first, again = trained_batch(self.part, build=self.build), trained_batch(self.part, build=self.build)
        wrong = changed(first.state, again.state)
        assert not wrong, f"two trainings from equal generators end in other states: {', '.join(wrong)}"
        one, other = (self.step(first, seed=9, epoch=2) for _ in range(2))
        same = torch.equal(one.logits, other.logits) and torch.equal(one.loss, other.loss)
        assert same, "two steps from equal generators differ; draw from the generator, remember in the state only"

    def test_no_global_generator_is_asked(self) -> None:
        """Python's, NumPy's and torch's stay where they are."""
        with global_generators_untouched():
            batch = trained_batch(self.part, build=self.build)
            self.part.snapshot(batch.state)

    def test_nothing_that_comes_in_is_changed(self) -> None:
        """By a step, the end of an epoch or a snapshot."""
        batch = trained_batch(self.part, build=self.build)
        given: dict[str, Tensor] = {"inputs": batch.inputs, "targets": batch.targets, **batch.state}
        before = copies(given)

        def check(what: str) -> None:
            wrong = changed(before, given)
            assert not wrong, f"{what} changes {', '.join(wrong)} in place; make new tensors"

        self.step(batch)
        check("step")
        self.part.end_epoch(batch.state, epoch=2, generator=generator())
        check("end_epoch")
        self.part.snapshot(batch.state)
        check("snapshot")

    def test_the_state_keeps_its_names_shapes_types_and_device(self) -> None:
        """So that a checkpoint can be read, and one CUDA graph serves all steps.

        It is no part of a gradient, but for parameters, which come back as they are.
        """
        batch = trained_batch(self.part, build=self.build)
        image = (batch.inputs.shape[1], *batch.inputs.shape[2:])
        fresh = first_state(self.part, self.network(batch), 5, image=image, device=CPU, generator=generator(3))
        trained = self.step(batch).state
        before, after = (
            {name: (tuple(t.shape), t.dtype, t.device.type) for name, t in state.items()} for state in (fresh, trained)
        )
        assert before == after, f"the state is {before} at first and {after} later; keep names, shapes and types"
        graded = [name for name, tensor in trained.items() if tensor.requires_grad and tensor is not batch.state[name]]
        assert not graded, f"the state holds a graph of gradients in {', '.join(graded)}; detach what is remembered"

    def test_snapshots_are_finite_tensors_on_the_cpu(self) -> None:
        """They are written to the trial's folder after every epoch."""
        for name, tensor in self.part.snapshot(trained_batch(self.part, build=self.build).state).items():
            assert tensor.device == CPU, f"snapshot {name} is on {tensor.device}, must be on the CPU"
            assert bool(tensor.isfinite().all()), f"snapshot {name} is not finite"

    def test_a_step_reads_nothing_on_the_host(self) -> None:
        """The device never waits for Python."""
        batch = trained_batch(self.part, build=self.build)
        model = self.network(batch)
        with no_reads_on_the_host():
            self.step(batch, model=model)

    def test_a_captured_step_would_hold_for_any_epoch(self) -> None:
        """The same operators on the same sizes in any epoch and with any draws, which a CUDA graph relies on."""
        if not self.part.capturable:
            raise SkipTest("the method says that it can't be captured")
        batch = trained_batch(self.part, build=self.build)
        kept = [self._operators(batch, epoch=epoch, seed=seed) for epoch, seed in ((0, 0), (1, 1), (7, 2), (100, 3))]
        same = all(other == kept[0] for other in kept[1:])
        assert same, (
            "a step runs other operators in another epoch or with other draws; choose by torch.where, move what "
            "depends on the epoch to end_epoch, or let `capturable` be False"
        )

    def _operators(self, batch: Batch, *, epoch: int, seed: int) -> object:
        notes: list[tuple[str, tuple[tuple[int, ...], ...]]] = []
        model = self.network(batch)
        with operators_noted(notes):
            self.step(batch, seed=seed, epoch=epoch, model=model)
        return notes

    def test_the_canonical_settings_train_alike(self) -> None:
        """Settings with one canonical form have one identity, so they must give the same numbers."""
        simplest = self.part.canonical()
        assert simplest.canonical() == simplest, "the canonical form must be its own canonical form"
        ours, theirs = (self._losses(mixer) for mixer in (self.part, simplest))
        torch.testing.assert_close(
            ours, theirs, msg=f"{self.part!r} and its canonical form {simplest!r} train to other losses"
        )

    def _losses(self, mixer: Mixer) -> Tensor:
        batch = trained_batch(mixer, size=20, build=self.build)
        return torch.stack([self.step(batch, seed=seed, mixer=mixer).loss.detach() for seed in range(3)])

    def test_the_strength_is_a_share_up_to_a_half(self) -> None:
        """Trials are compared with those of like strength."""
        strength = self.part.strength()
        assert strength is None or 0 <= strength <= 0.5, f"strength() is {strength}, must be 0 to 1/2, or None"
