"""AlignMixup: against recorded batches of the released code, and a loop over examples and places."""

import math
from functools import partial

import pytest
import torch
from golden import case

from tune_mixup.config import TrialConfig
from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing.alignment import annealed, distances, stopped
from tune_mixup.mixing.alignmixup import AlignMixup
from tune_mixup.mixing.base import forward, mix_rows
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.manifold_mixup import ManifoldMixup
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.models.tiny_resnet import TinyResNet

FILES = ("alignmix_1", "alignmix_2")
K = 5


def made(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(width=4):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TinyResNet(width=width).build(channels=2, num_classes=K).double().eval()


def batch(size=6, height=16, width=12):
    """Images of two sides: the last map has 4 x 3 places."""
    inputs = torch.randn(size, 2, height, width, dtype=torch.float64, generator=made(1))
    return inputs, torch.eye(K)[torch.randint(K, (size,), generator=made(2))]


def blend(mixer, model, seed=0, data=None):
    inputs, targets = data or batch()
    return mixer.blend(model, inputs, targets, {}, epoch=0, generator=made(seed))


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("number", range(7))
def test_published_batches_are_the_recorded_ones(number, direction):
    settings, arrays = case(number, *FILES)
    partner, lam = arrays["perm"].long(), torch.tensor(settings["lam"])
    mixer = AlignMixup(variant="published", epsilon=settings["eps"], sweeps=settings["max_iter"])
    mixed = mix_rows(partner, lam, arrays["features"], blend=partial(mixer.blend_aligned, torch.tensor(direction == 1)))
    torch.testing.assert_close(mixed, arrays[f"mixed_direction{direction}"], rtol=1e-4, atol=5e-5)
    logits = mixed.mean((2, 3)) @ arrays["fc_w"].T + arrays["fc_b"]
    torch.testing.assert_close(logits, arrays[f"logits_direction{direction}"], rtol=1e-4, atol=5e-5)
    one_hot = torch.eye(settings["K"])[arrays["labels"].long()]
    loss = CrossEntropy()(logits, mix_rows(partner, lam, one_hot))
    torch.testing.assert_close(loss, arrays[f"loss_direction{direction}"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("number", range(7))
def test_where_features_are_averaged_next_the_published_alignment_does_nothing_in_one_direction(number):
    """Its columns sum to 1, so the mean over places stays; in the other one it changes by the rows' sums alone."""
    settings, arrays = case(number, *FILES)
    own, lam = arrays["features"], settings["lam"]
    mean_own, mean_other = own.mean((2, 3)), own[arrays["perm"].long()].mean((2, 3))
    without = (lam * mean_own + (1 - lam) * mean_other) @ arrays["fc_w"].T + arrays["fc_b"]
    torch.testing.assert_close(arrays["logits_direction0"], without, rtol=1e-5, atol=1e-5)
    weighed = (own.flatten(2) * arrays["assignment_row_sums"][:, None]).mean(2)
    by_rows = (lam * weighed + (1 - lam) * mean_other) @ arrays["fc_w"].T + arrays["fc_b"]
    torch.testing.assert_close(arrays["logits_direction1"], by_rows, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_settled_at_a_last_stage_that_is_averaged_next_it_is_manifold_mixup(seed):
    """And not at an earlier one."""
    model = network()
    for layer, same in ((3, True), (2, False)):
        mixed = blend(AlignMixup(aligned=1.0, layer=layer), model, seed)
        plain = blend(ManifoldMixup(layers=(layer,)), model, seed)
        assert torch.equal(mixed.soft_targets, plain.soft_targets)
        apart = (forward(model, mixed) - forward(model, plain)).abs().max().item()
        assert (apart < 1e-5) == same, (layer, apart)


def test_the_published_images_are_those_of_the_input_branch():
    settings, arrays = case(7, *FILES)
    mixed = mix_rows(arrays["perm"].long(), torch.tensor(settings["lam"]), arrays["images"])
    torch.testing.assert_close(mixed, arrays["mixed"], rtol=1e-6, atol=1e-6)


def by_hand(own, other, lam, *, carried, epsilon, sweeps):
    """The mixed map of one pair, place by place: plain sweeps, so that a tall `sweeps` settles them."""
    places = [divmod(place, own.shape[2]) for place in range(own.shape[1] * own.shape[2])]
    cost = torch.stack(
        [torch.stack([(own[:, r, c] - other[:, s, d]).square().sum() for s, d in places]) for r, c in places]
    ).detach()
    column = torch.zeros(len(places), dtype=own.dtype)
    for _ in range(sweeps):
        row = -torch.logsumexp(-cost / epsilon + column, 1)
        column = -torch.logsumexp(-cost / epsilon + row[:, None], 0)
    plan = (-cost / epsilon + row[:, None] + column).exp()
    mixed = torch.empty_like(own)
    for here, (r, c) in enumerate(places):
        if carried:
            moved = sum(plan[there, here] * own[:, s, d] for there, (s, d) in enumerate(places))
            mixed[:, r, c] = lam * moved + (1 - lam) * other[:, r, c]
        else:
            moved = sum(plan[here, there] * other[:, s, d] for there, (s, d) in enumerate(places))
            mixed[:, r, c] = lam * own[:, r, c] + (1 - lam) * moved
    return mixed


@pytest.mark.parametrize("layer", [None, 2])
@pytest.mark.parametrize("per", ["batch", "sample"])
def test_against_a_loop_over_examples_and_places(layer, per):
    """Non-square images; epsilon is that of the features, so that the loop and the mixer both settle."""
    model, (inputs, targets) = network(), batch(4, 8, 12)
    mixer = AlignMixup(aligned=1.0, layer=layer, per=per, epsilon=5.0, sweeps=200)
    seen = set()
    for seed in range(4):
        mixed = blend(mixer, model, seed, (inputs, targets))
        assert torch.equal(mixed.inputs, inputs)
        depth = layer or 3
        assert list(mixed.hidden) == [depth]
        assert torch.equal(mixed.hidden[depth], mixed.lam)
        features = inputs
        for part in [model.stem, *model.stages[:depth]]:
            features = part(features)
        carried = bool(mixed.blends[depth].args[0])
        seen.add(carried)
        lams = mixed.lam.expand(4).tolist()
        for i, j in enumerate(mixed.partner.tolist()):
            hidden = by_hand(features[i], features[j], lams[i], carried=carried, epsilon=5.0, sweeps=400)[None]
            for part in [*model.stages[depth:], model.head]:
                hidden = part(hidden)
            torch.testing.assert_close(forward(model, mixed)[i], hidden[0], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(
                mixed.soft_targets[i], lams[i] * targets[i] + (1 - lams[i]) * targets[j], rtol=1e-6, atol=1e-6
            )
    assert seen == {True, False}


@pytest.mark.parametrize("aligned", [0.3, 0.5, 1.0])
def test_batches_are_shared_out_and_so_are_the_directions(aligned):
    mixer, model, (inputs, targets) = AlignMixup(aligned=aligned), network(), batch()
    draws, counts = made(), {"aligned": 0, "carried": 0}
    for _ in range(600):
        mixed = mixer.blend(model, inputs, targets, {}, epoch=0, generator=draws)
        behind = bool((mixed.hidden[3] != 1).any())
        assert behind == torch.equal(mixed.inputs, inputs)
        counts["aligned"] += behind
        counts["carried"] += behind and bool(mixed.blends[3].args[0])
    for found, of, share in ((counts["aligned"], 600, aligned), (counts["carried"], counts["aligned"], 0.5)):
        assert abs(found - of * share) <= 4 * math.sqrt(of * share * (1 - share))


def test_a_draw_of_the_input_is_mixup_bit_for_bit():
    model = network()
    for seed in range(20):
        mixed = blend(AlignMixup(alpha=0.7), model, seed)
        if bool((mixed.hidden[3] == 1).all()):
            plain = blend(Mixup(alpha=0.7), model, seed)
            assert torch.equal(mixed.inputs, plain.inputs) and torch.equal(mixed.soft_targets, plain.soft_targets)
            assert torch.equal(forward(model, mixed), model(plain.inputs))
            return
    raise AssertionError("the input was never drawn")


@pytest.mark.parametrize("variant", ["settled", "published"])
@pytest.mark.parametrize("carried", [True, False])
def test_gradients_flow_through_both_maps_and_not_through_the_plan(carried, variant):
    """The derivative of a weighted sum of what comes out, in closed form for an assignment that does not move."""
    own, other, weights = (torch.randn(2, 3, 2, 2, dtype=torch.float64, generator=made(seed)) for seed in (1, 2, 3))
    lam = torch.tensor(0.3, dtype=torch.float64)
    mixer = AlignMixup(variant=variant, epsilon=0.5)
    own.requires_grad_(), other.requires_grad_()
    mixed = mixer.blend_aligned(torch.tensor(carried), own, other, lam)
    found = torch.autograd.grad((weights * mixed).sum(), (own, other))
    solve = {"settled": annealed, "published": stopped}[variant]
    plan = solve(distances(own, other, normalised=False), epsilon=0.5, sweeps=20)
    expected_own, expected_other = torch.zeros_like(own), torch.zeros_like(other)
    for example in range(2):
        for here in range(4):
            for there in range(4):
                (r, c), (s, d) = divmod(here, 2), divmod(there, 2)
                share = plan[example, here, there]
                if carried:
                    expected_own[example, :, r, c] += 0.3 * share * weights[example, :, s, d]
                else:
                    expected_other[example, :, s, d] += 0.7 * share * weights[example, :, r, c]
    if carried:
        expected_other += 0.7 * weights
    else:
        expected_own += 0.3 * weights
    torch.testing.assert_close(found[0], expected_own)
    torch.testing.assert_close(found[1], expected_other)


def test_every_weight_before_the_layer_gets_its_gradient_from_both_examples():
    model, (inputs, targets) = network(), batch(4)
    inputs = inputs.requires_grad_()
    mixer = AlignMixup(aligned=1.0)
    mixed = mixer.blend(model, inputs, targets, {}, epoch=0, generator=made(3))
    row = 0
    partner = int(mixed.partner[row])
    assert partner != row
    (gradient,) = torch.autograd.grad(forward(model, mixed)[row].sum(), inputs)
    moved = gradient.abs().sum((1, 2, 3)) > 0
    assert moved.tolist() == [index in (row, partner) for index in range(4)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_whose_lam_is_one_stay_to_the_last_bit(dtype):
    own, other = (torch.randn(3, 4, 2, 3, generator=made(seed)).to(dtype) for seed in (1, 2))
    for carried in (True, False):
        mixed = AlignMixup().blend_aligned(torch.tensor(carried), own, other, torch.tensor([1.0, 0.25, 1.0]))
        assert torch.equal(mixed[[0, 2]], own[[0, 2]])
        assert not torch.equal(mixed[1], own[1])
        assert torch.equal(AlignMixup().blend_aligned(torch.tensor(carried), own, other, torch.ones(())), own)


def test_the_plan_is_made_in_single_precision_under_autocast():
    own, other = (8 * torch.randn(2, 16, 4, 4, generator=made(seed)) for seed in (1, 2))
    mixer, lam = AlignMixup(epsilon=0.5), torch.tensor(0.5)
    exact = mixer.blend_aligned(torch.tensor(False), own.bfloat16().float(), other.bfloat16().float(), lam)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = mixer.blend_aligned(torch.tensor(False), own.bfloat16(), other.bfloat16(), lam)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=2**-6, atol=0.1)


def test_in_a_mixture_it_is_as_it_is_alone():
    """Beside a method that mixes the same stage, and itself with another temperature."""
    members = {
        "cold": AlignMixup(aligned=1.0, epsilon=0.01, layer=2),
        "hot": AlignMixup(aligned=1.0, epsilon=100.0, layer=2),
        "manifold_mixup": ManifoldMixup(layers=(2,)),
    }
    mixer, model, (inputs, targets) = Mixture(members=members), network(), batch()
    seen = set()
    for seed in range(12):
        mixed = blend(mixer, model, seed)
        draws = made(seed)
        alone = [
            members[label].blend(model, inputs, targets, {}, epoch=0, generator=draws) for label in sorted(members)
        ]
        which = int(torch.rand((), dtype=torch.float64, generator=draws) * 3)
        seen.add(which)
        torch.testing.assert_close(forward(model, mixed), forward(model, alone[which]))
    assert seen == {0, 1, 2}
    assert mixer.min_stages == 2
    with_cutmix = Mixture(members={"alignmixup": AlignMixup(), "cutmix": {"name": "cutmix"}})
    assert blend(with_cutmix, model).mask is None


def test_without_mixing_it_is_plain_training_and_at_the_input_it_is_mixup():
    assert AlignMixup(alpha=0.0).canonical() == Erm()
    assert AlignMixup(aligned=0.0, alpha=0.4, per="sample").canonical() == Mixup(alpha=0.4, per="sample")
    model = network()
    for seed in range(3):
        plain, aligned = blend(Mixup(alpha=0.4), model, seed), blend(AlignMixup(aligned=0.0, alpha=0.4), model, seed)
        assert torch.equal(plain.inputs, aligned.inputs)
        assert torch.equal(forward(model, aligned), model(plain.inputs))


@pytest.mark.parametrize("size", [1, 4])
def test_a_batch_of_one_and_of_one_class_trains(size):
    model = network()
    inputs = torch.randn(size, 2, 4, 4, dtype=torch.float64, generator=made(1))  # the last map has one place
    targets = torch.eye(K)[torch.zeros(size, dtype=torch.int64)]
    for seed in range(4):
        output = AlignMixup(aligned=1.0).step(
            model, inputs, targets, {}, epoch=0, generator=made(seed), loss=CrossEntropy()
        )
        assert bool(output.loss.isfinite())
        assert torch.equal(output.soft_targets, targets)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"aligned": 1.5}, "aligned: got 1.5"),
        ({"aligned": -0.1}, "aligned: got -0.1"),
        ({"layer": 0}, "layer: got 0"),
        ({"epsilon": 0.0}, "epsilon: got 0.0"),
        ({"epsilon": float("nan")}, "epsilon: got nan"),
        ({"sweeps": 0}, "sweeps: got 0"),
        ({"sweeps": 2000}, "sweeps: got 2000"),
        ({"variant": "paper"}, "variant: got 'paper'"),
    ],
    ids=str,
)
def test_bad_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        AlignMixup.parse(settings)


def test_a_network_with_too_few_stages_is_refused():
    settings = {"mixing.name": "alignmixup", "model.name": "tiny_resnet", "mixing.layer": 3}
    assert TrialConfig.from_dotted(settings).mixing.min_stages == 3
    with pytest.raises(ValueError, match=r"alignmixup mixes features after stage 4, but model.name=tiny_resnet has 3"):
        TrialConfig.from_dotted(settings, {"mixing.layer": 4})


@pytest.mark.slow
def test_a_compiled_network_has_its_last_stage_where_the_other_has_it():
    model = network().float()
    inputs, targets = batch()
    steps = [
        AlignMixup(aligned=1.0)
        .step(each, inputs.float(), targets, {}, epoch=0, generator=made(1), loss=CrossEntropy())
        .loss
        for each in (model, torch.compile(model, backend="eager"))
    ]
    torch.testing.assert_close(steps[1], steps[0])
