"""What we use of pydantic and pydantic does not document; the test of it is `tests/test_pydantic_internals.py`.

The kinds of faults and their `ctx`, which `schema.py` puts into words, are documented; the same tests hold them.
"""

from typing import Any

from pydantic import BaseModel


def stored_values(model: BaseModel) -> tuple[dict[str, Any], dict[str, Any]]:
    """The dictionaries in which a model keeps its fields and its private attributes, by name: not copies of them.

    A model that is frozen for its users can be filled through them while it is made. A model without private attributes
    gives an empty second one, which is nobody's.
    """
    return model.__dict__, model.__pydantic_private__ or {}
