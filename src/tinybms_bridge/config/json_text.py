"""JSON as people write it: every way in which the text of a file can be broken, said with line and column."""

import json
from typing import Any

from tinybms_bridge.config.validation import shown_key
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.words import Message, message

__all__ = ["MAX_BYTES", "MAX_DEPTH", "read_object"]

MAX_BYTES = 1_048_576
"""Longest file that is read."""
MAX_DEPTH = 16
"""Deepest nesting; the configuration needs four."""


def read_object(text: str | bytes, source: str) -> tuple[dict[str, Any], list[ConfigProblem]]:
    """Return the object of a JSON text and the keys that it gives twice.

    Raises ConfigError when there is no object to judge: not UTF-8, not JSON, not an object, too long or too deep.
    """
    duplicates = _Duplicates()
    document = _parse(_decoded(text, source), duplicates, source)
    _check_depth(document, source)
    if not isinstance(document, dict):
        raise _broken(message("config.no_object"), source)
    problems = _strange_texts(document)
    if problems:
        raise ConfigError(problems, source=source)
    return document, duplicates.problems(document)


def _broken(what: Message, source: str) -> ConfigError:
    return ConfigError([ConfigProblem("", None, what)], source=source)


def _decoded(text: str | bytes, source: str) -> str:
    if len(text) > MAX_BYTES:
        raise _broken(message("file.too_long", bytes=len(text), most=MAX_BYTES), source)
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        byte = f"0x{text[error.start]:02X}"
        raise _broken(message("file.not_utf8", byte=byte, line=line), source) from None


def _parse(text: str, duplicates: "_Duplicates", source: str) -> object:
    try:
        document: object = json.loads(text, object_pairs_hook=duplicates.collect)
    except json.JSONDecodeError as error:
        what = message("file.not_json", cause=_cause(error), line=error.lineno, column=error.colno)
        raise _broken(what, source) from None
    except RecursionError:
        raise _broken(message("file.too_deep", most=MAX_DEPTH), source) from None
    except ValueError:
        raise _broken(message("file.endless_number"), source) from None
    return document


def _cause(error: json.JSONDecodeError) -> Message:
    if not error.doc.strip():
        return message("json.empty")
    here = error.doc[error.pos : error.pos + 1]
    if not here:
        return message("json.ends_early")
    if error.msg.startswith("Expecting property name") and here in "}'":
        return message("json.no_quotes" if here == "'" else "json.comma_before_brace")
    return next((cause for start, cause in _CAUSES.items() if error.msg.startswith(start)), message("json.wrong"))


_CAUSES = {
    "Expecting property name": message("json.no_quotes"),
    "Expecting ',' delimiter": message("json.no_comma"),
    "Expecting ':' delimiter": message("json.no_colon"),
    "Expecting value": message("json.no_value"),
    "Illegal trailing comma": message("json.comma_before_bracket"),
    "Extra data": message("json.more_text"),
    "Unterminated string": message("json.not_closed"),
    "Invalid control character": message("json.line_break"),
    "Invalid \\": message("json.backslash"),
}
"""By the beginning of what Python says."""


class _Duplicates:
    """Collects keys that one object gives more than once; the last value counts."""

    def __init__(self) -> None:
        self._found: dict[int, list[str]] = {}

    def collect(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Build an object for the JSON reader."""
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            self._found[id(result)] = [key for key in result if keys.count(key) > 1]
        return result

    def problems(self, document: object, path: tuple[str, ...] = ()) -> list[ConfigProblem]:
        """Return one problem for each such key still in the document, with its path."""
        if not self._found or not isinstance(document, dict):
            return []
        doubled = self._found.get(id(document), [])
        twice = message("file.given_twice")
        found = [ConfigProblem(".".join((*path, shown_key(key))), None, twice) for key in doubled]
        for key, value in document.items():
            found += self.problems(value, (*path, shown_key(key)))
        return found


def _check_depth(document: object, source: str) -> None:
    level: list[object] = [document]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level for inner in _children(value)]
        if not level:
            return
    raise _broken(message("file.too_deep", most=MAX_DEPTH), source)


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _strange_texts(value: object, path: str = "") -> list[ConfigProblem]:
    """Return the places with half of a surrogate pair, which no file can store."""
    if isinstance(value, str):
        return [ConfigProblem(path, None, message("file.half_character"))] if _torn(value) else []
    found: list[ConfigProblem] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            here = f"{path}.{shown_key(key)}" if path else shown_key(key)
            found += [ConfigProblem(here, None, message("file.half_character"))] if _torn(key) else []
            found += _strange_texts(inner, here)
    if isinstance(value, list):
        for inner in value:
            found += _strange_texts(inner, path)
    return found


def _torn(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
