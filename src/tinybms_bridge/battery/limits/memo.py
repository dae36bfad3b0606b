"""Remembering what follows from the settings alone, so that ten decisions a second do not work it out anew."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["by_settings"]

P = ParamSpec("P")
T = TypeVar("T")

_MOST = 8
"""Settings in use at one time: there is one set, or a few while they change."""


def by_settings(function: Callable[P, T]) -> Callable[P, T]:
    """Remember the last results by the very objects they came from: all are immutable, and costly to hash.

    Arguments are given by place.
    """
    known: dict[tuple[int, ...], tuple[tuple[object, ...], T]] = {}

    @wraps(function)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> T:
        key = tuple(map(id, args))
        entry = known.get(key)
        if entry is None:  # what is known is kept alive, so no other object can have its id
            if len(known) >= _MOST:
                known.clear()
            entry = known[key] = (args, function(*args, **kwargs))
        return entry[1]

    return remembered
