"""AutoMix and SAMix against recorded results of openmixup: masks, losses, gradients and the momentum encoder."""

import pytest
import torch
from golden import case, cases
from torch import nn

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing.automix import AutoMix
from tune_mixup.mixing.learned import BLOCK, ENCODER, HEAD, Draws
from tune_mixup.mixing.mix_block import rescaled
from tune_mixup.mixing.momentum_encoder import averaged, risen
from tune_mixup.mixing.samix import SAMix
from tune_mixup.models.base import StagedNetwork

SAMIX = ("samix_1", "samix_2")
NAMES = {
    AutoMix: {
        "query.weight": "query_conv_weight",
        "query.bias": "query_conv_bias",
        "value.weight": "value_weight",
        "value.bias": "value_bias",
    },
    SAMix: {
        "query.weight": "query_conv_weight",
        "query.bias": "query_conv_bias",
        "key.weight": "key_conv_weight",
        "key.bias": "key_conv_bias",
        "hidden.weight": "value_conv_0_conv_weight",
        "norm.weight": "value_conv_0_bn_weight",
        "norm.bias": "value_conv_0_bn_bias",
        "value.weight": "value_conv_1_conv_weight",
    },
}
"""What the records call the parameters of a block."""
VARIANTS = {"samix": {}, "samix_plain_lam": {"residual": None}, "automix": {}}
FILES = {AutoMix: ("automix",), SAMix: SAMIX}


def mixer_of(settings):
    """The mixer of a recorded case; None for the form of the block that is not offered."""
    kinds = {"automix": AutoMix, "samix": SAMix, "samix_plain_lam": SAMix}
    kind = kinds.get(settings["kind"])
    return kind and kind(**VARIANTS[settings["kind"]])


def block_of(mixer, arrays, prefix):
    """The recorded block as parameters of the state."""
    names = NAMES[type(mixer)]
    return {BLOCK + name: nn.Parameter(matrix(arrays[f"{prefix}_{recorded}"])) for name, recorded in names.items()}


def matrix(weight):
    """The weight of a 1 x 1 convolution as a matrix; anything else as it is."""
    return weight.flatten(1) if weight.ndim == 4 else weight


def places(*files, part):
    return [place for place, (settings, _) in enumerate(cases(*files)) if settings["part"] == part]


BLOCKS = [(("automix",), 0), (("automix",), 1), (SAMIX, 0), (SAMIX, 1), (SAMIX, 2)]


