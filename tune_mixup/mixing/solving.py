"""Methods with a solver that makes a fixed number of rounds, so that its operations are the same for all numbers.

Where an outcome has not settled by then, the best so far is taken, and it is counted.
"""

import torch
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.base import BatchMixer, MixedBatch, State

UNSETTLED = "unsettled"
"""What the count is called in the state and in reports."""


class SolvingMixer(BatchMixer):
    """Counts the images that were mixed by an outcome that had not settled, since training began.

    A mixture counts those of all its members under the label of each.
    """

    @override
    def init(self, num_classes: int, *, device: torch.device, generator: Generator) -> State:
        state = super().init(num_classes, device=device, generator=generator)
        return {**state, UNSETTLED: torch.zeros((), dtype=torch.float64, device=device)}

    @override
    def observe(self, state: State, mixed: MixedBatch, targets: Tensor, logits: Tensor) -> State:
        state = super().observe(state, mixed, targets, logits)
        if mixed.unsettled is None:
            return state
        return {**state, UNSETTLED: state.get(UNSETTLED, 0.0) + mixed.unsettled.sum()}

    @override
    def snapshot(self, state: State) -> dict[str, Tensor]:
        return {**super().snapshot(state), UNSETTLED: state[UNSETTLED].cpu()}
