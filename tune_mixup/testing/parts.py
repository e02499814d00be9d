"""What every part promises: its settings are frozen, and survive being written to YAML and read again.

A suite is a class whose `test_*` methods take no argument, so that pytest collects them from a subclass, and anything
else can call them. A failed promise is an AssertionError that says what to do; what a part need not promise is skipped
with `unittest.SkipTest`, which pytest understands. Nothing here needs pytest.
"""

import json
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from tune_mixup.faults import describe
from tune_mixup.parts import Part

P = TypeVar("P", bound=Part)


class PartContract(Generic[P]):
    """The promises of all parts. A subclass sets `part` to an object of the class that it is about."""

    part: P
    kind: ClassVar[Any]
    """The annotation of the settings that take such a part: `AnyMixer`."""

    def test_settings_survive_being_written_and_read(self) -> None:
        """What a record, an exported file and a worker get is the same part, found by its name."""
        adapter = TypeAdapter(self.kind)
        written = json.loads(json.dumps(adapter.dump_python(self.part, mode="json")))
        try:
            again = adapter.validate_python(written)
        except ValidationError as error:
            raise AssertionError(f"{written} can't be read again: {describe(error)}") from None
        assert again == self.part, f"{self.part!r} is written as {written} and read as {again!r}; they must be equal"
        assert adapter.dump_python(again, mode="json") == written, "what was read must be written as before"
