"""Settings that are a set of whole numbers: a list, or text such as 0 1 2, which a search space can hold."""

from typing import Any

from pydantic import BeforeValidator


def whole_numbers(lowest: int, what: str, example: str) -> BeforeValidator:
    """Reads lists and texts as a sorted tuple of one or more different numbers from `lowest` up; refuses all else.

    `what` names the numbers and `example` is some of them, for the message.
    """

    def read(given: Any) -> Any:
        parts = given.replace(",", " ").split() if isinstance(given, str) else given
        if isinstance(parts, list | tuple):
            read = [int(part) if isinstance(part, str) and part.isdecimal() else part for part in parts]
            whole = all(isinstance(one, int) and not isinstance(one, bool) and one >= lowest for one in read)
            if read and whole and len(set(read)) == len(read):
                return tuple(sorted(read))
        listed = ", ".join(example.split())
        raise ValueError(
            f"got {given!r}, must be one or more different {what} from {lowest} up, such as [{listed}] or '{example}'"
        )

    return BeforeValidator(read)
