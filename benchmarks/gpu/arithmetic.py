"""The device's arithmetic against the CPU's, and fused members against networks by themselves."""

from collections.abc import Iterator

import torch
from torch import nn

from benchmarks.gpu import Result, Size
from benchmarks.gpu.equality import trial
from benchmarks.gpu.fused import FusedGroup
from tune_mixup.models.tiny_resnet import TinyResNet

STEPS = 8
NEAR, EXACT = 1e-3, 1e-10
"""Relative differences: fp32 sums of another order, and double precision."""
LOW = 0.1
"""Of gradients in bf16, through some twenty layers."""


def gradients(size: Size) -> Iterator[Result]:
    """One batch through one network, without TF32 and in bf16 with channels-last, against fp32 on the CPU."""
    for name, settings, at_most in (
        ("fp32", {}, NEAR),
        ("bf16, channels last", {"training.precision": "bf16", "training.channels_last": True}, LOW),
    ):
        trainer = trial(size, settings)
        images, classes = trainer.data.train.images[:64], trainer.data.train.targets[:64]
        with torch.random.fork_rng(devices=[]):  # first weights are drawn from the global generator
            model = trainer.config.model.build(channels=3, num_classes=trainer.data.num_classes)
        model.load_state_dict({key: tensor.cpu() for key, tensor in trainer.model.state_dict().items()})
        reference = _gradients(model, images.cpu().float() / 255, classes.cpu())
        with trainer.step.network.running(), trainer.step.network.autocast():
            inputs = (images.float() / 255).contiguous(memory_format=trainer.step.network.layout)
            found = _gradients(trainer.model, inputs, classes)
        difference = float((found - reference).norm() / reference.norm())
        what = f"gradients on the device against the CPU, {name}"
        yield {"what": what, "value": difference, "at_most": at_most, "unit": "relative"}


def fused(size: Size) -> Iterator[Result]:
    """Double precision, so that only a fault can differ."""
    what = "fused members against single networks, double precision"
    yield {"what": what, "value": fused_difference(size), "at_most": EXACT, "unit": "relative"}


def fused_difference(size: Size, members: int = 3) -> float:
    """Weights of a fused group after some steps against those of its members, each trained by itself."""
    made = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        models = [TinyResNet(width=4).build(channels=3, num_classes=4).double().to(size.device) for _ in range(members)]
    lr = torch.tensor([0.05, 0.1, 0.2], dtype=torch.float64, device=size.device)[:members]
    group = FusedGroup(models, lr=lr, momentum=0.9, weight_decay=1e-3)
    alone = [
        torch.optim.SGD(model.parameters(), lr=float(rate), momentum=0.9, weight_decay=1e-3)
        for model, rate in zip(models, lr, strict=True)
    ]
    for _ in range(STEPS):
        inputs = torch.randn(members, 16, 3, 16, 16, dtype=torch.float64, generator=made).to(size.device)
        classes = torch.randint(4, (members, 16), generator=made)
        targets = torch.eye(4, dtype=torch.float64)[classes].to(size.device)
        lam = torch.rand(members, dtype=torch.float64, generator=made).to(size.device)
        partner = torch.rand(members, 16, generator=made).argsort(1).to(size.device)
        group.step(inputs, targets, lam=lam, partner=partner)
        for member, (model, optimizer) in enumerate(zip(models, alone, strict=True)):
            own, share = inputs[member], lam[member]
            mixed = share * own + (1 - share) * own[partner[member]]
            wanted = share * targets[member] + (1 - share) * targets[member][partner[member]]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(mixed), wanted).backward()
            optimizer.step()
    worst = 0.0
    for name, stacked in group.parameters.items():
        for member, model in enumerate(models):
            one, other = stacked.detach()[member], model.get_parameter(name).detach()
            worst = max(worst, float((one - other).abs().max() / other.abs().max()))
    return worst


def _gradients(model: nn.Module, inputs: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Of the mean cross-entropy, all in one vector, float32 on the CPU."""
    model.train()
    nn.functional.cross_entropy(model(inputs).float(), classes).backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return torch.cat([gradient.float().cpu().flatten() for gradient in gradients])