@pytest.mark.parametrize(("files", "place"), BLOCKS)
def test_masks_losses_and_gradients_of_a_block_are_the_recorded_ones(files, place):
    settings, arrays = case(place, *files)
    assert settings["part"] == "mixblock"
    mixer, lam = mixer_of(settings), torch.tensor(settings["lam"])
    state = block_of(mixer, arrays, "w")
    features, partner = arrays["features"], arrays["perm"].long()
    side = settings["scale_factor"] * settings["H"]
    images = torch.zeros(len(features), 1, side, side)
    mask = mixer.partner_mask(features, images, state, partner, lam)
    pair = torch.stack([1 - mask, mask], 1)
    torch.testing.assert_close(pair, arrays["mask_pair"], rtol=0, atol=2e-6)
    cost = mixer.mask_loss(mask, lam, margin=settings["mask_loss_margin"])
    recorded = arrays["mask_loss_" + settings["own_mask_loss"].replace("+", "_plus_")]
    torch.testing.assert_close(cost, recorded, rtol=0, atol=2e-6)
    cost.backward()
    for name, known in NAMES[type(mixer)].items():
        expected = matrix(arrays[f"grad_of_mask_loss_{known}"])
        torch.testing.assert_close(state[BLOCK + name].grad, expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("files", [("automix",), SAMIX])
def test_lam_is_rescaled_as_recorded(files):
    ((settings, arrays),) = cases(*files, part="lambda_rescale")
    for residual, expected in zip(settings["k"], torch.tensor(arrays["rescaled"]), strict=True):
        torch.testing.assert_close(rescaled(torch.tensor(arrays["lam"]), residual), expected, rtol=0, atol=1e-12)


def test_the_momentum_rises_as_recorded():
    ((settings, arrays),) = cases("automix", part="momentum_schedule")
    total = settings["max_iters"]
    found = [risen(settings["base"], torch.tensor(float(step)).double(), total).item() for step in range(total)]
    assert found == pytest.approx(arrays["momentum"][0].tolist(), rel=0, abs=1e-15)


@torch.random.fork_rng(devices=[])
def network_of(settings, arrays, which):
    """The recorded network with the weights of `q` or `k`, and the head for mixed images."""
    convolutions = []
    for number in range(settings["stride2_convs"]):
        weight = arrays[f"{which}_a_{number}_weight"]
        convolutions += [conv(weight, arrays[f"{which}_a_{number}_bias"]), nn.ReLU()]
    last = nn.Sequential(conv(arrays[f"{which}_b_weight"], arrays[f"{which}_b_bias"]), nn.ReLU())
    linear = nn.Linear(*reversed(arrays[f"head_mix_{which}_fc_weight"].shape))
    linear.weight.data, linear.bias.data = (
        arrays[f"head_mix_{which}_fc_{name}"].clone() for name in ("weight", "bias")
    )
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    return StagedNetwork(nn.Identity(), [nn.Sequential(*convolutions), last], head)


def conv(weight, bias):
    made = nn.Conv2d(weight.shape[1], weight.shape[0], 3, stride=2, padding=1)
    made.weight.data, made.bias.data = weight.clone(), bias.clone()
    return made


STEPS = [(files, place) for files in (("automix",), SAMIX) for place in (4, 5)]


@pytest.mark.parametrize("head", ["mix", "one"])
@pytest.mark.parametrize(("files", "place"), STEPS)
def test_a_step_is_the_recorded_one(files, place, head):
    settings, arrays = case(place, *files)
    assert settings["part"] == "training_step"
    mixer = mixer_of(settings).replace(head=head)
    student, teacher = (network_of(settings, arrays, which) for which in ("q", "k"))
    one = {name: arrays[f"head_one_q_fc_{name}"] for name in ("weight", "bias")}
    second = {f"{HEAD}2.{name}": nn.Parameter(tensor.clone()) for name, tensor in one.items()}
    encoder = torch.cat([tensor.detach().flatten() for tensor in teacher.parameters()])
    if head == "one":  # the heads change places, with those of the encoder
        linear = student.head[2]
        own = {f"{HEAD}2.{name}": nn.Parameter(getattr(linear, name).detach().clone()) for name in ("weight", "bias")}
        linear.weight.data, linear.bias.data = (second[f"{HEAD}2.{name}"].data for name in ("weight", "bias"))
        behind = [teacher.head[2].weight.detach().flatten(), teacher.head[2].bias.detach()]
        encoder, second = torch.cat([encoder, *behind]), own
    state = {**block_of(mixer, arrays, "block"), **second, ENCODER: encoder}
    draws = Draws(
        torch.tensor([settings["lam_mb"], settings["lam_bb"]]),
        torch.stack([arrays["perm_mb"], arrays["perm_bb"]]).long(),
    )
    targets = torch.eye(settings["K"])[arrays["labels"].long()]
    images = arrays["images"].float()
    terms, _, soft_targets = mixer.losses(student, images, targets, state, draws=draws, loss=CrossEntropy())
    recorded = ("loss_one_q", "loss_mix_q", "loss_mix_k", "loss_mask_weighted")
    for term, name in zip(terms, recorded, strict=True):
        torch.testing.assert_close(term, arrays[name], rtol=0, atol=2e-6)
    total = terms.clean + terms.mixed + terms.encoder + terms.mask
    torch.testing.assert_close(total, arrays["loss_total"], rtol=0, atol=5e-6)
    lam = settings["lam_bb"]
    torch.testing.assert_close(soft_targets, lam * targets + (1 - lam) * targets[draws.partner[1]])
    total.backward()
    stages = list(student.stages[0]) + list(student.stages[1])
    layers = [layer for layer in stages if isinstance(layer, nn.Conv2d)]
    for layer, name in zip(layers, [*(f"a_{number}" for number in range(len(layers) - 1)), "b"], strict=True):
        for kind in ("weight", "bias"):
            expected = arrays[f"grad_q_{name}_{kind}"]
            torch.testing.assert_close(getattr(layer, kind).grad, expected, rtol=1e-5, atol=1e-6)
    for name, known in NAMES[type(mixer)].items():
        expected = matrix(arrays[f"grad_block_{known}"])
        torch.testing.assert_close(state[BLOCK + name].grad, expected, rtol=1e-5, atol=2e-7)


@pytest.mark.parametrize(("files", "place"), STEPS)
def test_the_encoder_follows_as_recorded(files, place):
    settings, arrays = case(place, *files)
    for name, before in arrays.items():
        if name.startswith("k_") and not name.startswith("k_after"):
            now, after = arrays["q_" + name[2:]], arrays["k_after_" + name[2:]]
            torch.testing.assert_close(averaged(before, now, settings["momentum"]), after, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("files", "place"), STEPS)
def test_the_networks_mixture_is_the_recorded_one(files, place):
    settings, arrays = case(place, *files)
    mixer, network = mixer_of(settings), network_of(settings, arrays, "q")
    encoder = torch.cat([tensor.detach().flatten() for tensor in network_of(settings, arrays, "k").parameters()])
    state = {**block_of(mixer, arrays, "block"), ENCODER: encoder}
    draws = Draws(
        torch.tensor([settings["lam_mb"], settings["lam_bb"]]),
        torch.stack([arrays["perm_mb"], arrays["perm_bb"]]).long(),
    )

    class Drawn(type(mixer)):
        def draw(self, targets, state, *, generator):
            return draws

    images, targets = arrays["images"].float(), torch.eye(settings["K"])[arrays["labels"].long()]
    drawn = Drawn(**{name: getattr(mixer, name) for name in ("residual",) if isinstance(mixer, SAMix)})
    mixed = drawn.blend(network, images, targets, state, epoch=0, generator=torch.Generator())
    torch.testing.assert_close(mixed.inputs, arrays["mixed_bb"], rtol=0, atol=5e-6)
    if settings["note"] != "lam_bb in margin":  # there, the record has the mask before it is replaced
        torch.testing.assert_close(mixed.mask, arrays["mask_block_bb"][:, :1], rtol=0, atol=2e-6)
    else:
        torch.testing.assert_close(mixed.mask, torch.full_like(mixed.mask, settings["lam_bb"]))
