from tune_mixup import activity
from tune_mixup.activity import IDLE, Activity, doing, heard_by, pass_on


def test_who_listens_hears_of_the_inner_activity_and_then_of_the_outer_one_again():
    heard = []
    with heard_by(heard.append), doing("checking"):
        with doing("reading", of=10):
            pass
        pass_on(Activity(what="elsewhere"))
        pass_on(IDLE)
    with doing("unheard"):
        pass
    assert [one.what for one in heard] == ["checking", "reading", "checking", "elsewhere", "checking", ""]


def test_counts_are_heard_a_few_times_a_second_only(monkeypatch):
    times = iter(range(1000))
    monkeypatch.setattr(activity.time, "monotonic", lambda: next(times) / 100)
    heard = []
    with heard_by(heard.append), doing("reading", of=100) as count:
        for number in range(100):
            count(number + 1)
    shares = [one.done for one in heard if one.what]
    assert shares == sorted(shares) and 3 <= len(shares) <= 1 + 100 * 0.02 / activity.PACE_S


def test_nothing_is_due_where_nobody_listens(monkeypatch):
    monkeypatch.setattr(activity, "PACE_S", 0.0)
    with doing("training", of=3) as count:
        assert not count.due()
    with heard_by(lambda one: None), doing("training", of=3) as count:
        assert count.due()


def test_words():
    assert Activity(what="starting Ray").words() == "starting Ray"
    assert Activity(what="reading 60,000 images", done=24_999, of=60_000).words() == "reading 60,000 images, 41 %"
    steps = Activity(what="training", place="epoch 3/50", done=120, of=782, unit="step", detail="loss 1.83")
    assert steps.words() == "training, epoch 3/50, step 120/782, loss 1.83"


def test_an_activity_that_fails_has_ended():
    heard = []
    try:
        with heard_by(heard.append), doing("reading"):
            raise ValueError
    except ValueError:
        pass
    assert heard[-1] == IDLE
