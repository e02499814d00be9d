"""A command whose options are given once each: of two values for one option, neither wins."""

from collections.abc import Iterator, Sequence
from typing import Any

from typer.core import TyperCommand, TyperOption
from typing_extensions import override


class OnceCommand(TyperCommand):
    """Refuses an option that stands twice on the command line, unless it is made to be repeated."""

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        seen: set[str] = set()
        for option in self._given(args):
            if option in seen:
                raise ValueError(f"{option} is given twice; keep one of the two")
            seen.add(option)
        return super().parse_args(ctx, args)

    def _given(self, args: Sequence[str]) -> Iterator[str]:
        """The options with one value each that stand on the command line, in their order."""
        options = {name: one for one in self.params if isinstance(one, TyperOption) for name in one.opts}
        words = iter(args)
        for word in words:
            if word == "--":
                return
            name, equals, _ = word.partition("=")
            option = options.get(name)
            if option is None or option.is_flag:
                continue
            if not equals:
                next(words, None)  # the value, which may look like an option
            if not option.multiple:
                yield name
