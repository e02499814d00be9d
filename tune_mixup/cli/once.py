"""Commands whose command line is checked as a whole, in our words, before any of it is done."""

from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption
from typing_extensions import override

from tune_mixup.cli.usage import HELP, check_usage
from tune_mixup.faults import cut, near, shown


class OnceCommand(TyperCommand):
    """Refuses an option that stands twice on the command line, unless it is made to be repeated."""

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _without_type(self.params)

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:  # a shell that asks how an unfinished command goes on
            check_usage(self, args, [] if ctx.parent is None else _names(ctx.parent.command, ctx.parent))
        return super().parse_args(ctx, args)

    @override
    def get_help_option(self, ctx: Any) -> Any:
        return _without_type([super().get_help_option(ctx)])[0]


class VerbGroup(TyperGroup):
    """The verbs; names the one that was meant by a name that is none."""

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _without_type(self.params)

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        names, given = _names(self, ctx), args[0].partition("=")[0] if args else ""
        if given.startswith("-") and given not in names and not ctx.resilient_parsing:
            meant = near(f"--{given.lstrip('-')}", names)
            instead = "" if meant is None else f"; did you mean {meant}?"
            if any(given in _names(verb, ctx) for verb in self.commands.values()):
                instead = f"; write {given} behind the verb"
            raise ValueError(f"there is no option {cut(given)} before a verb{instead} {HELP}")
        return super().parse_args(ctx, args)

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands and not ctx.resilient_parsing:
            meant = near(args[0], self.commands)
            instead = "" if meant is None else f"; did you mean {meant}?"
            raise ValueError(f"there is no verb {shown(args[0])}{instead} (--help shows them all)")
        return super().resolve_command(ctx, args)

    @override
    def get_help_option(self, ctx: Any) -> Any:
        return _without_type([super().get_help_option(ctx)])[0]


def _names(command: Any, ctx: Any) -> list[str]:
    """The options of a command, or of the whole program."""
    return [name for one in command.get_params(ctx) if isinstance(one, TyperOption) for name in one.opts]


def _without_type(params: list[Any]) -> list[Any]:
    """The same, where the help shows no type behind a flag, which takes no value."""
    for one in params:
        if isinstance(one, TyperOption) and one.is_flag:
            one.metavar = ""
    return params
