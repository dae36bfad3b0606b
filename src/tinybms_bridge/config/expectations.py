"""What a key accepts, in words: the sentence of an error message and the range column of the documentation."""

from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le, MaxLen
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tinybms_bridge.config.models import Section

__all__ = ["choices", "expectation", "extra", "is_nullable", "is_secret", "section_type", "value_range", "value_types"]


def value_types(field: FieldInfo) -> tuple[Any, ...]:
    """Return the accepted types, without None."""
    annotation = field.annotation
    members = get_args(annotation) if NoneType in get_args(annotation) else (annotation,)
    return tuple(member for member in members if member is not NoneType)


def is_nullable(field: FieldInfo) -> bool:
    """Tell whether the key may be null."""
    return NoneType in get_args(field.annotation)


def is_secret(field: FieldInfo) -> bool:
    """Tell whether the value must never be shown."""
    return field.annotation is SecretStr


def section_type(field: FieldInfo) -> type[Section] | None:
    """Return the model of a key that is an object with known keys, else None."""
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def extra(field: FieldInfo, name: str) -> str:
    """Return one of our own entries of the schema: ``unit``, ``rule`` or ``no_effect``; empty when there is none."""
    entries = field.json_schema_extra
    return str(entries.get(name, "")) if isinstance(entries, dict) else ""


def choices(field: FieldInfo) -> tuple[object, ...]:
    """Return the accepted values when they are a list, else nothing."""
    (kind, *_) = value_types(field)
    if get_origin(kind) is Literal:
        return get_args(kind)
    entries = field.json_schema_extra
    listed = entries.get("enum", ()) if isinstance(entries, dict) else ()
    return tuple(listed) if isinstance(listed, list) else ()


def value_range(field: FieldInfo) -> tuple[float, float] | None:
    """Return the lowest and highest number accepted, or None for other keys."""
    low = next((mark.ge for mark in field.metadata if isinstance(mark, Ge)), None)
    high = next((mark.le for mark in field.metadata if isinstance(mark, Le)), None)
    return None if low is None or high is None else (low, high)  # type: ignore[return-value]  # bounds are numbers here


def expectation(field: FieldInfo) -> str:
    """Return what the key accepts as a sentence without subject: ``must be a number from 0 to 100 %, or null``."""
    sentence = extra(field, "rule") or f"must be {_noun(field)}"
    return f"{sentence}, or null" if is_nullable(field) else sentence


def _noun(field: FieldInfo) -> str:
    if section_type(field) is not None:
        return "an object"
    listed = choices(field)
    if len(listed) == 1:
        return str(listed[0])
    if listed:
        return "one of " + ", ".join(f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in listed)
    (kind, *_) = value_types(field)
    if kind is bool:
        return "true or false"
    bounds = value_range(field)
    if bounds is not None:
        return _number(kind, bounds, extra(field, "unit"))
    longest = next((mark.max_length for mark in field.metadata if isinstance(mark, MaxLen)), None)
    return "text" if longest is None else f"text of at most {longest} characters"


def _number(kind: object, bounds: tuple[float, float], unit: str) -> str:
    noun = "a whole number" if kind is int else "a number"
    return f"{noun} from {bounds[0]} to {bounds[1]} {unit}".rstrip()
