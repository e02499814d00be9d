from tune_mixup.config import TrialConfig
from tune_mixup.search.repeats import Asked, Repeats


def mixup(alpha, seed=0):
    return Asked.of(TrialConfig.from_dotted({"mixing.name": "mixup", "mixing.alpha": alpha, "seed": seed}))


def test_the_same_setting_is_known_by_its_first_trial():
    repeats = Repeats()
    repeats.note(0, mixup(0.0))
    repeats.note(1, mixup(1.0))
    plain = Asked.of(TrialConfig.from_dotted({"mixing.name": "erm"}))
    assert repeats.earlier(2, plain) == 0  # alpha = 0 is plain training
    assert repeats.earlier(2, mixup(1.0)) == 1
    assert repeats.earlier(1, mixup(1.0)) is None  # itself
    assert repeats.earlier(2, mixup(1.0, seed=1)) is None
    assert repeats.earlier(2, mixup(0.5)) is None


def test_fresh_seeds_follow_the_ones_used():
    repeats = Repeats()
    for number, seed in enumerate((0, 1, 3)):
        repeats.note(number, mixup(1.0, seed))
    assert repeats.fresh_seed(mixup(1.0)) == 2
    assert repeats.fresh_seed(mixup(0.5)) == 0
