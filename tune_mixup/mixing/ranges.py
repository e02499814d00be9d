"""Two settings that are the ends of a range: the upper one may not lie below the lower one."""

from pydantic import AfterValidator, ValidationInfo


def at_least(lower: str) -> AfterValidator:
    """Refuses an upper end below the field `lower`, which must be declared before it.

    The field needs `validate_default=True`: its default may be what lies below a given `lower`.
    """

    def check(value: float, info: ValidationInfo) -> float:
        low = info.data.get(lower, value)  # absent when it was refused itself
        if value < low:
            raise ValueError(f"got {value:g}, must be at least {lower}, which is {low:g}")
        return value

    return AfterValidator(check)
