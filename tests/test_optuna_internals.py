"""What Optuna must go on doing, though it promises none of it. A failure here names what a release has changed."""

import json

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState

from tune_mixup.optuna_internals import (
    JournalOperation,
    NumberedQmcSampler,
    OtherTrials,
    added,
    annotate,
    begun,
    has_trial,
    joint_draw,
    queued_point,
    reopened,
    report,
    stored_trial,
    study_attributes,
)

SPACE = {"x": FloatDistribution(0, 1), "y": FloatDistribution(1, 10, log=True)}


class Lines(BaseJournalBackend):
    """A journal in memory."""

    def __init__(self):
        self.lines = []

    def read_logs(self, log_number_from):
        yield from self.lines[log_number_from:]

    def append_logs(self, logs):
        self.lines.extend(json.loads(json.dumps(log)) for log in logs)


@pytest.fixture(params=[InMemoryStorage, lambda: JournalStorage(Lines())], ids=["memory", "journal"])
def study(request):
    return optuna.create_study(study_name="gm", storage=request.param(), sampler=RandomSampler(seed=0))


def test_a_trial_is_found_by_its_number_where_ids_differ_from_numbers():
    storage = JournalStorage(Lines())
    for name in ("first", "second"):
        study = optuna.create_study(study_name=name, storage=storage, sampler=RandomSampler(seed=0))
        for _ in range(3):
            study.ask(SPACE)
    for number, trial in enumerate(study.get_trials()):
        found = stored_trial(study, number)
        assert (found.number, found.params) == (number, trial.params), (
            "Study._storage.get_trial_id_from_study_id_trial_number(Study._study_id, number) finds another trial"
        )
    with pytest.raises(KeyError):
        stored_trial(study, 3)


def test_a_trial_that_is_begun_is_like_one_that_was_asked_for(study):
    study.enqueue_trial({"x": 0.5})
    queued = study.ask()
    assert queued.suggest_float("x", 0, 1) == 0.5
    asked, trial = study.ask(), begun(study)
    assert (asked.number, trial.number) == (1, 2), "Trial(Study, BaseStorage.create_new_trial(...)) is another trial"
    study.sampler = RandomSampler(seed=0)
    first = asked.suggest_float("x", 0, 1)
    study.sampler = RandomSampler(seed=0)
    assert trial.suggest_float("x", 0, 1) == first and study.trials[2].state == TrialState.RUNNING


def test_what_is_begun_sees_all_that_was_told_before(study):
    study.sampler = TPESampler(seed=0, n_startup_trials=1, multivariate=True)
    cached = study._get_trials(deepcopy=False, use_cache=True)
    study.tell(begun(study).number, 0.5)
    begun(study)
    assert len(cached) == 0 and len(study._get_trials(deepcopy=False, use_cache=True)) == 2, (
        "Study._thread_local.cached_all_trials no longer is what Study.ask forgets"
    )


def test_a_trial_that_is_added_is_found_by_the_number_that_comes_back(study):
    study.ask()
    made = optuna.trial.create_trial(
        state=TrialState.RUNNING, params={"x": 0.25}, distributions={"x": SPACE["x"]}, user_attrs={"finalist": 0}
    )
    assert added(study, made) == 1
    assert (study.trials[1].params, study.trials[1].user_attrs) == ({"x": 0.25}, {"finalist": 0})
    assert [has_trial(study, number) for number in range(3)] == [True, True, False], (
        "BaseStorage.get_trial_id_from_study_id_trial_number no longer raises KeyError for a trial that is not there"
    )


def test_values_and_attributes_are_stored_for_a_trial_of_another_process(study):
    number = study.ask().number
    trial = stored_trial(study, number)
    report(study, trial, step=3, value=0.25)
    annotate(study, trial, "decisions", [{"stop": True}])
    (kept,) = study.get_trials()
    assert kept.intermediate_values == {3: 0.25}, "BaseStorage.set_trial_intermediate_value no longer stores a report"
    assert kept.user_attrs == {"decisions": [{"stop": True}]}, "BaseStorage.set_trial_user_attr no longer stores it"
    study.tell(number, 0.5)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        report(study, stored_trial(study, number), step=4, value=0.5)


