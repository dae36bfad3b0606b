"""Remembering what follows from the settings alone, so that ten decisions a second do not work it out anew."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.snapshot import Ratings

__all__ = ["by_settings"]

T = TypeVar("T")

_MOST = 8
"""Settings in use at one time: there is one set, or a few while they change."""


def by_settings(function: Callable[[Ratings, LimitSettings], T]) -> Callable[[Ratings, LimitSettings], T]:
    """Remember the last results by the very objects they came from: both are immutable, and costly to hash."""
    known: dict[tuple[int, int], tuple[Ratings, LimitSettings, T]] = {}

    @wraps(function)
    def remembered(ratings: Ratings, settings: LimitSettings) -> T:
        key = id(ratings), id(settings)
        entry = known.get(key)
        if entry is None:  # what is known is kept alive, so no other object can have its id
            if len(known) >= _MOST:
                known.clear()
            entry = known[key] = (ratings, settings, function(ratings, settings))
        return entry[2]

    return remembered
