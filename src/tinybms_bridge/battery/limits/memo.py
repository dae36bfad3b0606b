"""Remembering what follows from the settings alone, so that ten decisions a second do not work it out anew."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["by_last", "by_settings"]

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

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


def by_last(function: Callable[[A, B], T]) -> Callable[[A, B], T]:
    """Remember the last result by the very two objects it came from: several stages ask the same of one sample."""
    last: tuple[A, B, T] | None = None

    @wraps(function)
    def remembered(first: A, second: B) -> T:
        nonlocal last
        known = last
        if known is None or known[0] is not first or known[1] is not second:
            known = last = (first, second, function(first, second))
        return known[2]

    return remembered
