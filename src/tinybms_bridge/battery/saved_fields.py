"""One declaration of what is saved, from which writing and reading follow.

The fields of nested dataclasses are found by their type hints. Each is saved under a section and a key of a JSON
document by the rule of its type, unless the declaration names another rule, or why it is not saved. Reading is
tolerant: whatever is missing or makes no sense keeps its start value.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from operator import attrgetter
from types import UnionType
from typing import Any, Generic, Protocol, TypeVar, cast, get_args, get_type_hints

__all__ = ["Counter", "Declaration", "Flag", "Items", "Number", "OneOf", "Rule", "SavedField", "Saving", "ShortText"]

S = TypeVar("S")
T = TypeVar("T")


class Rule(Protocol):
    """How one value is read; a value that does not fit raises ValueError."""

    def read(self, value: object) -> object:
        """Return the value of a document. Raises ValueError for one that makes no sense."""
        ...


@dataclass(frozen=True, slots=True)
class Flag:
    """True or False; what merely looks like it is neither."""

    def read(self, value: object) -> bool:
        """Return the value, or raise ValueError."""
        if not isinstance(value, bool):
            raise ValueError("no flag")  # noqa: TRY004 -- all that is wrong in a document is one kind of error
        return value


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number between two bounds."""

    least: float = 0.0
    most: float = sys.float_info.max
    at_most: bool = False
    """Whether a larger number is read as ``most``."""
    above_least: bool = False
    """Whether ``least`` itself is none."""

    def read(self, value: object) -> float:
        """Return the value, or raise ValueError."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("no number")  # noqa: TRY004
        if self.at_most and self.most < value <= sys.float_info.max:
            return self.most
        if not self.least <= value <= self.most or (self.above_least and value == self.least):
            raise ValueError("out of range")
        return float(value) + 0.0  # never -0.0


@dataclass(frozen=True, slots=True)
class Counter:
    """A value of a 32-bit counter."""

    def read(self, value: object) -> int:
        """Return the value, or raise ValueError."""
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 32:
            raise ValueError("no counter")
        return value


@dataclass(frozen=True, slots=True)
class ShortText:
    """A text of so many characters at most."""

    longest: int

    def read(self, value: object) -> str:
        """Return the value, or raise ValueError."""
        if not isinstance(value, str) or len(value) > self.longest:
            raise ValueError("no text, or too long")
        return value


@dataclass(frozen=True, slots=True)
class OneOf:
    """A member of an enum, by its text."""

    members: type[StrEnum]

    def read(self, value: object) -> StrEnum:
        """Return the member, or raise ValueError."""
        if not isinstance(value, str):
            raise ValueError("no text")  # noqa: TRY004
        return self.members(value)


@dataclass(frozen=True, slots=True)
class Items:
    """A list of so many values at most; it is whole or not there."""

    each: Rule
    most: int

    def read(self, value: object) -> tuple[object, ...]:
        """Return the values, or raise ValueError."""
        if not isinstance(value, list) or len(value) > self.most:
            raise ValueError("no list, or too long")
        return tuple([self.each.read(item) for item in value])


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is said of the fields of a saved dataclass; fields are named by their path, for example ``memory.soc``."""

    sections: Mapping[str, str]
    """Section of the document by the path of the dataclass whose fields it holds."""
    places: Mapping[str, tuple[str, str]]
    """Section and key of the single fields that lie elsewhere than the others of their dataclass."""
    rules: Mapping[str, Rule]
    """Rules of the fields for which that of their type does not do."""
    not_saved: Mapping[str, str]
    """Why a field, or a whole dataclass, begins again after a restart."""
    older_keys: Mapping[str, str] = field(default_factory=dict)
    """Key of the same section that counts where a file of an older version has none for a field."""
    mended: Mapping[type, Callable[[Any], object]] = field(default_factory=dict)
    """What makes a dataclass whole whose fields depend on each other."""


@dataclass(frozen=True, slots=True)
class SavedField:
    """One field that is saved."""

    path: str
    section: str
    key: str
    rule: Rule
    older_key: str | None = None


