"""A configuration as JSON values, and back: for other processes, for the API, and for saving.

Reading back needs no checker: each key by itself is judged here as strictly as by ``config.validation``, which also
judges what keys ask of each other, and finds words for every mistake.
"""

from collections.abc import Callable
from copy import deepcopy
from math import inf
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import Entries, Key, keys_of
from tinybms_bridge.config.models.base import Secret, Section
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.words import message

__all__ = ["from_values", "public_values", "values_of"]

S = TypeVar("S", bound=Section)


class _WrongType(Exception):  # noqa: N818 - control flow inside this module
    """A value that its key does not accept."""


def values_of(section: Section) -> dict[str, Any]:
    """Return every value as JSON types, secrets in clear: for files and for processes of this program only."""
    return _values(section, lambda secret: secret.value)


def public_values(section: Section) -> dict[str, Any]:
    """Return every value as JSON types, each secret replaced by ``MASK`` or by an empty text."""
    return _values(section, str)


def _values(section: Section, show: Callable[[Secret], str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in keys_of(type(section)):
        value = getattr(section, name)
        found[name] = _value(value, show)
    return found


def _value(value: object, show: Callable[[Secret], str]) -> object:
    if isinstance(value, Section):
        return _values(value, show)
    if isinstance(value, dict):
        return {name: _value(each, show) for name, each in value.items()}
    return show(value) if isinstance(value, Secret) else deepcopy(value)


def from_values(document: object) -> Configuration:
    """Return the configuration of which ``document`` holds the values; a key that it lacks has its default.

    Raises ConfigError, with each path, for unknown keys and for values that their key does not accept.
    """
    problems: list[ConfigProblem] = []
    found = _section(Configuration, document, "", problems)
    if found is None or problems:
        raise ConfigError(problems, source="configuration values")
    return found


def _section(model: type[S], value: object, path: str, problems: list[ConfigProblem]) -> S | None:
    if not isinstance(value, dict):
        problems.append(ConfigProblem(path, None, message("must_be.object")))
        return None
    keys, prefix = keys_of(model), f"{path}." if path else ""
    unknown = message("config.unknown_key", meant=[])
    problems += [ConfigProblem(f"{prefix}{name}", None, unknown) for name in value if name not in keys]
    given: dict[str, object] = {}
    for name, key in keys.items():
        if name not in value:
            continue
        given[name] = _inner(key, value[name], f"{prefix}{name}", problems)
    return model(**given)


def _inner(key: Key, value: object, path: str, problems: list[ConfigProblem]) -> object:
    """Return what a key holds; None with a problem for what it does not accept."""
    if key.section is not None:
        return _section(key.section, value, path, problems)
    if key.entries is not None and isinstance(value, dict):
        return _entries(key, key.entries, value, path, problems)
    try:
        return _of_key(key, value)
    except (_WrongType, OverflowError):
        problems.append(ConfigProblem(path, None, key.expectation))
    return None


def _entries(
    key: Key, entries: Entries, value: dict[str, object], path: str, problems: list[ConfigProblem]
) -> dict[str, object]:
    found: dict[str, object] = {}
    wrong: list[ConfigProblem] = []
    for name, each in value.items():
        entry = entries.get(name)
        if entry is None:
            wrong.append(ConfigProblem(f"{path}.{name}", None, entries.expectation))
        else:
            found[name] = _inner(entry, each, f"{path}.{name}", wrong)
    if not wrong and not key.meaning.accepts(found):
        wrong.append(ConfigProblem(path, None, key.expectation))
    problems += wrong
    return found


def _of_key(key: Key, value: object) -> object:
    """Return a JSON value as the key has it. Raises _Misfit or OverflowError where the key does not accept it."""
    if key.nullable and value is None:
        return None
    found = _decoded(key.type, value)
    if key.meaning.accepts(found):
        return found
    raise _WrongType


def _decoded(kind: Any, value: Any) -> object:  # noqa: ANN401 - a type expression and any JSON value
    """Return a JSON value as ``kind`` has it. Raises _Misfit where it is of another type."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return _decoded(next((member for member in inner if type(value) is member), None), value)
    if origin is list and isinstance(value, list):
        return [_decoded(inner[0], each) for each in value]
    if origin is dict and isinstance(value, dict):
        return {name: _decoded(inner[1], each) for name, each in value.items()}
    if kind is float and type(value) in (int, float):
        if abs(value) < inf:
            return float(value)
        raise _WrongType
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    if kind is Any or type(value) is kind or (origin is Literal and value in inner):
        return value
    raise _WrongType
