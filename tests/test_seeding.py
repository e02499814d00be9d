from itertools import product

import torch

from tune_mixup.seeding import generator, global_draws


def draw(*key):
    return torch.rand(4, generator=generator(*key)).tolist()


def test_equal_keys_draw_equal_numbers_and_all_others_differ():
    keys = list(product((0, 1, 12), ("split", "init", "batches", "augment", "mix", "dropout"), (0, 1, 12)))
    draws = {tuple(draw(*key)) for key in keys}
    assert len(draws) == len(keys)
    assert all(draw(*key) == draw(*key) for key in keys)


def test_seed_and_epoch_do_not_run_into_each_other():
    assert draw(1, "mix", 11) != draw(11, "mix", 1)
    assert draw(2**63, "mix", 0) != draw(0, "mix", 0)


def test_global_draws_depend_on_seed_stream_and_epoch_and_leave_no_trace():
    def draw(seed, stream, epoch):
        with global_draws(seed, stream, epoch, torch.device("cpu")):
            return torch.rand(3).tolist()

    before = torch.get_rng_state()
    drawn = [draw(0, "init", 0), draw(1, "init", 0), draw(0, "dropout", 0), draw(0, "init", 1)]
    assert len({tuple(values) for values in drawn}) == 4 and draw(0, "init", 0) == drawn[0]
    assert torch.equal(before, torch.get_rng_state())
