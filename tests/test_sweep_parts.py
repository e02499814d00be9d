"""Sampler and stopping rule in a sweep's configuration: by name, with settings, as objects, and in old records."""

from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution

from tune_mixup.samplers import SAMPLERS
from tune_mixup.samplers.qmc import Qmc
from tune_mixup.samplers.tpe import Tpe
from tune_mixup.search_space import SearchSpace
from tune_mixup.stopping import STOPPING
from tune_mixup.stopping.asha import Asha
from tune_mixup.stopping.hyperband import Hyperband
from tune_mixup.stopping.median import Median
from tune_mixup.stopping.never import Never
from tune_mixup.sweep_config import SweepConfig, plan

FREE = {"optimizer.lr": CategoricalDistribution((0.05, 0.1))}


def space(**defaults):
    return SearchSpace(
        fixed={"data.name": "digits"}, free=FREE, defaults={key.replace("__", "."): v for key, v in defaults.items()}
    )


def test_a_part_is_a_name_a_section_or_an_object():
    for given in (
        {"sampler": "qmc", "scheduler": "median"},
        {"sampler": {"name": "qmc"}, "stopping": {"name": "median"}},
        {"sampler": Qmc(), "stopping": Median()},
    ):
        config = plan(space(), name="s", **given)
        assert (config.sampler, config.stopping) == (Qmc(), Median(grace_epochs=4, control_fraction=0.0))
    config = plan(space(), {"sweep.stopping.grace_epochs": 3, "sweep.sampler.candidates": 5}, name="s")
    assert (config.sampler, config.stopping) == (Tpe(candidates=5), Asha(grace_epochs=3, control_fraction=0.0))
    config = plan(space(), {"sweep.stopping.min_others": 5}, name="s", scheduler="median")
    assert config.stopping == Median(min_others=5, grace_epochs=4, control_fraction=0.0)


@pytest.mark.parametrize("stopping", STOPPING)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_pair_survives_its_file(sampler, stopping):
    config = plan(space(), name="s").replace(sampler=SAMPLERS[sampler](), stopping=STOPPING[stopping]())
    plain = config.model_dump(mode="json")
    assert (plain["sampler"]["name"], plain["stopping"]["name"]) == (sampler, stopping)
    assert SweepConfig.parse(plain) == SweepConfig.from_record({"format": 1, **plain}) == config


def test_a_spaces_settings_hold_where_the_rule_has_them():
    none_spared = {"control_fraction": 0.0}
    ours = space(stopping__grace_epochs=2, stopping__strata="none", trials=4)
    assert plan(ours, name="s").stopping == Asha(grace_epochs=2, strata="none", **none_spared)
    assert plan(ours, name="s", scheduler="hyperband").stopping == Hyperband(
        grace_epochs=2, strata="none", **none_spared
    )
    assert plan(ours, name="s", scheduler="median").stopping == Median(grace_epochs=2, **none_spared)
    assert plan(ours, name="s", scheduler="none").stopping == Never()
    longer = plan(ours, {"sweep.stopping.grace_epochs": 7}, name="s")
    assert longer.stopping == Asha(grace_epochs=7, strata="none", **none_spared)
    assert plan(ours, name="s", stopping=Asha(smoothing=1)).stopping == Asha(smoothing=1, grace_epochs=4, **none_spared)
    theirs = space(stopping__name="median", stopping__min_others=4)
    assert plan(theirs, name="s").stopping == Median(min_others=4, grace_epochs=4, **none_spared)
    shorter = plan(theirs, name="s", stopping={"grace_epochs": 2})
    assert shorter.stopping == Median(min_others=4, grace_epochs=2, **none_spared)
    assert plan(theirs, name="s", scheduler="asha").stopping == Asha(grace_epochs=4, **none_spared)


