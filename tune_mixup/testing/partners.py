"""What a rule that draws partners promises: rows of the batch, by generator and state alone, and a state of one form.

from tune_mixup.testing import PartnersContract

class TestMine(PartnersContract):
    part = Nearest(per_class=2)
"""

import torch
from torch import Tensor

from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.paired import AnyPartners
from tune_mixup.mixing.partners import Partners
from tune_mixup.testing.batches import CPU, Batch, changed, copies, generator, trained_batch
from tune_mixup.testing.parts import PartContract
from tune_mixup.testing.watching import global_generators_untouched, no_reads_on_the_host


class PartnersContract(PartContract[Partners]):
    """For classes derived from `Partners`; they are tried as the partners of mixup."""

    kind = AnyPartners

    def batch(self) -> Batch:
        """A batch with the state after two epochs."""
        return trained_batch(Mixup(partners=self.part))

    def draw(self, batch: Batch, seed: int, part: Partners | None = None) -> Tensor:
        """Partners drawn by the part, or by another."""
        return (part or self.part).draw(batch.targets, batch.state, generator=generator(seed))

    def test_partners_are_rows_of_the_batch(self) -> None:
        """One for each row, as an index, from the first step on."""
        targets = torch.eye(5)[torch.arange(20) % 5]
        state = self.part.init(5, device=CPU, generator=generator())
        batch = Batch(torch.empty(20, 0), targets, state)
        for seed in range(20):
            partner = self.draw(batch, seed)
            size = len(batch.targets)
            assert partner.shape == (size,), f"partners have the shape {list(partner.shape)}, must be [{size}]"
            assert partner.dtype == torch.int64, f"partners are {partner.dtype}, must be indices of type int64"
            inside = bool((partner >= 0).all() and (partner < size).all())
            assert inside, f"partners are {int(partner.min())} to {int(partner.max())}, must be from 0 to {size - 1}"

    def test_draws_follow_from_the_generator(self) -> None:
        """To the last bit; and no other generator is asked."""
        batch = self.batch()
        with global_generators_untouched():
            drawn = [self.draw(batch, seed) for seed in (1, 1, 2, 3, 4)]
        assert torch.equal(drawn[0], drawn[1]), "equal generators give other partners; draw from the generator only"
        others = any(not torch.equal(drawn[0], other) for other in drawn[2:])
        assert others, "every generator gives the same partners; draw from the generator"

    def test_nothing_is_changed_or_read_on_the_host(self) -> None:
        """It is part of each training step."""
        batch = self.batch()
        given = {"targets": batch.targets, **batch.state}
        before = copies(given)
        with no_reads_on_the_host():
            self.draw(batch, 0)
        wrong = changed(before, given)
        assert not wrong, f"a draw changes {', '.join(wrong)} in place; make new tensors"

    def test_the_state_keeps_its_form(self) -> None:
        """Names, shapes and types, from the first epoch on: a captured step knows no other tensors."""
        first = Mixup(partners=self.part).init(self.batch().targets.shape[1], device=CPU, generator=generator())
        forms = [
            {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}
            for state in (first, self.batch().state)
        ]
        assert forms[0] == forms[1], f"the state begins as {forms[0]} and becomes {forms[1]}; it must keep its form"

    def test_the_canonical_settings_draw_the_same(self) -> None:
        """Rules with one canonical form have one identity."""
        simplest = self.part.canonical()
        assert simplest.canonical() == simplest, "the canonical form must be its own canonical form"
        batch = self.batch()
        same = all(torch.equal(self.draw(batch, seed), self.draw(batch, seed, simplest)) for seed in range(5))
        assert same, f"{self.part!r} and {simplest!r} draw other partners"
