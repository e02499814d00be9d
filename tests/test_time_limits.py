import signal
import threading
import time

import pytest

from tune_mixup.time_limits import TookTooLong, limited


def spin():
    while True:
        pass


def test_what_runs_for_too_long_is_told_of_and_ended():
    told = []
    began = time.monotonic()
    with pytest.raises(TookTooLong):
        with limited(0.4, remind_s=0.1, remind=lambda: told.append(time.monotonic() - began)):
            spin()
    assert 0.35 < time.monotonic() - began < 5
    assert len(told) == 1 and 0.1 <= told[0] < 0.4


def test_a_limit_below_the_reminder_ends_without_it():
    with pytest.raises(TookTooLong):
        with limited(0.05, remind_s=60, remind=lambda: pytest.fail("reminded")):
            spin()


def test_sleep_is_ended_too():
    with pytest.raises(TookTooLong):
        with limited(0.1, remind_s=0.05, remind=lambda: None):
            time.sleep(60)


def test_who_catches_every_exception_is_ended():
    with pytest.raises(TookTooLong):
        with limited(0.1, remind_s=0.05, remind=lambda: None):
            while True:
                try:
                    spin()
                except Exception:
                    pass


def test_who_catches_even_this_is_told_again():
    caught = []
    with pytest.raises(TookTooLong):
        with limited(0.1, remind_s=0.05, remind=lambda: None):
            try:
                spin()
            except BaseException:
                caught.append(True)
            spin()
    assert caught == [True]


def test_nothing_stays_behind():
    before, (left_s, every_s) = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    with limited(60, remind_s=60, remind=lambda: None):
        pass
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (pytest.approx(left_s, abs=1), every_s)  # the suite's own limit


def test_a_timer_that_ran_before_goes_on():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(True))
    suites = signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with limited(60, remind_s=60, remind=lambda: None):
            began = time.monotonic()
            while time.monotonic() - began < 0.3:
                pass
            assert not rung
        began = time.monotonic()
        while not rung and time.monotonic() - began < 5:
            pass
        assert rung
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *suites)


def test_limits_lie_within_each_other():
    with pytest.raises(TookTooLong):
        with limited(0.2, remind_s=0.1, remind=lambda: None):
            with limited(60, remind_s=60, remind=lambda: None):
                pass
            spin()


def test_another_thread_has_no_limit():
    ended = []

    def work():
        with limited(0.01, remind_s=0.01, remind=lambda: ended.append("reminded")):
            time.sleep(0.1)
        ended.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == ["done"]