class Saving(Generic[T]):
    """Writes and reads a dataclass as its declaration says.

    Raises TypeError for a field of which neither its type nor the declaration says how it is saved, and for a
    declaration that names a field that is not there.
    """

    def __init__(self, cls: Callable[[], T], declaration: Declaration) -> None:
        self._start = cls()
        self._declaration = declaration
        self.fields = tuple(_walk(type(self._start), "", declaration))
        """All that is saved."""
        self._by_path = {each.path: each for each in self.fields}
        declared = {*declaration.places, *declaration.rules, *declaration.older_keys}
        if unknown := declared - set(self._by_path):
            raise TypeError(f"there is no saved field {', '.join(sorted(unknown))}")
        for path in declaration.not_saved:
            _at(self._start, path)

    def document(self, saved: T) -> dict[str, object]:
        """Return a JSON-ready document."""
        sections: dict[str, dict[str, object]] = {}
        for each in self.fields:
            value = _at(saved, each.path)
            sections.setdefault(each.section, {})[each.key] = list(value) if isinstance(value, tuple) else value
        return dict(sections)

    def read(self, document: object) -> T:
        """Return what a document says; whatever is missing or makes no sense keeps its start value."""
        values: dict[str, object] = {}
        for each in self.fields:
            part = document.get(each.section) if isinstance(document, Mapping) else None
            if not isinstance(part, Mapping):
                continue
            key = each.key if each.key in part or each.older_key is None else each.older_key
            try:
                values[each.path] = each.rule.read(part.get(key))
            except ValueError:
                continue
        return self._build(type(self._start), "", values, self._declaration.mended)

    def lasting(self, whole: T) -> T:
        """Return only what is saved; everything else has its start value."""
        values = {path: _at(whole, path) for path in self._by_path}
        return self._build(type(self._start), "", values, {})

    def _build(
        self, cls: type[S], path: str, values: Mapping[str, object], mended: Mapping[type, Callable[[Any], object]]
    ) -> S:
        given: dict[str, Any] = {}
        for name, hint in _hints(cls).items():
            below = f"{path}{name}"
            if below in values:
                given[name] = values[below]
            elif isinstance(hint, type) and is_dataclass(hint) and below not in self._declaration.not_saved:
                given[name] = self._build(hint, f"{below}.", values, mended)
        built: Any = cls(**given)
        if cls in mended:
            built = mended[cls](built)
        return cast("S", built)


def _walk(cls: type[Any], path: str, declaration: Declaration) -> Iterator[SavedField]:
    hints = _hints(cls)
    for each in fields(cls):
        below, hint = f"{path}{each.name}", hints[each.name]
        if below in declaration.not_saved:
            continue
        if isinstance(hint, type) and is_dataclass(hint):
            yield from _walk(hint, f"{below}.", declaration)
            continue
        rule = declaration.rules.get(below) or _rule_of(hint)
        section, key = declaration.places.get(below) or (declaration.sections.get(path[:-1]), each.name)
        if rule is None or section is None:
            raise TypeError(f"neither how {below} is saved is declared nor why it is not")
        yield SavedField(below, section, key, rule, declaration.older_keys.get(below))


def _rule_of(hint: object) -> Rule | None:
    """Return how a value of a type is read; a field that may be None is None where nothing is saved."""
    if isinstance(hint, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        return _rule_of(kinds[0]) if len(kinds) == 1 else None
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return OneOf(hint)
    rules: dict[object, Rule] = {bool: Flag(), int: Counter(), float: Number()}
    return rules.get(hint)


_known_hints: dict[object, dict[str, Any]] = {}


def _hints(cls: type[Any]) -> dict[str, Any]:
    """Return the types of the fields of a class; finding them takes longer than reading a file."""
    if cls not in _known_hints:
        _known_hints[cls] = get_type_hints(cls)
    return _known_hints[cls]


def _at(value: object, path: str) -> object:
    found: object = attrgetter(path)(value)
    return found