@pytest.mark.parametrize(
    ("defaults", "settings", "options", "line"),
    [
        ({}, {"sweep.stopping.reduction_factor": 4}, {"scheduler": "median"},
         "sweep.stopping.reduction_factor: there is no such setting here (got 4); "),
        ({}, {"sweep.stopping.grace_epochs": 0}, {}, "sweep.stopping.grace_epochs: got 0, must be "),
        ({}, {"sweep.sampler.candidates": 4}, {"sampler": "gp"}, "sweep.sampler.candidates: there is no such setting"),
        ({}, {"sweep.grace_epochs": 2}, {}, "sweep.grace_epochs: is sweep.stopping.grace_epochs now; set that"),
        ({}, {}, {"control_fraction": 0.0}, "sweep.control_fraction: is sweep.stopping.control_fraction now; set that"),
        ({"grace_epochs": 2}, {}, {}, "defaults: grace_epochs: is stopping.grace_epochs now; set that"),
        ({"trails": 2}, {}, {}, "defaults: trails: there is no such setting here (got 2); did you mean trials?"),
        ({"stopping__grace": 2}, {}, {}, "defaults: sweep.stopping.grace: there is no such setting here"),
        ({"stopping__grace": 2}, {}, {"scheduler": "none"}, "defaults: sweep.stopping.grace: there is no such setting"),
        ({}, {}, {"scheduler": "asah"}, "sweep.stopping.name: got 'asah', which is not known; did you mean asha?"),
        ({}, {}, {"scheduler": "pbt"}, "sweep.stopping.name: got 'pbt', which changes a trial's settings while it"),
        ({}, {"sweep.stopping.smoothing": 4}, {}, "sweep.stopping.smoothing: got 4, but val_accuracy_median is"),
        ({}, {"sweep.outside": "bend"}, {}, "outside: got 'bend', must be "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(defaults, settings, options, line):
    with pytest.raises(ValueError) as caught:
        plan(space(**defaults), settings, name="s", **options)
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value)


def space_file(folder, defaults):
    file = folder / "mine.py"
    file.write_text(
        f"from tune_mixup import load_space\nSPACE = load_space('quickstart').replace(defaults={defaults!r})\n"
    )
    return file


@pytest.mark.parametrize("key", ["trails", "stopping.grace_epoch", "grace_epochs"])
def test_a_typo_among_a_spaces_defaults_names_the_file(tmp_path, key):
    file = space_file(tmp_path, {key: 2})
    with pytest.raises(ValueError) as caught:
        plan(file)
    assert str(caught.value).startswith(f"{file}: defaults: ") and key in str(caught.value)


@pytest.mark.parametrize(
    ("defaults", "words"),
    [
        ({"trials": -3}, "trials: got -3, must be "),
        ({"trials": "many"}, "trials: got 'many', must be a whole number"),
        ({"metric": "val_acuracy"}, "metric: got 'val_acuracy', which is not reported"),
        ({"name": "a/b"}, "name: got 'a/b', must be "),
        ({"finalists.share": 1.5}, "sweep.finalists.share: got 1.5, must be "),
        ({"finalists.number": 50, "trials": 20}, "sweep.finalists.number: got 50, but the search has at most"),
        ({"finalists.share": 0.5, "trials": 20}, "sweep.finalists.share: got 0.5, but of 20 trials no run is held"),
        ({"sampler": "cmaes"}, "sweep.sampler.name: got 'cmaes', which learns only from trials that were trained to"),
        ({"max_epochs": "ten"}, "max_epochs: got 'ten', must be a whole number"),
    ],
)
def test_a_wrong_value_among_a_spaces_defaults_names_the_file(tmp_path, defaults, words):
    file = space_file(tmp_path, defaults)
    with pytest.raises(ValueError) as caught:
        plan(file)
    assert str(caught.value).startswith(f"{file}: defaults: {words}") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "options"),
    [({}, {"concurrent": -1}), ({"mixing.mu": 7}, {}), ({}, {"trials": 0}), ({"training.epochs": 0}, {})],
)
def test_what_is_said_wrongly_is_no_fault_of_the_file(tmp_path, settings, options):
    told = []
    for defaults in ({"trials": 20, "max_epochs": 12, "name": "theirs", "cpus_per_trial": 1}, {}):
        with pytest.raises(ValueError) as caught:
            plan(space_file(tmp_path, defaults), settings, **options)
        told.append(str(caught.value))
    assert told[0] == told[1] and "defaults" not in told[0]


