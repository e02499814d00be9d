"""What the private part of pydantic does that we use. A failure here names what a release has changed."""

import pytest
from pydantic import BaseModel, ValidationError

from tune_mixup.pydantic_internals import for_calls_only


def test_a_marked_init_is_called_by_calls_and_not_for_settings_within_others():
    made = []

    class Inner(BaseModel):
        number: int

        @for_calls_only
        def __init__(self, **values):
            made.append(values)
            super().__init__(**values)

    class Outer(BaseModel):
        inner: Inner

    Inner(number=1)
    assert made == [{"number": 1}]
    assert Outer.model_validate({"inner": {"number": 2}}).inner.number == 2 and made == [{"number": 1}]
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"inner": {"number": "x"}})
    assert caught.value.errors()[0]["loc"] == ("inner", "number"), "pydantic loses the key; see schema.py"