def test_a_study_has_its_attributes(study):
    assert study_attributes(study) == {}
    study.set_user_attr("grace", [3, 1])
    assert study_attributes(study) == {"grace": [3, 1]} == study.user_attrs, (
        "BaseStorage.get_study_user_attrs(Study._study_id) and Study.user_attrs no longer agree"
    )


def test_a_trial_that_was_asked_for_elsewhere_is_asked_for_the_rest(study):
    number = study.ask({"x": SPACE["x"]}).number
    before = stored_trial(study, number).params["x"]
    again = reopened(study, stored_trial(study, number))
    assert again.number == number
    assert again.suggest_float("x", 0, 1) == before, "optuna.trial.Trial(study, id) draws anew what the trial has"
    later = again.suggest_float("y", 1, 10, log=True)
    assert stored_trial(study, number).params == {"x": before, "y": later} and len(study.get_trials()) == 1


def test_a_queued_point_is_noted_before_it_is_asked_for(study):
    study.enqueue_trial({"x": 0.125})
    assert queued_point(stored_trial(study, 0)) == {"x": 0.125}, (
        "Study.enqueue_trial no longer notes the point in the system attribute fixed_params"
    )
    study.ask()
    study.ask()
    assert queued_point(stored_trial(study, 1)) == {}


def maximized(sampler):
    return optuna.create_study(storage=JournalStorage(Lines()), sampler=sampler, direction="maximize")


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_a_joint_draw_is_noted_with_the_trial(name):
    sampler = TPESampler(multivariate=True, group=True, constant_liar=True, n_startup_trials=2, seed=0)
    study = maximized(sampler if name == "tpe" else GPSampler(n_startup_trials=2, seed=0))
    for value in (0.1, 0.5, 0.3):
        study.tell(study.ask(SPACE), value)
    trial = study.ask(SPACE)
    noted = joint_draw(stored_trial(study, trial.number), name)
    assert noted == trial.params, f"{name} no longer notes its joint draw in {name}:relative_params:0, 1, ..."
    assert set(noted) == {"x", "y"}
    other = {"tpe": "gp", "gp": "tpe"}[name]
    assert joint_draw(stored_trial(study, trial.number), other) is None


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_long_joint_draw_is_put_together_from_its_pieces():
    """The storage takes 2,045 characters for an attribute: thirty long names need several."""
    space = {f"mixing.member_{index:02d}_{'x' * 120}": FloatDistribution(0, 1) for index in range(30)}
    study = maximized(TPESampler(multivariate=True, group=True, constant_liar=True, n_startup_trials=2, seed=0))
    for value in (0.1, 0.5, 0.3):
        study.tell(study.ask(space), value)
    trial = study.ask(space)
    stored = stored_trial(study, trial.number)
    pieces = sorted(key for key in stored.system_attrs if key.startswith("tpe:relative_params:"))
    assert len(pieces) > 1, "TPE notes a joint draw of 4,000 characters in one piece: nothing is put together here"
    assert joint_draw(stored, "tpe") == trial.params
    stored.system_attrs.pop(pieces[-1])
    assert joint_draw(stored, "tpe") is None


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_numbered_point_of_the_sequence_is_the_one_that_optuna_draws_at_that_number():
    """Optuna's own sampler draws the first eight in order; ours asks for each by its number, in another order."""
    asked = maximized(QMCSampler(scramble=True, seed=5, warn_independent_sampling=False))
    asked.tell(asked.ask(SPACE), 0.0)  # the sequence begins once the study has a trial to know the space from
    points = [asked.ask(SPACE).params for _ in range(8)]
    study = maximized(RandomSampler(seed=0))
    study.tell(study.ask(SPACE), 0.0)
    trial = study.get_trials()[0]
    found = [
        NumberedQmcSampler(number, seed=5).sample_relative(study, trial, SPACE) for number in reversed(range(8))
    ]  # fmt: skip
    assert found[::-1] == points, "QMCSampler._find_sample_id no longer says which point of the sequence is drawn"
    assert len({point["x"] for point in points}) == 8


