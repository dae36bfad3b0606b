"""JSON as people write it: every way in which the text of a file can be broken, said with line and column."""

import json
from typing import Any

from tinybms_bridge.config.validation import shown_key
from tinybms_bridge.errors import ConfigError, ConfigProblem

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
        raise _broken("must be a JSON object ({...}) with one entry for each section", source)
    problems = _strange_texts(document)
    if problems:
        raise ConfigError(problems, source=source)
    return document, duplicates.problems(document)


def _broken(message: str, source: str) -> ConfigError:
    return ConfigError([ConfigProblem("", None, message)], source=source)


def _decoded(text: str | bytes, source: str) -> str:
    if len(text) > MAX_BYTES:
        raise _broken(f"is {len(text)} bytes long, more than the {MAX_BYTES} of a configuration", source)
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        byte = text[error.start]
        raise _broken(f"is not UTF-8 text: byte 0x{byte:02X} in line {line}; save the file as UTF-8", source) from None


def _parse(text: str, duplicates: "_Duplicates", source: str) -> object:
    try:
        document: object = json.loads(text, object_pairs_hook=duplicates.collect)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _broken(f"is not JSON: {_cause(error)} at {where}", source) from None
    except RecursionError:
        raise _broken(f"is nested deeper than {MAX_DEPTH} levels", source) from None
    except ValueError:
        raise _broken("contains a number with thousands of digits", source) from None
    return document


def _cause(error: json.JSONDecodeError) -> str:
    if not error.doc.strip():
        return "the text is empty"
    here = error.doc[error.pos : error.pos + 1]
    if not here:
        return "the text ends too early"
    if error.msg.startswith("Expecting property name") and here in "}'":
        return "a key in double quotes is expected" if here == "'" else "a comma before a closing brace is not allowed"
    causes = {
        "Expecting property name": "a key in double quotes is expected",
        "Expecting ',' delimiter": "a comma or a closing bracket is missing",
        "Expecting ':' delimiter": "a colon is missing after a key",
        "Expecting value": "a value is missing",
        "Illegal trailing comma": "a comma before a closing bracket is not allowed",
        "Extra data": "there is more text after the end of the object",
        "Unterminated string": "a text is not closed with a double quote",
        "Invalid control character": "a text contains a line break or tab; write \\n or \\t",
        "Invalid \\": "a backslash must be written twice",
    }
    return next((words for start, words in causes.items() if error.msg.startswith(start)), "something is not JSON")


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
        found = [ConfigProblem(".".join((*path, shown_key(key))), None, "is given more than once") for key in doubled]
        for key, value in document.items():
            found += self.problems(value, (*path, shown_key(key)))
        return found


def _check_depth(document: object, source: str) -> None:
    level: list[object] = [document]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level for inner in _children(value)]
        if not level:
            return
    raise _broken(f"is nested deeper than {MAX_DEPTH} levels", source)


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _strange_texts(value: object, path: str = "") -> list[ConfigProblem]:
    """Return the places with half of a surrogate pair, which no file can store."""
    if isinstance(value, str):
        return [ConfigProblem(path, None, "contains half a character (a lone \\uD8xx escape)")] if _torn(value) else []
    found: list[ConfigProblem] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            here = f"{path}.{shown_key(key)}" if path else shown_key(key)
            found += [ConfigProblem(here, None, "contains half a character")] if _torn(key) else []
            found += _strange_texts(inner, here)
    if isinstance(value, list):
        for inner in value:
            found += _strange_texts(inner, path)
    return found


def _torn(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
