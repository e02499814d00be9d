"""What optimizers and schedules promise: updates that a checkpoint can continue, and factors of the learning rate.

from tune_mixup.testing import OptimizerContract, ScheduleContract

class TestMine(OptimizerContract):
    part = Lion(lr=1e-3)
"""

import copy

import torch
from torch import Tensor, nn

from tune_mixup.optimizer import AnyOptimizer, Optimizer
from tune_mixup.schedule import AnySchedule, Schedule
from tune_mixup.testing.batches import generator
from tune_mixup.testing.parts import PartContract
from tune_mixup.testing.watching import global_generators_untouched


class OptimizerContract(PartContract[Optimizer]):
    """For classes derived from `Optimizer`."""

    kind = AnyOptimizer

    def test_it_moves_every_weight_and_repeats_itself(self) -> None:
        """Equal gradients give equal weights."""
        with global_generators_untouched():
            first, again = (_Run(self.part).steps(3) for _ in range(2))
        for before, one, other in zip(_weights(), first, again, strict=True):
            assert torch.equal(one, other), "two runs with equal gradients end in other weights"
            assert not torch.equal(one, before), f"weights {list(one.shape)} do not move; update all that is given"

    def test_a_checkpoint_continues_it(self) -> None:
        """What it remembers is in its state_dict, bit for bit."""
        whole = _Run(self.part).steps(5)
        first = _Run(self.part)
        first.steps(2)
        second = _Run(self.part, weights=first.weights, done=2)
        second.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
        for one, other in zip(whole, second.steps(3), strict=True):
            assert torch.equal(one, other), "a run continued from state_dict() ends in other weights"

    def test_the_rate_is_read_from_its_groups(self) -> None:
        """The schedule writes `lr` there before each step."""
        run = _Run(self.part.replace(weight_decay=0.0))
        for group in run.optimizer.param_groups:
            group["lr"] = 0.0
        for before, after in zip(_weights(), run.steps(1), strict=True):
            assert torch.equal(before, after), "with group['lr'] = 0 the weights still move; read the rate from there"

    def test_norms_decay_only_when_asked(self) -> None:
        """Without gradients only the decay is left, and it spares parameters of at most one dimension if told to."""
        for decay_norms in (True, False):
            run = _Run(self.part.replace(weight_decay=0.1, decay_norms=decay_norms), size=0.0)
            for before, after in zip(_weights(), run.steps(1), strict=True):
                decays = decay_norms or before.ndim > 1
                moved = not torch.equal(before, after)
                words = f"weights of {before.ndim} dimensions {'decay' if moved else 'do not decay'}"
                assert moved == decays, f"{words} with decay_norms={decay_norms}; build from self._groups(parameters)"

    def test_the_decay_by_itself_is_that_of_the_update(self) -> None:
        """`decay_` before an update without decay is what the optimizer does at once: a CUDA graph is built so."""
        whole = _Run(self.part.replace(weight_decay=0.1)).steps(3)
        run = _Run(self.part.replace(weight_decay=0.0))
        for _ in range(3):
            run.prepare()
            with torch.no_grad():
                self.part.decay_(run.weights, lr=torch.tensor(self.part.lr), weight_decay=torch.tensor(0.1))
            run.update()
        for one, other in zip(whole, run.weights, strict=True):
            torch.testing.assert_close(
                other.detach(), one, rtol=1e-4, atol=1e-6, msg="decay_ does not do what the weight_decay of build does"
            )


class ScheduleContract(PartContract[Schedule]):
    """For classes derived from `Schedule`."""

    kind = AnySchedule
    lengths = (5, 7, 30, 200)
    """Epochs of the trainings that are tried, as far as the schedule's own check lets them through."""

    def test_factors_are_in_0_to_1_and_repeat(self) -> None:
        """At any progress, and a function of it alone: a resumed trial asks in the middle."""
        for epochs, places in self._courses():
            first = [self.part.lr_factor(place, epochs) for place in places]
            again = [self.part.lr_factor(place, epochs) for place in reversed(places)]
            assert first == again[::-1], "the factor depends on what was asked before; compute it from the progress"
            for place, factor in zip(places, first, strict=True):
                assert 0 < factor <= 1, f"the factor at {place:g} of {epochs} epochs is {factor}, must be in (0, 1]"

    def test_per_epoch_it_changes_between_epochs_only(self) -> None:
        """With `per: epoch`, all steps of an epoch have one rate."""
        schedule = self.part.replace(per="epoch")
        for epochs, _ in self._courses():
            for epoch in range(epochs):
                factors = {schedule.lr_factor(epoch + part, epochs) for part in (0, 0.3, 0.99)}
                assert len(factors) == 1, f"epoch {epoch} of {epochs} has the factors {factors} with per='epoch'"

    def test_drops_are_epochs_at_a_lower_rate(self) -> None:
        """No rung is laid just before one."""
        schedule = self.part.replace(per="epoch")
        for epochs, _ in self._courses():
            drops = schedule.drops(epochs)
            assert list(drops) == sorted(set(drops)), f"drops({epochs}) is {drops}, must rise"
            for drop in drops:
                assert 1 <= drop < epochs, f"drops({epochs}) holds {drop}, must be 1 to {epochs - 1}"
                lower = schedule.lr_factor(drop, epochs) < schedule.lr_factor(drop - 1, epochs)
                assert lower, f"drops({epochs}) holds {drop}, but the rate does not fall there"

    def _courses(self) -> list[tuple[int, list[float]]]:
        made = []
        for epochs in self.lengths:
            try:
                self.part.check(epochs)
            except ValueError:
                continue
            made.append((epochs, [place / 10 for place in range(10 * epochs)]))
        assert made, f"the schedule's check refuses all of {self.lengths} epochs; set `lengths` to some that it takes"
        return made


def _weights() -> list[Tensor]:
    return [torch.linspace(-1, 1, 12).reshape(3, 4) + 0.3, torch.linspace(0.5, 1, 4)]


class _Run:
    """Weights under an optimizer, and gradients that depend on the number of the step; `size` is theirs."""

    def __init__(
        self, settings: Optimizer, weights: list[nn.Parameter] | None = None, *, done: int = 0, size: float = 1.0
    ) -> None:
        start: list[Tensor] = _weights() if weights is None else [weight.detach().clone() for weight in weights]
        self.weights = [nn.Parameter(weight) for weight in start]
        self.optimizer = settings.build(self.weights)
        self.done, self.size = done, size

    def prepare(self) -> None:
        for place, weight in enumerate(self.weights):
            weight.grad = self.size * torch.randn(weight.shape, generator=generator(10 * self.done + place))

    def update(self) -> None:
        self.optimizer.step()
        self.done += 1

    def steps(self, count: int) -> list[Tensor]:
        for _ in range(count):
            self.prepare()
            self.update()
        return [weight.detach().clone() for weight in self.weights]
