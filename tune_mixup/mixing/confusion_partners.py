"""Partners drawn so that classes the model confuses meet more often: the part of generalized mixup that pairs.

The module `generalized_mixup` has the source and says how this differs from the published code. Here `M` is the
pairing matrix: confusion to the power gamma, made doubly stochastic.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.base import MixedBatch, State
from tune_mixup.mixing.birkhoff import permutation_pool
from tune_mixup.mixing.confusion import pairing_matrix, row_stochastic, soft_counts, soft_counts_of_many
from tune_mixup.mixing.pairing import (
    cyclic_permutation,
    draw_birkhoff,
    draw_by_slot,
    draw_independent,
    draw_sequential,
)
from tune_mixup.mixing.partners import Partners
from tune_mixup.schema import Schema

PUBLISHED_DIAGONAL = 0.1
"""In the released code the diagonal's share is this for any number of classes."""
PUBLISHED_SWEEPS = 100
"""So many rounds balance the matrix there; for large gammas rows are then up to 2 % off."""


class ConfusionSettings(Schema):
    """What pairing by confusion can be told."""

    came_later: ClassVar[frozenset[str]] = frozenset({"variant"})
    variant: Literal["intended", "published"] = "intended"
    """intended: as the settings here say; published: as the released code does it, by the row of the slot, which needs
    `data.batches = fixed` and decides `pairing`, `diagonal`, `power_diagonal` and `rows` by itself."""
    gamma: float = Field(default=0.25, ge=0)
    """Power of the confusion matrix in epoch 0: 0 pairs evenly as in mixup, 1 by the confusions themselves."""
    growth_factor: float = Field(default=1.0, gt=0)
    """gamma is multiplied by this every `step_size` epochs; > 0, 1 keeps it. The published variant multiplies it for
    these single epochs only."""
    step_size: int = Field(default=20, ge=1)
    """Epochs between two multiplications of gamma."""
    mu: float = Field(default=0.5, ge=0, le=1)
    """Weight of the old confusion matrix at the end of an epoch, 0 to 1; 0 keeps the last epoch only."""
    max_gamma: float = Field(default=8.0, gt=0, le=32)
    """gamma never exceeds this; up to 32. Far above 8 each class has one partner class and balancing is hard."""
    pairing: Literal["birkhoff", "sequential", "independent"] = "birkhoff"
    """How partners are drawn. birkhoff: exact on average, each example used once, needs stratified batches;
    sequential: the published rule with the class's own row, in random order, each used once, biased; independent: exact
    on average, with replacement."""
    diagonal: Literal["uniform"] | Annotated[float, Field(ge=0, lt=1)] = "uniform"
    """Share of the diagonal in each epoch's confusion matrix: uniform is 1 / K, else 0 to below 1 (published: 0.1)."""
    power_diagonal: bool = True
    """Whether gamma powers the diagonal too (published code), or the confusions only, scaled to leave it its share."""
    rows: Literal["aligned", "permuted"] = "aligned"
    """Whose confusions pair a class: its own, or, as a control, another class's by a fixed cycle drawn by the seed."""

    @field_validator("diagonal", mode="before")
    @classmethod
    def _one_message(cls, value: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value != "uniform" and not (number and 0 <= value < 1):
            raise ValueError(f"got {value!r}, must be 'uniform' or a number from 0 to below 1")
        return value

    @model_validator(mode="after")
    def _published_decides_by_itself(self) -> Self:
        decided = ("pairing", "diagonal", "power_diagonal", "rows")
        fields = ConfusionSettings.model_fields
        given = [field for field in decided if getattr(self, field) != fields[field].default]
        if self.variant == "published" and given:
            raise ValueError(
                f"{given[0]}: got {getattr(self, given[0])!r}, but variant=published draws as the released code does, "
                f"whatever {given[0]} says; leave it out or set variant=intended"
            )
        return self

    def gamma_at(self, epoch: int) -> float:
        """gamma in `epoch` (from 0): gamma * growth_factor ** (epoch // step_size), at most max_gamma.

        In the published variant gamma * growth_factor in each epoch but the first that step_size divides, else gamma.
        """
        growths = epoch // self.step_size
        if self.variant == "published":
            growths = int(epoch > 0 and epoch % self.step_size == 0)
        try:
            return min(self.max_gamma, self.gamma * self.growth_factor**growths)
        except OverflowError:
            return self.max_gamma if self.gamma > 0 else 0.0


class ConfusionPartners(ConfusionSettings, Partners):
    """Partners by the model's own soft confusions of the epochs before, whatever the method does with them.

    State, on the device: `confusion` [K, K] float64, 1 / K at first; `counts` [K, K] float64 of the running epoch;
    `pairing` [K, K] float64, the matrix that partners are drawn by; `rows` [K] int64, whose confusions a class uses (in
    the published variant: a slot);
    for birkhoff `pool` [P, K] int64, class permutations with the mean `pairing`.
    """

    between_epochs: ClassVar[frozenset[str]] = frozenset(ConfusionSettings.model_fields) - {"pairing", "variant"}
    name: Literal["confusion"] = "confusion"

    @property
    @override
    def needs_stratified_batches(self) -> bool:
        """Class permutations match members of classes of equal size, and slots are of one size."""
        return self.pairing == "birkhoff" or self.variant == "published"

    @property
    @override
    def needs_fixed_batches(self) -> bool:
        """Slots are parts of a batch that is sorted by class."""
        return self.variant == "published"

    @override
    def canonical(self) -> "ConfusionPartners":
        """Settings that have no effect are set to their defaults, and gamma to what it really is."""
        default = type(self)()
        if self.gamma == 0 or self.mu == 1:  # the matrix stays uniform, and so does every power of it
            kept = {"variant": self.variant, "pairing": self.pairing, "gamma": 0.0}
            if self.power_diagonal or self.diagonal == "uniform":
                return default.replace(**kept)
            return default.replace(**kept, diagonal=self.diagonal, power_diagonal=self.power_diagonal, rows=self.rows)
        changes: dict[str, Any] = {}
        if self.growth_factor == 1 or (self.growth_factor > 1 and self.gamma >= self.max_gamma):
            gamma = min(self.gamma, self.max_gamma)
            changes = {"gamma": gamma, "growth_factor": 1.0, "step_size": default.step_size}
            changes["max_gamma"] = max(gamma, default.max_gamma)
        elif self.growth_factor < 1 and self.gamma <= self.max_gamma:
            changes["max_gamma"] = max(self.gamma, default.max_gamma)
        return self.replace(**changes)

    @override
    def check_classes(self, num_classes: int) -> None:
        """Raises ValueError for fewer than two classes: there is nobody to confuse."""
        if num_classes < 2:
            raise ValueError(f"pairing by confusion pairs classes: got {num_classes}, must be at least 2; use mixup")

    @override
    def init(self, num_classes: int, *, device: torch.device, generator: Generator) -> State:
        """The state before epoch 0: nothing is confused yet. Raises ValueError for fewer than two classes."""
        self.check_classes(num_classes)
        confusion = torch.full((num_classes, num_classes), 1 / num_classes, dtype=torch.float64)
        cycle = cyclic_permutation(num_classes, generator=generator)  # drawn in any case: later draws stay the same
        rows = cycle if self.rows == "permuted" else torch.arange(num_classes)
        # Any power of the uniform matrix is uniform; gamma = 0 says so without rounding.
        return self._state(confusion, rows, 0.0, device=device, generator=generator)

    @override
    def draw(self, targets: Tensor, state: State, *, generator: Generator) -> Tensor:
        """Partners by the state's pairing matrix; a target's class is its largest entry."""
        classes = targets.argmax(1)
        if self.variant == "published":
            return draw_by_slot(state["pairing"], classes, generator=generator)
        match self.pairing:
            case "birkhoff":
                return draw_birkhoff(state["pool"], classes, generator=generator)
            case "sequential":
                return draw_sequential(state["pairing"], classes, generator=generator)
            case "independent":
                return draw_independent(state["pairing"], classes, generator=generator)

    @override
    def observe(self, state: State, mixed: MixedBatch, targets: Tensor, logits: Tensor) -> State:
        """Count what the model took the blends for, beside the classes in them."""
        own = targets.argmax(1)
        if mixed.shares is None:
            counts = soft_counts(logits, own, own[mixed.partner], mixed.lam)
        else:
            classes = torch.arange(targets.shape[1], device=own.device)
            counts = soft_counts_of_many(logits, mixed.shares.double() @ (own[:, None] == classes).double())
        return {**state, "counts": state["counts"] + counts}

    @override
    def end_epoch(self, state: State, *, epoch: int, generator: Generator) -> State:
        """Fold the epoch's counts into the confusion matrix and prepare the draws of epoch + 1."""
        counts = state["counts"].cpu()
        newest = row_stochastic(counts, self._diagonal(len(counts)))
        confusion = self.mu * state["confusion"].cpu() + (1 - self.mu) * newest
        gamma = 0.0 if self.mu == 1 else self.gamma_at(epoch + 1)  # with mu = 1 the matrix is still uniform
        return self._state(confusion, state["rows"].cpu(), gamma, device=state["counts"].device, generator=generator)

    @override
    def snapshot(self, state: State) -> dict[str, Tensor]:
        """The confusion matrix and the pairing matrix made of it, float64 [K, K]."""
        return {"confusion": state["confusion"].cpu(), "pairing": state["pairing"].cpu()}

    def _state(
        self, confusion: Tensor, rows: Tensor, gamma: float, *, device: torch.device, generator: Generator
    ) -> State:
        aligned = pairing_matrix(
            confusion,
            gamma,
            diagonal=self._diagonal(len(confusion)),
            power_diagonal=self.power_diagonal,
            sweeps=PUBLISHED_SWEEPS if self.variant == "published" else None,
        )
        pairing = aligned[rows]
        state = {"confusion": confusion, "counts": torch.zeros_like(confusion), "pairing": pairing, "rows": rows}
        if self.pairing == "birkhoff" and self.variant == "intended":
            state["pool"] = permutation_pool(pairing, generator=generator)
        return {name: tensor.to(device) for name, tensor in state.items()}

    def _diagonal(self, num_classes: int) -> float:
        if self.variant == "published":
            return PUBLISHED_DIAGONAL
        return 1 / num_classes if self.diagonal == "uniform" else self.diagonal
