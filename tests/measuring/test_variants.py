"""What is tried beside a trial as given."""

import pytest

from tune_mixup.config import TrialConfig
from tune_mixup.measuring import variants as tried
from tune_mixup.measuring.variants import variants
from tune_mixup.schema import flatten


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(tried, "cores", lambda: 4)


def found(device="cpu", seconds=120, **settings):
    config = TrialConfig.from_dotted({key.replace("__", "."): value for key, value in settings.items()})
    return config, *variants(config, device=device, seconds=seconds)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_settings_differ_from_those_given_in_what_the_name_says(device):
    config, (given, *others), _ = found(device, 600)
    assert (given.name, given.config, given.copies) == ("as given", config, 1)
    for one in others:
        before, after = flatten(config.plain()), flatten(one.config.plain())
        changed = [f"{key}={str(after[key]).lower()}" for key in after if after[key] != before[key]]
        named = one.name.split() if one.kind == "settings" else []
        assert sorted(changed) == sorted(named)
        assert bool(changed) == (one.kind == "settings")
    assert len({one.name for one in others}) == len(others)


def test_a_trial_that_has_a_setting_is_not_tried_with_it_again():
    names = [one.name for one in found(training__channels_last=True)[1]]
    assert "training.channels_last=true" not in names and "training.precision=bf16" in names
    everything = {"training__precision": "bf16", "training__channels_last": True, "training__compile": "graph"}
    assert not any("compile=graph" in one.name for one in found("cuda", **everything)[1])


def test_settings_that_do_not_go_together_are_left_out():
    names = [one.name for one in found("cuda", training__precision="fp16")[1]]
    assert "training.compile=graph" not in names  # fp16 can't be captured
    assert "training.precision=bf16 training.channels_last=true training.compile=graph" in names


@pytest.mark.parametrize(("device", "takes"), [("cpu", 180), ("cuda", 120)])
def test_compiling_is_tried_where_there_is_time(device, takes):
    _, some, left_out = found(device, takes - 1)
    assert not any("compile=step" in one.name or "model+graph" in one.name for one in some)
    together = "training.precision=bf16 training.channels_last=true training.compile=model+graph"
    compiled = ["training.compile=step"] + ([together] if device == "cuda" else [])
    assert left_out == [f"{name}, which takes --seconds {takes}" for name in compiled]
    _, more, none = found(device, takes)
    assert "training.compile=step" in [one.name for one in more] and none == []


def test_on_a_cpu_threads_and_trials_at_once_are_tried():
    config, some, _ = found()
    (threads,) = (one for one in some if one.kind == "threads")
    (copies,) = (one for one in some if one.kind == "copies")
    assert (threads.name, threads.threads, threads.copies) == ("--cpus-per-trial 4", 4, 1)
    assert (copies.name, copies.threads, copies.copies) == ("4 trials at once", 1, 4)


def test_no_more_than_a_few_trials_at_once(monkeypatch):
    monkeypatch.setattr(tried, "cores", lambda: 96)
    assert max(one.copies for one in found()[1]) == max(one.threads for one in found()[1]) == tried.AT_ONCE


def test_one_core_has_nothing_to_share(monkeypatch):
    monkeypatch.setattr(tried, "cores", lambda: 1)
    assert {one.kind for one in found()[1]} == {"given", "settings"}


def test_on_a_gpu_trials_share_it():
    _, some, _ = found("cuda")
    assert [(one.name, one.copies) for one in some if one.kind == "copies"] == [
        ("--gpus-per-trial 0.5", 2),
        ("--gpus-per-trial 0.25", 4),
    ]


def test_other_rounding_is_pointed_out():
    cautious = [one.name for one in found("cuda")[1] if one.caution]
    assert cautious and all("precision" in name or "deterministic" in name for name in cautious)
