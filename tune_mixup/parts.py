"""Parts of a configuration: settings classes found by name, in a registry of ours or by import from anywhere.

A field `mixing: Annotated[Mixer, PartOf(MIXERS, "a mixing method")]` takes a `Mixer` as it is, or settings whose `name`
is a key of the registry or the import path of a class. It writes the settings of that class, with the name that finds
it again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from inspect import isabstract
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import (
    GetCoreSchemaHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema
from typing_extensions import override

from tune_mixup.faults import shown
from tune_mixup.importing import WRITTEN_LIKE, import_path, imported, is_import_path
from tune_mixup.schema import NAMELESS, ONE_LINE, Schema, suggest

FOR_IDENTITY = "identity"
"""As the context of `model_dump`: leave out the settings that `came_later` and are as they are by default."""


class Part(Schema):
    """Settings of one of several; a class that declares no `name` is called by its import path."""

    came_later: ClassVar[frozenset[str]] = frozenset()
    """Settings that were added when identities were in use: at their defaults they do not change one. A class names its
    own; those of the classes that it derives from stay in force."""
    renamed: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Settings that had another name when identities were in use -> that name, by which identities still go and which
    configurations may use."""
    name: str = ""

    @model_validator(mode="before")
    @classmethod
    def _by_names_of_today(cls, values: Any) -> Any:
        for now, then in cls.renamed.items():
            if isinstance(values, Mapping) and then in values:
                if now in values:
                    raise ValueError(f"got {now} and {then}, which are one setting; drop {then}, its old name")
                values = {now if key == then else key: value for key, value in values.items()}
        return values

    @property
    def as_before(self) -> frozenset[str]:
        """Settings that came later and are as they are by default."""
        fields = type(self).model_fields
        return frozenset(key for key in _later(type(self)) if getattr(self, key) == fields[key].default)

    @property
    def changeable(self) -> frozenset[str]:
        """Settings on which a captured training step does not depend."""
        return frozenset()

    @override
    def __init_subclass__(cls, **kwargs: Any) -> None:
        # Before pydantic collects the fields: a name that was inherited would be another class's.
        super().__init_subclass__(**kwargs)
        declared = cls.__dict__.get("__annotations__", {})
        for now, then in cls.renamed.items():
            if then in declared:
                raise TypeError(f"{import_path(cls)}: got the setting {then}, which is called {now} now; rename it")
        if "name" not in declared:
            path = import_path(cls)
            cls.__annotations__["name"] = Literal[path]
            cls.name = path


@cache
def _later(kind: type[Part]) -> frozenset[str]:
    """The settings of a class that came later under the name that they have."""
    found = {key for base in kind.__mro__ for key in vars(base).get("came_later", ())}
    return frozenset(found - kind.renamed.keys())


