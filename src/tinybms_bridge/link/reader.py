"""Reads the values of one branch again and again, and makes anew only what differs from the last one.

Ten times a second comes a state of the battery of which a few values have changed. Comparing parsed JSON costs a tenth
of making objects from it; and who watches can tell by ``is`` what has stayed the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from mashumaro.codecs.basic import BasicDecoder

from tinybms_bridge.link.codec import DecodeError, Trusting, decoder

__all__ = ["BranchReader"]

T = TypeVar("T")

_Read = Callable[[object], Any]

_PLAIN = (float, int, str, bool)


class BranchReader(Generic[T]):
    """Makes values of a type from parsed JSON.

    A value is the same as ``link.codec.decoder`` gives with ``Trusting``, and so are the errors.
    """

    def __init__(self, kind: type[T]) -> None:
        self._decode = decoder(kind, Trusting)
        self._kind = kind
        self._read = _reading(kind)

    def read(self, document: object) -> T:
        """Return the value of a document. Raises DecodeError."""
        try:
            return cast("T", self._read(document))
        except (DecodeError, ValueError, TypeError, LookupError, AttributeError):
            self._read = _reading(self._kind)
            return self._decode(document)


def _reading(kind: object) -> _Read:
    """Return what reads values of a type, with a memory of its own."""
    inner = _optional(kind)
    if inner is not None:
        return _Optional(_reading(inner)).read
    if isinstance(kind, type) and is_dataclass(kind) and _has_parts(kind):
        return _Object(kind).read
    if _is_map(kind):
        return _Map(get_args(kind)[1]).read
    if _is_list(kind):
        return _List(get_args(kind)[0]).read
    return _making(kind)


def _making(kind: object) -> _Read:
    """Return what makes a value anew each time, and may raise anything: ``BranchReader`` tells what is wrong."""
    if kind in _PLAIN or (isinstance(kind, type) and issubclass(kind, Enum)):
        return cast("_Read", kind)
    return BasicDecoder(cast("type[object]", kind), default_dialect=Trusting).decode


def _optional(kind: object) -> object | None:
    """Return the type that a value has unless it is None."""
    if get_origin(kind) not in (Union, UnionType):
        return None
    others = [each for each in get_args(kind) if each is not NoneType]
    return others[0] if len(others) == 1 and len(get_args(kind)) > 1 else None


def _is_map(kind: object) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    if not isinstance(origin, type) or not issubclass(origin, Mapping) or len(arguments) != 2:
        return False
    return arguments[0] is str and _is_object(arguments[1])


def _is_list(kind: object) -> bool:
    arguments = get_args(kind)
    return get_origin(kind) is tuple and len(arguments) == 2 and arguments[1] is Ellipsis and _is_object(arguments[0])


def _is_object(kind: object) -> bool:
    kind = _optional(kind) or kind
    return isinstance(kind, type) and is_dataclass(kind)


def _has_parts(kind: type) -> bool:
    """Return whether a dataclass holds others: one of plain values is made as a whole in less time."""
    hints = get_type_hints(kind)
    return any(test(hints[each.name]) for each in fields(kind) for test in (_is_object, _is_map, _is_list))


class _Optional:
    """A value or None."""

    __slots__ = ("_read",)

    def __init__(self, read: _Read) -> None:
        self._read = read

    def read(self, document: object) -> object:
        return None if document is None else self._read(document)


class _Object:
    """A dataclass, field by field."""

    __slots__ = ("_document", "_fields", "_make", "_names", "_needed", "_present", "_value", "_values")

    def __init__(self, kind: type) -> None:
        hints = get_type_hints(kind)
        self._make = getattr(kind, "_make", kind)
        own = [each for each in fields(kind) if each.init]
        self._fields = [(each.name, _reading(hints[each.name])) for each in own]
        self._needed = [each.name for each in own if _is_needed(each)]
        self._present = self._fields
        self._document: Mapping[str, object] = {}
        self._names: tuple[str, ...] | None = None
        self._values: dict[str, object] = {}
        self._value: object = None

    def read(self, document: object) -> object:
        if not isinstance(document, dict):
            raise DecodeError("is no object")
        values = self._changed(document) if tuple(document) == self._names else self._all(document)
        if values is not self._values:
            self._value = self._make(**values)
            self._values = values
        self._document = document
        return self._value

    def _changed(self, document: Mapping[str, object]) -> dict[str, object]:
        """Return the values of a document with the fields of the last one; the same ones where nothing differs."""
        old, values = self._document, self._values
        copied = False
        for name, read in self._present:
            part = document[name]
            if part != old[name]:
                if not copied:
                    values, copied = values.copy(), True
                values[name] = read(part)
        return values

    def _all(self, document: Mapping[str, object]) -> dict[str, object]:
        """Return the values of a document that has other fields than the last one."""
        missing = [name for name in self._needed if name not in document]
        if missing:
            raise DecodeError(f"{missing[0]}: is missing")
        self._names = tuple(document)
        self._present = [(name, read) for name, read in self._fields if name in document]
        return {name: read(document[name]) for name, read in self._present}


class _Map:
    """A map of dataclasses, entry by entry."""

    __slots__ = ("_entry", "_reads")

    def __init__(self, entry: object) -> None:
        self._entry = entry
        self._reads: dict[str, _Read] = {}

    def read(self, document: object) -> object:
        if not isinstance(document, dict):
            raise DecodeError("is no map")
        if document.keys() != self._reads.keys():
            self._reads = {key: self._reads.get(key) or _reading(self._entry) for key in document}
        reads = self._reads
        return {key: reads[key](part) for key, part in document.items()}


class _List:
    """A tuple of dataclasses: an entry that stands where an equal one stood is that one."""

    __slots__ = ("_documents", "_read", "_values")

    def __init__(self, entry: object) -> None:
        self._read = _making(entry)
        self._documents: list[object] = []
        self._values: tuple[object, ...] = ()

    def read(self, document: object) -> object:
        if not isinstance(document, list):
            raise DecodeError("is no list")
        kept = [
            value if part == old else self._read(part)
            for part, old, value in zip(document, self._documents, self._values, strict=False)
        ]
        self._values = (*kept, *map(self._read, document[len(kept) :]))
        self._documents = document
        return self._values


def _is_needed(of: Field[Any]) -> bool:
    return of.default is MISSING and of.default_factory is MISSING
