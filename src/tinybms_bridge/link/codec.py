"""JSON of the dataclasses that cross the link, both ways, made from their fields: nothing is named a second time.

orjson writes dataclasses as they are; mashumaro makes what reads them from the annotations. Reading is strict: a number
is no text, a truth no number, and nothing is not a number. Fields that are not known are passed over, missing ones take
their defaults, so that either side may be of another minor version. A number that is not finite is written as null.
"""

import binascii
import math
from collections.abc import Callable
from enum import Enum
from types import MappingProxyType, NoneType
from typing import TypeVar, cast

import orjson
from mashumaro.codecs.basic import BasicDecoder
from mashumaro.dialect import Dialect
from mashumaro.exceptions import InvalidFieldValue, MissingField

__all__ = ["DecodeError", "Strict", "Trusting", "decoder", "from_json", "printable", "to_json"]

T = TypeVar("T")

_LONGEST_TOLD = 160


class DecodeError(ValueError):
    """A document that is not what was expected; the text names the field, and nothing of the program."""


def printable(text: str, longest: int = _LONGEST_TOLD) -> str:
    """Return text of the other side for a log: one line of limited length."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[: longest + 1])
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."


def to_json(value: object) -> bytes:
    """Return a value as JSON. Raises TypeError for one that holds anything but data."""
    return orjson.dumps(value, _plain, orjson.OPT_NON_STR_KEYS)


def _plain(value: object) -> object:
    """Return as plain data what orjson does not know."""
    if isinstance(value, MappingProxyType):
        return dict(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, bytes):
        return binascii.b2a_base64(value, newline=False).decode()
    raise TypeError(f"{type(value).__name__} is no data")


def from_json(data: bytes | bytearray | memoryview) -> object:
    """Return what JSON holds. Raises DecodeError."""
    try:
        return orjson.loads(data)
    except ValueError as error:
        raise DecodeError(printable(f"is not JSON: {error}")) from None


def _number(value: object) -> float:
    if (type(value) is float or type(value) is int) and math.isfinite(value):
        return float(value)
    raise DecodeError("must be a number")


def _whole(value: object) -> int:
    if type(value) is int:
        return value
    raise DecodeError("must be a whole number")


def _truth(value: object) -> bool:
    if type(value) is bool:
        return value
    raise DecodeError("must be true or false")


def _text(value: object) -> str:
    if type(value) is str:
        return value
    raise DecodeError("must be a text")


def _bytes(value: object) -> bytes:
    if type(value) is str:
        try:
            return binascii.a2b_base64(value, strict_mode=True)
        except ValueError:
            pass
    raise DecodeError("must be bytes in base64")


def _nothing(value: object) -> None:
    if value is not None:
        raise DecodeError("must be null")


def _any(value: object) -> object:
    return value


class Trusting(Dialect):
    """How values are read that this program wrote itself, in the core: quickly."""

    serialization_strategy = {  # noqa: RUF012 -- mashumaro reads it from the class
        bytes: {"deserialize": _bytes},
        NoneType: {"deserialize": _nothing},
        object: {"deserialize": _any},
    }


class Strict(Dialect):
    """How values of others are read: plain ones as they are or not at all."""

    serialization_strategy = {  # noqa: RUF012 -- mashumaro reads it from the class
        **Trusting.serialization_strategy,
        float: {"deserialize": _number},
        int: {"deserialize": _whole},
        bool: {"deserialize": _truth},
        str: {"deserialize": _text},
    }


def decoder(kind: type[T], dialect: type[Dialect] = Strict) -> Callable[[object], T]:
    """Return what makes a value of a type from parsed JSON; it raises DecodeError.

    Args:
        kind: A dataclass, or any type of which a field may be.
        dialect: How values of certain types are read.

    """
    found = _decoders.get((kind, dialect))
    if found is None:
        found = _decoders[kind, dialect] = _decoder(kind, dialect)
    return cast("Callable[[object], T]", found)


_decoders: dict[tuple[object, object], Callable[[object], object]] = {}


def _decoder(kind: type[object], dialect: type[Dialect]) -> Callable[[object], object]:
    decode = BasicDecoder(kind, default_dialect=dialect).decode

    def checked(document: object) -> object:
        try:
            return decode(document)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise DecodeError(_told(error)) from None

    return checked


def _told(error: BaseException) -> str:
    """Return which field is wrong, and why, from the innermost of nested errors."""
    path: list[str] = []
    while isinstance(error, InvalidFieldValue | MissingField):
        path.append(error.field_name)
        if isinstance(error, MissingField):
            return f"{'.'.join(path)}: is missing"
        wanted = error.field_type
        if error.__context__ is None:
            break
        error = error.__context__
        if not isinstance(error, InvalidFieldValue | MissingField | DecodeError):
            return f"{'.'.join(path)}: {_expected(wanted)}"
    reason = str(error) if isinstance(error, DecodeError) else "is not of the expected form"
    return printable(f"{'.'.join(path)}: {reason}" if path else reason)


def _expected(kind: object) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return printable(f"must be one of {', '.join(str(each.value) for each in kind)}")
    return "is not of the expected form"
