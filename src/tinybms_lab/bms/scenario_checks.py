"""Values of a scenario file: each check returns the value in use, or raises ValueError with what is allowed."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from tinybms_bridge.suggestions import did_you_mean

__all__ = [
    "Check",
    "boolean",
    "by_number",
    "duration_s",
    "list_of",
    "mistake",
    "number",
    "one_of",
    "text",
    "whole",
]

Check: TypeAlias = Callable[[object], Any]
"""Turns a value of the file into the value in use. Raises ValueError."""

_UNITS_S = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)\s*")


def mistake(message: str) -> ValueError:
    """Return the error for a value of any wrong kind: to the writer of a file a wrong type is a wrong value."""
    return ValueError(message)


def number(low: float, high: float, *, scale: float = 1.0) -> Check:
    """Return the check for a number of a range, which is then multiplied by ``scale``."""

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"must be a number of {low:g} to {high:g}")
        return value * scale

    return check


def whole(low: int, high: int) -> Check:
    """Return the check for a whole number of a range."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number of {low} to {high}")
        return value

    return check


def boolean(value: object) -> bool:
    """Return ``true`` or ``false``."""
    if not isinstance(value, bool):
        raise mistake("must be true or false")
    return value


def text(value: object) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text")
    return value


def one_of(choices: Mapping[Any, Any]) -> Check:
    """Return the check for one of the keys; the value in use is what stands behind it."""

    def check(value: object) -> object:
        known = isinstance(value, str | int) and not isinstance(value, bool) and value in choices
        if not known:
            names = ", ".join(str(name) for name in choices)
            raise ValueError(f"must be one of {names}{did_you_mean(value, choices)}")
        return choices[value]

    return check


def list_of(item: Check) -> Check:
    """Return the check for a list whose items pass ``item``."""

    def check(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise mistake("must be a list")
        return tuple(item(entry) for entry in value)

    return check


def by_number(last: int, item: Check) -> Check:
    """Return the check for a table such as ``{ 7 = 12.5 }``, whose keys are 1 to ``last``."""

    def check(value: object) -> dict[int, Any]:
        if not isinstance(value, dict) or not value:
            raise ValueError(f"must be a table with numbers of 1 to {last} as keys, such as {{ 1 = 50 }}")
        found: dict[int, Any] = {}
        for key, entry in value.items():
            if not (key.isdecimal() and 1 <= int(key) <= last):
                raise ValueError(f"key {key!r} must be a number of 1 to {last}")
            found[int(key)] = item(entry)
        return found

    return check


def duration_s(value: object) -> float:
    """Return the seconds of a time such as ``"90s"``, ``"5min"`` or ``"1h 30min"``; a plain number is in seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
        return float(value)
    if isinstance(value, str) and re.fullmatch(f"(?:{_PART.pattern})+", value):
        return sum(float(amount) * _UNITS_S[unit] for amount, unit in _PART.findall(value))
    raise ValueError('must be a time such as "90s", "5min", "2h" or "1h 30min"')