@dataclass(frozen=True, eq=False)
class PartOf:
    """Says of a field which parts it takes: those of `registry`, and classes from outside derived from the field's."""

    registry: Mapping[str, type[Part]]
    what: str
    """What a part of this kind is called in a sentence: `a mixing method`."""

    def find(self, name: object, base: type[Part]) -> type[Part]:
        """The class called `name`. Raises ValueError for what is unknown, can't be imported or is no `base`."""
        if isinstance(name, str) and name in self.registry:
            return self.registry[name]
        if not isinstance(name, str) or not is_import_path(name):
            words = suggest(str(name), list(self.registry))
            dotted = isinstance(name, str) and "." in name and not words.startswith("; did")
            words = f"; a class of your own is written like {WRITTEN_LIKE}" if dotted else words
            raise ValueError(f"got {shown(name)}, which is not known{words}")
        found = imported(name)
        wanted = f"must be {self.what}, that is a class derived from {import_path(base)}"
        if not isinstance(found, type):
            raise ValueError(f"got {name!r}, which is an object of type {type(found).__name__}; {wanted}")
        if not issubclass(found, base):
            raise ValueError(f"got {name!r}, which is a class of another kind; {wanted}")
        self.check(found)
        return found

    def check(self, part: type[Part]) -> None:
        """Raise ValueError for a class that can't be made into an object, or whose own name is taken."""
        path = import_path(part)
        if isabstract(part):
            missing = ", ".join(sorted(part.__abstractmethods__))
            raise ValueError(f"got {path!r}, which is abstract; define {missing}")
        own = part.model_fields["name"].default
        if own in self.registry and self.registry[own] is not part:
            raise ValueError(
                f"got {path!r}, whose name {own!r} is that of {import_path(self.registry[own])}; give it another one, "
                "or none"
            )
        if not isinstance(own, str):
            raise ValueError(f"got {path!r}, which declares `name` without a default; give it one, or drop the line")

    def key(self, part: Part) -> str:
        """The name that finds the class of `part` again: its key in the registry, else its import path."""
        listed = self.registry.get(part.name)
        return part.name if listed is type(part) else import_path(type(part))

    def __get_pydantic_core_schema__(self, source: type[Part], handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.wrap_serializer_function_ser_schema(
            self._write, info_arg=True, schema=core_schema.any_schema()
        )
        return core_schema.no_info_plain_validator_function(partial(self._read, source), serialization=written)

    def _read(self, base: type[Part], given: object) -> Part:
        if isinstance(given, base):
            self.check(type(given))
            return given
        if isinstance(given, type):
            raise ValueError(f"got the class {given.__qualname__}, must be an object of it; write {given.__name__}()")
        if not isinstance(given, Mapping):
            raise ValueError(
                f"got {shown(given)}, must be {self.what}: settings with a name, or an object of a class derived "
                f"from {import_path(base)}"
            )
        if "name" not in given:
            raise _at_name(PydanticCustomError(NAMELESS, "the name is missing"), dict(given))
        try:
            found = self.find(given["name"], base)
        except ValueError as error:
            raise _at_name(PydanticCustomError(ONE_LINE, "{words}", {"words": str(error)}), given["name"]) from error
        # The class has been found by its name, which may be spelled otherwise than its own.
        return found.model_validate({key: value for key, value in given.items() if key != "name"})

    def _write(self, part: Any, write: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        written = write(part)
        if info.context == FOR_IDENTITY:
            as_before = part.as_before
            written = {part.renamed.get(key, key): value for key, value in written.items() if key not in as_before}
        return {**written, "name": self.key(part)} if "name" in written else written


def parts_of(field: FieldInfo) -> Iterator[tuple[PartOf, type[Part]]]:
    """The kinds of parts that a field takes, itself or for each of its labels, and the class they derive from."""
    for metadata in field.metadata:
        if isinstance(metadata, PartOf) and isinstance(field.annotation, type):
            yield metadata, field.annotation
    yield from _parts_in(field.annotation)


def _parts_in(annotation: Any) -> Iterator[tuple[PartOf, type[Part]]]:
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from ((metadata, arguments[0]) for metadata in arguments[1:] if isinstance(metadata, PartOf))
    for argument in arguments:
        yield from _parts_in(argument)


def with_default_names(schema: type[Schema], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values`, in which a section without a `name` gets that of the field's default part.

    So `optimizer.lr=0.1` is enough.
    """
    named = dict(values)
    for section, field in schema.model_fields.items():
        given = named.get(section)
        if isinstance(field.default, Part) and isinstance(given, Mapping):
            named[section] = {"name": field.default.name, **given}
    return named


def _at_name(error: PydanticCustomError, given: object) -> ValidationError:
    return ValidationError.from_exception_data("Part", [InitErrorDetails(type=error, loc=("name",), input=given)])


def structure(value: Any) -> Any:
    """What canonical parts have in common when one captured training step serves all: their settings but `changeable`.

    Nested tuples, which can be compared and hashed. Classes stand for themselves: names from outside need not differ.
    """
    if isinstance(value, Part):
        parts = ((key, structure(part)) for key, part in value if key not in value.changeable)
        return (type(value), *parts)
    if isinstance(value, Mapping):
        return tuple((key, structure(part)) for key, part in value.items())
    return value