def test_the_journal_says_by_these_words_what_was_done():
    """`search/replay.py` reads each of these, and `record/journal.py` tells reports from the rest."""
    journal = Lines()
    study = optuna.create_study(study_name="gm", storage=JournalStorage(journal), sampler=RandomSampler(seed=0))
    study.enqueue_trial({"x": 0.5})
    trial = study.ask({"x": SPACE["x"]})
    trial.report(0.25, 3)
    trial.set_user_attr("decisions", [])
    study.tell(trial, 0.75)
    lines = {JournalOperation(line["op_code"]): line for line in journal.lines}
    words = "the operations of Optuna's journal have other names or other keys"
    assert {"CREATE_TRIAL", "SET_TRIAL_PARAM"} <= {operation.name for operation in lines}, words
    created = lines[JournalOperation.CREATE_TRIAL]
    assert TrialState(created["state"]) == TrialState.WAITING and created["system_attrs"]["fixed_params"], words
    assert lines[JournalOperation.SET_TRIAL_PARAM]["trial_id"] == 0, words
    reported = lines[JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE]
    assert (reported["trial_id"], reported["step"], reported["intermediate_value"]) == (0, 3, 0.25), words
    assert lines[JournalOperation.SET_TRIAL_USER_ATTR]["user_attr"] == {"decisions": []}, words
    told = lines[JournalOperation.SET_TRIAL_STATE_VALUES]
    assert TrialState(told["state"]) == TrialState.COMPLETE and told["values"] == [0.75], words


def test_the_numbers_of_the_operations_are_those_of_journals_that_exist():
    """A sweep's journal is read for years: an operation that gets another number makes it unreadable."""
    numbers = {
        "CREATE_STUDY": 0, "DELETE_STUDY": 1, "SET_STUDY_USER_ATTR": 2, "SET_STUDY_SYSTEM_ATTR": 3, "CREATE_TRIAL": 4,
        "SET_TRIAL_PARAM": 5, "SET_TRIAL_STATE_VALUES": 6, "SET_TRIAL_INTERMEDIATE_VALUE": 7, "SET_TRIAL_USER_ATTR": 8,
        "SET_TRIAL_SYSTEM_ATTR": 9,
    }  # fmt: skip
    found = {name: JournalOperation[name].value for name in numbers}
    assert found == numbers, "JournalOperation has been renumbered: journals of before cannot be read"


@pytest.mark.parametrize("make", [GPSampler, TPESampler], ids=["gp", "tpe"])
def test_a_study_without_one_trial_is_drawn_from_as_if_that_had_noted_nothing(study, make):
    """GP takes the note of an earlier draw for the trial itself for another trial that runs."""
    words = "OtherTrials: Study._get_trials is no longer what samplers read the trials from"
    for value in (0.1, 0.4, 0.2):
        trial = study.ask(SPACE)
        study.tell(trial, value)
    trial = study.ask()

    def drawn(seen):
        options = {"multivariate": True} if make is TPESampler else {"deterministic_objective": False}
        sampler = make(seed=1, n_startup_trials=1, **options)
        frozen = study.get_trials()[-1]
        return sampler.sample_relative(seen, frozen, sampler.infer_relative_search_space(seen, frozen))

    others = OtherTrials(study, trial.number)
    assert [one.number for one in others.get_trials()] == [0, 1, 2], words
    first = drawn(others)
    assert set(first) == set(SPACE) and joint_draw(study.get_trials()[-1], make is GPSampler and "gp" or "tpe"), words
    assert drawn(others) == first, words
