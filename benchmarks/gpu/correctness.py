"""Before any speed: gradients on the device against the CPU, graphs against eager steps, fused members against one."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from benchmarks import gpu
from benchmarks.gpu import Size
from benchmarks.gpu.fused import FusedGroup
from benchmarks.gpu.timing import config, free
from benchmarks.rows import row
from tune_mixup.mixing import MIXERS
from tune_mixup.models.tiny_resnet import TinyResNet
from tune_mixup.training.trainer import Trainer

STEPS = 8


def measure() -> Iterator[dict[str, Any]]:
    size = gpu.size()
    return gpu.growing(size, differences(size), rows)


def rows(measured: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row(one["what"], value=one["difference"], value_unit="") for one in measured]


def differences(size: Size) -> Iterator[dict[str, Any]]:
    """Largest relative differences; the smaller the better."""
    yield {"what": "gradients on the device against the CPU, fp32", "difference": _gradients(size)}
    yield {"what": "fused members against single networks, double precision", "difference": fused_difference(size)}
    if size.device.type == "cuda":
        for name in MIXERS:
            free()
            yield {"what": f"graph against eager, {name}: loss after {STEPS} steps", "difference": _graph(size, name)}


def _gradients(size: Size) -> float:
    """One batch through one network; without TF32."""
    net = next(iter(size.nets))
    trainer = Trainer(config(size, net), device=size.device)
    images, classes = trainer.data.train.images[:64], trainer.data.train.targets[:64]
    gradients = []
    for device in (size.device, torch.device("cpu")):
        model = config(size, net).model.build(channels=3, num_classes=4).to(device)
        model.load_state_dict({key: tensor.to(device) for key, tensor in trainer.model.state_dict().items()})
        with trainer.step.kernels():
            loss = nn.functional.cross_entropy(model(images.to(device).float() / 255), classes.to(device))
            loss.backward()
        gradients.append([parameter.grad.cpu() for parameter in model.parameters() if parameter.grad is not None])
    return max(float((one - other).norm() / other.norm()) for one, other in zip(*gradients, strict=True))


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


def _graph(size: Size, name: str) -> float:
    net = next(iter(size.nets))
    losses = []
    for mode in ("none", "graph"):
        settings = {"mixing.name": name, "training.compile": mode, "optimizer.weight_decay": 0.0}
        trainer = Trainer(config(size, net, **settings), device=size.device)
        size_of_batch = trainer.config.training.batch_size
        index = torch.arange(size_of_batch * STEPS, device=size.device).reshape(STEPS, size_of_batch)
        trainer.step.begin_epoch(0)
        with trainer.step.kernels():
            for batch in index:
                trainer.step.set_rate(0.0625)
                trainer.step(batch)
        losses.append(float(trainer.step.sums[0]))
    return abs(losses[1] - losses[0]) / losses[0]
