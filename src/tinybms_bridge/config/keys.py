"""The keys of a section: their types, defaults and meanings, read from its class, and what each accepts in words.

Where a key holds a map of sections by name, each entry counts as a key of that map.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, NoneType
from typing import Annotated, Any, Literal, Protocol, get_args, get_origin, get_type_hints

from tinybms_bridge.config.models.base import Meaning, Secret, Section
from tinybms_bridge.words import Message, message

__all__ = ["ENTRY", "Entries", "Key", "Keys", "every_key", "keys_of"]

ENTRY = "*"
"""Stands in a path for the name of any entry of a map."""


class Keys(Protocol):
    """The keys of one object of the file."""

    def get(self, name: str, /) -> "Key | None":
        """Return a key; None for a name that none has."""
        ...


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section."""

    name: str
    type: Any
    """The type of its values, without null."""
    nullable: bool
    meaning: Meaning
    _default: dataclasses.Field[Any]

    @property
    def default(self) -> Any:  # noqa: ANN401 - a value of the key's type
        """What counts when the key is not given."""
        factory = self._default.default_factory
        return self._default.default if factory is dataclasses.MISSING else factory()

    @property
    def section(self) -> type[Section] | None:
        """The section that the key holds; None for a key with a value."""
        return self.type if isinstance(self.type, type) and issubclass(self.type, Section) else None

    @property
    def entries(self) -> "Entries | None":
        """The entries of the map that the key holds, when they are sections; None for other keys."""
        return self.type if isinstance(self.type, Entries) else None

    @property
    def below(self) -> Keys | None:
        """The keys inside the object that the key holds; None for a key with a value."""
        return self.entries if self.section is None else keys_of(self.section)

    @property
    def is_secret(self) -> bool:
        """Whether the value must never be shown."""
        return self.type is Secret

    @property
    def choices(self) -> tuple[object, ...]:
        """The accepted values when they are a list, else nothing."""
        return get_args(self.type) if get_origin(self.type) is Literal else self.meaning.accepted

    @property
    def range(self) -> tuple[float, float] | None:
        """The lowest and highest number accepted, or None for other keys."""
        low, high = self.meaning.low, self.meaning.high
        return None if low is None or high is None else (low, high)

    @property
    def expectation(self) -> Message:
        """What the key accepts as a sentence without subject: ``must be a number from 0 to 100 %, or null``."""
        said = self.meaning.rule or self._said()
        return message(said.code, **said.parameters, null=True) if self.nullable else said

    def _said(self) -> Message:
        if self.section is not None:
            return message("must_be.object")
        if len(self.choices) == 1:
            return message("must_be.only", value=self.choices[0])
        if self.choices:
            return message("must_be.one_of", choices=[_as_written(choice) for choice in self.choices])
        if self.type is bool:
            return message("must_be.true_or_false")
        if self.range is not None:
            kind = "must_be.whole_number" if self.type is int else "must_be.number"
            return message(kind, low=self.range[0], high=self.range[1], unit=self.meaning.unit)
        return message("must_be.text", longest=self.meaning.longest)


def _as_written(choice: object) -> str:
    """Return a choice as the file has it."""
    return f'"{choice}"' if isinstance(choice, str) else str(choice)


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of a map of sections: a key for each name that is allowed."""

    section: type[Section]
    """Of each entry."""
    name: Meaning
    """What a name has to be."""

    def get(self, name: str, /) -> Key | None:
        """Return the key of an entry; None for a name that none may have."""
        return self.named(name) if self.name.accepts(name) else None

    def named(self, name: str) -> Key:
        """Return the key of an entry whose name is known to be allowed."""
        field: Any = dataclasses.field(default_factory=self.section)
        return Key(name, self.section, False, Meaning(), field)

    @property
    def expectation(self) -> Message:
        """What a name has to be, as a sentence without subject."""
        return self.name.rule or message("must_be.text", longest=self.name.longest)


_known: dict[type[Section], Mapping[str, Key]] = {}


def keys_of(section: type[Section]) -> Mapping[str, Key]:
    """Return the keys of a section by name, in the order of its class."""
    found = _known.get(section)
    if found is None:
        hints = get_type_hints(section, include_extras=True)
        keys = {name: _key(field, hints[name]) for name, field in section.__dataclass_fields__.items()}
        found = _known[section] = MappingProxyType(keys)
    return found


def every_key(section: type[Section], prefix: str = "") -> Iterator[tuple[str, Key]]:
    """Yield each key with its dotted path, those that hold sections and maps before what is in them.

    The keys of an entry of a map, and the entry itself, come once, with ``ENTRY`` for its name.
    """
    for name, key in keys_of(section).items():
        yield f"{prefix}{name}", key
        if key.section is not None:
            yield from every_key(key.section, f"{prefix}{name}.")
        elif key.entries is not None:
            yield f"{prefix}{name}.{ENTRY}", key.entries.named(ENTRY)
            yield from every_key(key.entries.section, f"{prefix}{name}.{ENTRY}.")


def _key(field: dataclasses.Field[Any], hint: Any) -> Key:  # noqa: ANN401 - a type expression
    meaning = Meaning()
    if get_origin(hint) is Annotated:
        hint, *marks = get_args(hint)
        meaning = next(mark for mark in marks if isinstance(mark, Meaning))
    nullable = NoneType in get_args(hint)
    if nullable:
        (hint,) = (member for member in get_args(hint) if member is not NoneType)
    return Key(field.name, _entries(hint) or hint, nullable, meaning, field)


def _entries(hint: Any) -> Entries | None:  # noqa: ANN401 - a type expression
    """Return the entries of a map of sections; None for any other type."""
    inner = get_args(hint)
    if get_origin(hint) is not dict or not (isinstance(inner[1], type) and issubclass(inner[1], Section)):
        return None
    marks = get_args(inner[0])[1:] if get_origin(inner[0]) is Annotated else ()
    return Entries(inner[1], next((mark for mark in marks if isinstance(mark, Meaning)), Meaning()))
