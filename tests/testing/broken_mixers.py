"""Mixers that break one promise each."""

import torch
from pydantic import PrivateAttr
from torch import nn

from tune_mixup.mixing import MixedBatch
from tune_mixup.mixing.base import InputMixer, StepOutput
from tune_mixup.mixing.mixup import Mixup


class Right(InputMixer):
    """A mixer that keeps all promises, for the others to differ from."""

    def share(self, inputs, generator):
        return torch.rand((), generator=generator, device=inputs.device)

    def mix(self, inputs, targets, state, *, epoch, generator):
        lam, partner = self.share(inputs, generator), torch.arange(len(inputs), device=inputs.device).roll(1)
        weight = lam.to(inputs.dtype)
        mixed = weight * inputs + (1 - weight) * inputs[partner]
        return MixedBatch(mixed, lam * targets + (1 - lam) * targets[partner], lam, partner)


class ChangesInputs(Right):
    def mix(self, inputs, targets, state, *, epoch, generator):
        mixed = super().mix(inputs, targets, state, epoch=epoch, generator=generator)
        return mixed._replace(inputs=inputs.copy_(mixed.inputs))


class GlobalDraw(Right):
    def share(self, inputs, generator):
        return torch.rand(())


class Remembers(Right):
    _count: list[int] = PrivateAttr(default_factory=list)

    def share(self, inputs, generator):
        self._count.append(1)
        return torch.rand((), generator=generator) / len(self._count)


class TargetsTooSmall(Right):
    def mix(self, inputs, targets, state, *, epoch, generator):
        mixed = super().mix(inputs, targets, state, epoch=epoch, generator=generator)
        return mixed._replace(soft_targets=0.9 * mixed.soft_targets)


class WeighsThePartner(Right):
    def mix(self, inputs, targets, state, *, epoch, generator):
        mixed = super().mix(inputs, targets, state, epoch=epoch, generator=generator)
        return mixed._replace(lam=1 - mixed.lam)


class OtherPixels(Right):
    def mix(self, inputs, targets, state, *, epoch, generator):
        mixed = super().mix(inputs, targets, state, epoch=epoch, generator=generator)
        return mixed._replace(inputs=inputs.flip(0))


class LamAboveOne(Right):
    def share(self, inputs, generator):
        return 1 + torch.rand((), generator=generator)


class SinglePrecision(Right):
    def mix(self, inputs, targets, state, *, epoch, generator):
        mixed = super().mix(inputs, targets, state, epoch=epoch, generator=generator)
        return mixed._replace(inputs=mixed.inputs.float())


class NeedsManyImages(Right):
    def mix(self, inputs, targets, state, *, epoch, generator):
        mixed = super().mix(inputs, targets, state, epoch=epoch, generator=generator)
        return mixed._replace(inputs=mixed.inputs / max(0, len(inputs) - 1))


class LastRowsFirst(Right):
    def mix(self, inputs, targets, state, *, epoch, generator):
        mixed = super().mix(inputs, targets, state, epoch=epoch, generator=generator)
        return mixed._replace(inputs=mixed.inputs.contiguous())


class AlmostWhole(Right):
    def share(self, inputs, generator):
        return torch.ones(())

    def mix(self, inputs, targets, state, *, epoch, generator):
        mixed = super().mix(inputs, targets, state, epoch=epoch, generator=generator)
        return mixed._replace(inputs=inputs + 1e-6)


class WrongMask(Right):
    def mix(self, inputs, targets, state, *, epoch, generator):
        mixed = super().mix(inputs, targets, state, epoch=epoch, generator=generator)
        return mixed._replace(mask=torch.full((1, 1, *inputs.shape[2:]), 0.5))


class TrainsOnOthers(Right):
    def step(self, model, inputs, targets, state, *, epoch, generator, loss):
        return StepOutput(loss(model(inputs), targets), model(inputs), targets, state)


class ReadsOnTheHost(Right):
    def share(self, inputs, generator):
        return torch.tensor(torch.rand((), generator=generator).item())


class OtherOperators(Right):
    def mix(self, inputs, targets, state, *, epoch, generator):
        inputs = inputs.flip(3) if epoch % 2 else inputs
        return super().mix(inputs, targets, state, epoch=epoch, generator=generator)


class StateGrows(Right):
    def init(self, num_classes, *, device, generator):
        return {"seen": torch.zeros(1)}

    def observe(self, state, mixed, targets, logits):
        return {"seen": torch.cat([state["seen"], torch.ones(1)])}


class StateHasAGraph(StateGrows):
    def step(self, model, inputs, targets, state, *, epoch, generator, loss):
        output = InputMixer.step(
            self, model, inputs, targets, dict(state), epoch=epoch, generator=generator, loss=loss
        )  # fmt: skip
        return output._replace(state={"seen": output.loss.reshape(1)})


class UnusedParameter(Right):
    def begin(self, model, state, inputs, *, generator):
        return {**state, "seen": nn.Parameter(torch.zeros(inputs.shape[1]))}


class OtherParameter(UnusedParameter):
    def step(self, model, inputs, targets, state, *, epoch, generator, loss):
        output = super().step(model, inputs, targets, state, epoch=epoch, generator=generator, loss=loss)
        return output._replace(state={"seen": state["seen"] * 2})


class ChangesItsState(StateGrows):
    def observe(self, state, mixed, targets, logits):
        return {"seen": state["seen"].add_(1)}


class EndChangesItsState(StateGrows):
    def observe(self, state, mixed, targets, logits):
        return state

    def end_epoch(self, state, *, epoch, generator):
        return {"seen": state["seen"].add_(1)}


class EndlessSnapshot(Right):
    def snapshot(self, state):
        return {"seen": torch.full((1,), torch.inf)}


class OtherCanonical(Right):
    def canonical(self):
        return Mixup(alpha=1.0)


class TooStrong(Right):
    def strength(self):
        return 0.7


class RefusesAll(Right):
    def check_data(self, *, height, width, num_classes):
        raise ValueError("no")


class FrozenWeights(Right):
    def step(self, model, inputs, targets, state, *, epoch, generator, loss):
        output = super().step(model, inputs, targets, state, epoch=epoch, generator=generator, loss=loss)
        return output._replace(loss=loss(model.head(torch.zeros(len(inputs), 8)), output.soft_targets))


def inside_a_function():
    class Hidden(Right):
        pass

    return Hidden()