def test_a_default_that_is_not_taken_may_be_wrong(tmp_path):
    file = space_file(tmp_path, {"trials": -3})
    assert plan(file, trials=5).trials == 5


# Records of before sampler and rule had settings of their own

FLAT = {
    "name": "old",
    "space": {"free": {}, "fixed": {"data.name": "digits"}, "defaults": {"grace_epochs": 2, "trials": 3}},
    "seed": 3, "metric": "val_nll", "trials": 8, "sampler": "tpe", "scheduler": "asha", "grace_epochs": 2,
    "reduction_factor": 4, "strata": "none", "smoothing": 3, "control_fraction": 0.25, "repeats": "serve",
}  # fmt: skip


def test_a_first_record_is_read_with_the_settings_of_its_rule():
    config = SweepConfig.from_record(FLAT)
    rungs = {"grace_epochs": 2, "reduction_factor": 4, "strata": "none", "smoothing": 3, "control_fraction": 0.25}
    assert (config.sampler, config.stopping) == (Tpe(), Asha(**rungs))
    assert (config.seed, config.trials, config.repeats, config.outside) == (3, 8, "serve", "drop")
    assert config.space.defaults == {"stopping.grace_epochs": 2, "trials": 3}
    assert SweepConfig.from_record({**FLAT, "scheduler": "hyperband"}).stopping == Hyperband(**rungs)
    median = SweepConfig.from_record({**FLAT, "scheduler": "median"}).stopping
    assert median == Median(grace_epochs=2, control_fraction=0.25, min_others=3)
    assert SweepConfig.from_record({**FLAT, "scheduler": "none"}).stopping == Never()
    for sampler in SAMPLERS:
        assert SweepConfig.from_record({**FLAT, "sampler": sampler}).sampler == SAMPLERS[sampler]()


def test_a_record_of_todays_format_has_no_flat_names():
    with pytest.raises(ValueError, match="sweep.scheduler: is sweep.stopping.name now"):
        SweepConfig.from_record({**FLAT, "format": 1})


def test_a_rule_at_work_has_the_settings_of_the_sweep():
    rule = plan(space(), name="s", metric="val_nll", stopping=Asha(reduction_factor=4, smoothing=2)).rule()
    assert (rule.direction, rule.reduction_factor, rule.smoothing) == ("minimize", 4, 2)
    rule = plan(space(), name="s", max_epochs=50, scheduler="median").rule()
    assert (rule.direction, rule.grace_epochs, rule.min_others) == ("maximize", 17, 3)


def test_names_are_nowhere_branched_on():
    """`asha`, `tpe` and the like stand in their own files, in the registries, in texts and in the table of options."""
    package = Path(__file__).parents[1] / "tune_mixup"
    rooms = ("samplers", "stopping")
    for path in package.rglob("*.py"):
        if path.parent.name not in rooms and path.name != "options.py":
            found = [name for name in (*SAMPLERS, "asha", "hyperband") if f'== "{name}"' in path.read_text()]
            assert not found, (path, found)


@pytest.mark.parametrize("sampler", ["gp", "cmaes"])
def test_a_sampler_that_learns_from_whole_trials_only_does_not_go_with_a_rule_that_stops_them(sampler):
    assert plan(space(), name="s", sampler=sampler, scheduler="none").sampler.name == sampler
    for rule in ("asha", "hyperband", "median"):
        words = f"got '{sampler}', which learns only from trials that were trained to the end, but {rule} stops most"
        with pytest.raises(ValueError, match=f"sweep.sampler.name: {words}"):
            plan(space(), name="s", sampler=sampler, scheduler=rule)
    values = {**plan(space(), name="s", scheduler="asha").model_dump(mode="json"), "sampler": {"name": sampler}}
    assert SweepConfig.from_record(values).sampler.name == sampler  # a sweep of before goes on
