"""The keys of a section: their types, defaults and meanings, read from its class, and what each accepts in words."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from tinybms_bridge.config.models.base import Meaning, Secret, Section
from tinybms_bridge.words import Message, message

__all__ = ["Key", "keys_of"]


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


_known: dict[type[Section], Mapping[str, Key]] = {}


def keys_of(section: type[Section]) -> Mapping[str, Key]:
    """Return the keys of a section by name, in the order of its class."""
    found = _known.get(section)
    if found is None:
        hints = get_type_hints(section, include_extras=True)
        keys = {name: _key(field, hints[name]) for name, field in section.__dataclass_fields__.items()}
        found = _known[section] = MappingProxyType(keys)
    return found


def _key(field: dataclasses.Field[Any], hint: Any) -> Key:  # noqa: ANN401 - a type expression
    meaning = Meaning()
    if get_origin(hint) is Annotated:
        hint, *marks = get_args(hint)
        meaning = next(mark for mark in marks if isinstance(mark, Meaning))
    nullable = NoneType in get_args(hint)
    if nullable:
        (hint,) = (member for member in get_args(hint) if member is not NoneType)
    return Key(field.name, hint, nullable, meaning, field)
