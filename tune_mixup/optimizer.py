"""Optimizers: settings that build torch's own."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import override

from tune_mixup.parts import Part, PartOf
from tune_mixup.torch_internals import add_scaled_, scale_, without_compiler


class Optimizer(Part, ABC):
    """Settings of an optimizer; `name` tells them apart."""

    lr: float = Field(gt=0)
    """Learning rate at factor 1 of the schedule: > 0, no unit."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay: >= 0, no unit."""
    decay_norms: bool = True
    """Whether biases and batch norms, that is parameters of at most one dimension, decay too, as in published code."""

    @property
    def capturable(self) -> bool:
        """Whether a step can be captured: what the optimizer keeps is tensors, all 0 before the first update.

        A worker's next trial begins by setting them to 0. With another optimizer a trial is trained without a graph.
        """
        return False

    @property
    @override
    def changeable(self) -> frozenset[str]:
        return frozenset({"lr", "weight_decay"})  # `build_captured` reads both from tensors

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """torch's fused optimizer over `parameters`, the fastest of its forms on the CPU too."""

    @abstractmethod
    def decay_(self, parameters: list[nn.Parameter], *, lr: Tensor, weight_decay: Tensor) -> None:
        """Apply the weight decay in place, to parameters that all have gradients, right before an update without."""

    def build_captured(
        self, parameters: Iterable[nn.Parameter], *, lr: Tensor, weight_decay: Tensor
    ) -> torch.optim.Optimizer:
        """The same over `parameters`, with both numbers read from tensors, float32 [], at each step.

        A CUDA graph of a step then holds for any of their values. torch's kernels take the decay as a number only.
        """
        together = list(parameters)
        decayed = [parameter for parameter in together if self._decays(parameter)]
        optimizer = self.replace(weight_decay=0.0).build(together)
        for group in optimizer.param_groups:
            group["lr"] = lr
            if "capturable" in group:  # Adam and others refuse to be captured unless they were told so
                group["capturable"] = True

        @torch.no_grad()
        def decay(*_: Any) -> None:
            trained = [parameter for parameter in decayed if parameter.grad is not None]
            if trained:  # torch's calls for many tensors refuse none
                self.decay_(trained, lr=lr, weight_decay=weight_decay)

        optimizer.register_step_pre_hook(decay)
        return optimizer

    def _decays(self, parameter: Tensor) -> bool:
        return self.decay_norms or parameter.ndim > 1

    def _groups(self, parameters: Iterable[nn.Parameter]) -> list[dict[str, Any]]:
        decayed: list[nn.Parameter] = []
        spared: list[nn.Parameter] = []
        for parameter in parameters:
            (decayed if self._decays(parameter) else spared).append(parameter)
        groups = [{"params": decayed, "weight_decay": self.weight_decay}, {"params": spared, "weight_decay": 0.0}]
        return [group for group in groups if group["params"]]


class Sgd(Optimizer):
    """Stochastic gradient descent; the weight decay is added to the gradient, as torch and the published code do."""

    name: Literal["sgd"] = "sgd"
    lr: float = Field(default=0.1, gt=0)
    """Learning rate at factor 1 of the schedule: > 0, no unit."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Share of the last step that is kept: in [0, 1), no unit."""
    nesterov: bool = False
    """Whether the gradient is taken ahead of the momentum step."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov is on and momentum is 0; give a momentum above 0 or turn nesterov off")
        return self

    @property
    @override
    def capturable(self) -> bool:
        return True

    @override
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """torch.optim.SGD; parameters may get their first gradient later than others."""
        built = without_compiler(torch.optim.SGD)(
            self._groups(parameters), lr=self.lr, momentum=self.momentum, nesterov=self.nesterov, fused=True
        )
        if self.momentum:
            built.register_step_pre_hook(_begin_late)
        return built

    @override
    def decay_(self, parameters: list[nn.Parameter], *, lr: Tensor, weight_decay: Tensor) -> None:
        """To the gradients."""
        decay_gradients_(parameters, weight_decay)


def _begin_late(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Momentum 0, which is none, for what has a gradient for the first time after others: torch takes all or none."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if 0 < len(optimizer.state) < len(parameters):
        for parameter in parameters:
            if parameter.grad is not None and parameter not in optimizer.state:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


class AdaptiveMoments(Optimizer, ABC):
    """Steps by running means of the gradient and of its square. Kingma and Ba, ICLR 2015, arXiv:1412.6980."""

    lr: float = Field(default=1e-3, gt=0)
    """Learning rate at factor 1 of the schedule: > 0, no unit."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay per step of the gradient's running mean: in [0, 1), no unit."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay per step of the squared gradient's running mean: in [0, 1), no unit."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the root of the squared gradient's mean: > 0, in the gradient's unit."""

    @property
    @override
    def capturable(self) -> bool:
        return True

    def _build(
        self, kind: type[torch.optim.Adam] | type[torch.optim.AdamW], parameters: Iterable[nn.Parameter]
    ) -> torch.optim.Optimizer:
        betas = (self.beta1, self.beta2)
        return without_compiler(kind)(self._groups(parameters), lr=self.lr, betas=betas, eps=self.eps, fused=True)


class Adam(AdaptiveMoments):
    """Adam; the weight decay is added to the gradient, algorithm 1, and so is divided by the gradient's size like it.

    The published speech study trains with it: learning rate 1e-3, weight decay 1e-4.
    """

    name: Literal["adam"] = "adam"

    @override
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """torch.optim.Adam."""
        return self._build(torch.optim.Adam, parameters)

    @override
    def decay_(self, parameters: list[nn.Parameter], *, lr: Tensor, weight_decay: Tensor) -> None:
        """To the gradients."""
        decay_gradients_(parameters, weight_decay)


class AdamW(AdaptiveMoments):
    """Adam with decoupled weight decay. Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101, algorithm 2."""

    name: Literal["adamw"] = "adamw"
    weight_decay: float = Field(default=1e-2, ge=0)
    """Weight decay, multiplied by the learning rate and the weight: >= 0, no unit."""

    @override
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """torch.optim.AdamW."""
        return self._build(torch.optim.AdamW, parameters)

    @override
    def decay_(self, parameters: list[nn.Parameter], *, lr: Tensor, weight_decay: Tensor) -> None:
        """To the weights."""
        scale_(parameters, 1 - lr * weight_decay)


def decay_gradients_(parameters: list[nn.Parameter], weight_decay: Tensor) -> None:
    """Add `weight_decay` times each weight to its gradient, in place."""
    add_scaled_([p.grad for p in parameters if p.grad is not None], parameters, weight_decay)


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": Sgd, "adam": Adam, "adamw": AdamW}

AnyOptimizer = Annotated[Optimizer, PartOf(OPTIMIZERS, "an optimizer")]
