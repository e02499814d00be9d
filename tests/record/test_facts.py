"""Facts survive their plain form, as JSON writes and reads it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tune_mixup.record.facts import (
    Assignment,
    Decision,
    Ending,
    LongerGrace,
    Report,
    SweepFacts,
    TrialFacts,
)

numbers = st.integers(0, 10**6)
reals = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=20)
decisions = st.builds(
    Decision,
    epoch=numbers,
    stop=st.booleans(),
    why=texts,
    by=st.sampled_from(["rung", "median", "budget"]),
    rung=st.none() | numbers,
    value=st.none() | reals,
    rank=st.none() | numbers,
    of=st.none() | numbers,
    cutoff=st.none() | reals,
    group=st.none() | texts,
)
endings = st.builds(
    Ending,
    kind=st.sampled_from(["completed", "diverged", "storage_fault"]),
    why=st.none() | texts,
    errno=st.none() | numbers,
    file=st.none() | texts,
)
facts = st.one_of(
    decisions,
    endings,
    st.builds(
        Assignment,
        number=numbers,
        folder=texts,
        stopping=texts,
        threads=numbers,
        rungs=st.lists(numbers, max_size=4).map(tuple),
        gpus=reals,
        gpu_type=texts,
        config=texts,
    ),
    st.builds(Report, row=st.none() | st.dictionaries(texts, reals, max_size=4), ending=st.none() | endings),
    st.builds(
        TrialFacts,
        decisions=st.lists(decisions, max_size=3).map(tuple),
        reason=st.none() | texts,
        deaths=st.lists(texts, max_size=3).map(tuple),
        gpus=st.none() | reals,
        served=st.none() | numbers,
        replicate_seed=st.none() | numbers,
        imported=st.none() | texts,
    ),
    st.builds(
        SweepFacts,
        grace=st.lists(st.builds(LongerGrace, from_trial=numbers, epochs=numbers, why=texts), max_size=3).map(tuple),
        packing=st.none() | st.dictionaries(texts, numbers, max_size=3),
        checkpoint_bytes=st.none() | numbers,
        warm_start=st.none() | texts,
        seeds_before=st.none() | numbers,
    ),
)


@given(facts)
def test_a_fact_comes_back_from_json_as_it_was(fact):
    text = json.dumps(fact.plain())
    assert type(fact).parse(json.loads(text)) == fact
    assert type(fact).parse({**json.loads(text), "of somebody else": 1}) == fact, "keys of others are left alone"


def test_what_is_empty_is_not_written():
    assert TrialFacts().plain() == {} and SweepFacts().plain() == {} and Report().plain() == {}
    assert TrialFacts(served=0, gpus=0.0).plain() == {"served": 0, "gpus": 0.0}


def test_decisions_of_format_0_say_by_what_they_were_made():
    rung = {"epoch": 3, "stop": True, "why": "its budget of luck is over", "rung": 3}
    median = {"epoch": 3, "stop": True, "why": "worse than the median", "value": 0.5}
    budget = {"epoch": 3, "stop": True, "why": "epoch 3: the sweep's time budget of 9 s was used up"}
    found = TrialFacts.parse({"decisions": [rung, median, budget]})
    assert [decision.by for decision in found.decisions] == ["rung", "median", "budget"]
    assert found.stopped == budget["why"]
