"""What is looked at in a command line before it is read: options that are not there, values that are missing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, get_type_hints

from typer.core import TyperArgument, TyperCommand, TyperOption

from tune_mixup.faults import cut, near, shown
from tune_mixup.options import Options

HELP = "(--help shows the options)"


class Word(NamedTuple):
    """A word of the command line: an option with what follows it, or an argument, which has no option."""

    option: TyperOption | None
    name: str
    """The option as it was written; of an argument its text."""


def check_usage(command: TyperCommand, args: Sequence[str], program: Sequence[str] = ()) -> None:
    """Raise ValueError in one line for what can't be a call of `command`; `program` are options that precede a verb.

    That is an option that it does not have, that lacks its value or has one that it does not take, or that stands twice
    and is not made to be repeated; an argument too many, and one or a required option that is missing.
    """
    options = {name: one for one in command.params if isinstance(one, TyperOption) for name in one.opts}
    if "--help" in args[: args.index("--") if "--" in args else None]:
        return
    seen: set[str] = set()
    arguments: list[str] = []
    for option, name in _words(args, options, program):
        if option is None:
            arguments.append(name)
        elif name in seen and not option.multiple and not option.is_flag:
            raise ValueError(f"{name} is given twice; keep one of the two")
        seen.add(name if option is not None else "")
    expected = [one for one in command.params if isinstance(one, TyperArgument)]
    if len(arguments) > len(expected):
        wanted = " and ".join(one.name.upper() for one in expected)
        takes = f"takes {wanted} only" if wanted else "takes options only"
        raise ValueError(f"{command.name}: got {shown(arguments[len(expected)])}, but it {takes} {HELP}")
    for one in expected[len(arguments) :]:
        if one.required:
            raise ValueError(f"{command.name}: {one.name.upper()} is missing: {_first_letter_small(one.help)} {HELP}")
    for option in options.values():
        if option.required and not seen & set(option.opts):
            raise ValueError(
                f"{command.name}: {option.opts[0]} {option.metavar} is missing: {_first_letter_small(option.help)} "
                f"{HELP}"
            )


def _words(args: Sequence[str], options: Mapping[str, TyperOption], program: Sequence[str]) -> Iterator[Word]:
    """The options and arguments in their order. Raises ValueError for an option that is not there or has no value."""
    words = iter(args)
    for word in words:
        if word == "--":
            yield from (Word(None, argument) for argument in words)
            return
        if not word.startswith("-") or word == "-":
            yield Word(None, word)
            continue
        name, equals, _ = word.partition("=")
        option = options.get(name)
        if option is None:
            raise ValueError(_no_option(name, options, program))
        if option.is_flag and equals:
            raise ValueError(f"{name} takes no value; write {name} alone")
        if not option.is_flag and not equals and next(words, None) is None:  # the value may look like an option
            raise ValueError(f"{name}: is without a value; write {name} {option.metavar}")
        yield Word(option, name)


def _no_option(name: str, options: Mapping[str, TyperOption], program: Sequence[str]) -> str:
    """What to write instead of an option that is not there: another one, of the verb or the program, or a setting."""
    there_is_no = f"there is no option {cut(name)}"
    key = name.lstrip("-").replace("-", "_")
    if "--set" in options and key in get_type_hints(Options) and f"--{name.lstrip('-')}" not in options:
        return f"{there_is_no}; write --set sweep.{key}=VALUE {HELP}"
    if "--set" in options and "." in key:
        return f"{there_is_no}; write --set {cut(key)}=VALUE {HELP}"
    known = {**{one: f"tune-mixup {one}" for one in program}, **{one: one for one in [*options, "--help"]}}
    if (meant := near(f"--{name.lstrip('-')}", known)) is not None:
        return f"{there_is_no}; did you mean {known[meant]}? {HELP}"
    settings = "; settings are given by --set, such as --set mixing.alpha=0.4" if "--set" in options else ""
    return f"{there_is_no}{settings} {HELP}"


def _first_letter_small(text: str | None) -> str:
    text = (text or "give it").rstrip(".")
    return text[:1].lower() + text[1:]
