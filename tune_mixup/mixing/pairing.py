"""Drawing partners so that classes meet as often as a pairing matrix says.

All draws run on the device without reading a value. `classes` int64 [B] holds the batch's classes in any order,
`pairing` float64 [K, K] row = own class, column = the partner's; the result int64 [B] is each example's partner.
"""

import torch
from torch import Generator, Tensor

SMALLEST_WEIGHT = 1e-300
"""A class of weight 0 gets this: it is drawn only when nothing else is left."""


def draw_birkhoff(pool: Tensor, classes: Tensor, *, generator: Generator) -> Tensor:
    """Partners by random class permutations: every example is used once, and class pairs match the pool on average.

    `pool` int64 [P, K] as from `permutation_pool`. Every class must occur equally often, k = B / K times: the k members
    of a class follow k permutations drawn from the pool, and which member of the partner class each one meets is
    random. Raises ValueError when B is not a multiple of K; unequal classes cannot be noticed without waiting for the
    device, and would be paired by wrong rows.
    """
    num_classes = pool.shape[1]
    per_class, rest = divmod(len(classes), num_classes)
    if rest:
        raise ValueError(
            f"a batch of {len(classes)} can't hold each of {num_classes} classes equally often, as pairing=birkhoff "
            f"needs; use a batch size that is a multiple of {num_classes}, or pairing=sequential"
        )
    device = classes.device
    drawn = pool[torch.randint(len(pool), (per_class,), device=device, generator=generator)]
    own = classes.argsort(stable=True)  # in any order: the permutations are drawn alike, and the others shuffled
    others = members_by_class(classes, generator=generator).reshape(num_classes, per_class)
    # A transposed index gives a result of other strides than torch.compile foresees.
    met = others[drawn.T.contiguous(), torch.arange(per_class, device=device)]
    return torch.empty_like(own).scatter(0, own, met.flatten())


def draw_sequential(pairing: Tensor, classes: Tensor, *, generator: Generator) -> Tensor:
    """Partners without replacement, class after class in a fresh random order; every example is used once.

    Each class draws for its members, one by one, among the examples that are left, in proportion to their entries of
    its row: the published rule with the row of the right class. The first classes get their rows, the last ones what
    remains, so class pairs match `pairing` only roughly. Any composition of the batch will do. The successive draws of
    a class are its examples in the order of exponential variables over weights (Efraimidis and Spirakis, "Weighted
    random sampling with a reservoir", 2006).
    """
    num_classes, size = len(pairing), len(classes)
    device = classes.device
    turn = torch.randperm(num_classes, device=device, generator=generator)
    counts = class_counts(classes, num_classes)[turn]
    starts = counts.cumsum(0) - counts
    arrival = _exponential((num_classes, size), generator) / pairing[turn][:, classes].clamp_min(SMALLEST_WEIGHT)
    place = torch.arange(size, device=device)
    used = torch.zeros(size, dtype=torch.bool, device=device)
    met = torch.empty(2 * size, dtype=torch.int64, device=device)
    for step in range(num_classes):
        order = arrival[step].masked_fill(used, torch.inf).argsort()
        # The count is known to the device only, so the whole order is written; later classes overwrite the surplus.
        met.index_copy_(0, starts[step] + place, order)
        used[order] = used[order] | (place < counts[step])
    own = members_by_class(turn.argsort()[classes], generator=generator)
    return torch.empty_like(own).scatter(0, own, met[:size])


def draw_by_slot(pairing: Tensor, classes: Tensor, *, generator: Generator) -> Tensor:
    """Partners as the released code draws them: without replacement, slot after slot in their order, by `slot_weights`.

    Slot s is the s-th of K equal parts of the batch. Its members draw one by one among the examples that are left; the
    last slots get what remains. Raises ValueError when B is not a multiple of K.
    """
    num_slots = len(pairing)
    per_slot, rest = divmod(len(classes), num_slots)
    if rest:
        raise ValueError(
            f"a batch of {len(classes)} can't be {num_slots} slots of equal size, as variant=published needs; use a "
            f"batch size that is a multiple of {num_slots}, or variant=intended"
        )
    arrival = _exponential((num_slots, len(classes)), generator) / slot_weights(pairing, classes)
    used = torch.zeros(len(classes), dtype=torch.bool, device=classes.device)
    met = []
    for slot in range(num_slots):
        first = arrival[slot].masked_fill(used, torch.inf).topk(per_slot, largest=False).indices
        used = used.index_fill(0, first, True)
        met.append(first)
    return torch.cat(met)


def slot_weights(pairing: Tensor, classes: Tensor) -> Tensor:
    """What each slot's members weigh the examples by, [K, B] > 0: slot s uses row s, whichever class stands there."""
    return pairing[:, classes].clamp_min(SMALLEST_WEIGHT)


def draw_independent(pairing: Tensor, classes: Tensor, *, generator: Generator) -> Tensor:
    """Partners with replacement: a class from the row of the own class, among those present, then any member of it.

    Any composition of the batch will do. Where a row has no weight on the classes present, any of them is drawn.
    """
    counts = class_counts(classes, len(pairing))
    weights = pairing.clamp_min(SMALLEST_WEIGHT)[classes]
    arrival = (_exponential((len(classes), len(pairing)), generator) / weights).masked_fill(counts == 0, torch.inf)
    partner_class = arrival.argmin(1)
    share = torch.rand(len(classes), dtype=torch.float64, device=classes.device, generator=generator)
    offset = (share * counts[partner_class]).long()
    starts = counts.cumsum(0) - counts
    return classes.argsort(stable=True)[starts[partner_class] + offset]


def members_by_class(classes: Tensor, *, generator: Generator) -> Tensor:
    """The batch's positions, int64 [B], sorted by class and in random order within a class."""
    shuffled = torch.randperm(len(classes), device=classes.device, generator=generator)
    return shuffled[classes[shuffled].argsort(stable=True)]


def class_counts(classes: Tensor, num_classes: int) -> Tensor:
    """How often each class occurs, int64 [K]; unlike `bincount`, does not wait for the device."""
    ones = torch.ones_like(classes)
    return torch.zeros(num_classes, dtype=torch.int64, device=classes.device).scatter_add(0, classes, ones)


def cyclic_permutation(num_classes: int, *, generator: Generator) -> Tensor:
    """A uniformly random permutation of one cycle, int64 [K], as Sattolo's algorithm draws: no class keeps its own."""
    ring = torch.randperm(num_classes, generator=generator)
    return torch.empty_like(ring).scatter(0, ring, ring.roll(-1))


def _exponential(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.empty(shape, dtype=torch.float64, device=generator.device).exponential_(generator=generator)
