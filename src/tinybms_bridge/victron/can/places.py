"""Where extremes are, in the eight characters that frames 0x374 to 0x377 have for it."""

import math
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

from tinybms_bridge.battery.snapshot import Temperatures
from tinybms_bridge.battery.state import BatteryState

__all__ = ["cell_text", "sensors_by_text", "short_names"]

_SHORT = 4
"""Characters for the pack: a blank and ``C07`` take the other four."""

_Words: TypeAlias = tuple[str, ...]


def cell_text(state: BatteryState, number: int) -> str:
    """Return the name of a cell of the battery's snapshot: ``CELL 07``, of several packs ``a C07``."""
    place = state.place_of(number)
    return f"{_short(state, place.pack)} C{place.cell:02d}" if place.pack else f"CELL {place.cell:02d}"


def sensors_by_text(state: BatteryState) -> dict[str, float]:
    """Return the sensors that stand for the cells, by their name; a board's own only as a stand-in in its pack.

    They are ``SENSOR 1``, ``SENSOR 2`` and ``INTERNAL``, of several packs ``a T1``, ``a T2`` and ``a INT``.
    """
    if not state.members:
        return _sensors(state.snapshot.temperatures, ("SENSOR 1", "SENSOR 2", "INTERNAL"))
    found: dict[str, float] = {}
    for name in state.members:
        latest = state.packs[name].latest
        if latest is not None:
            short = _short(state, name)
            found |= _sensors(latest.temperatures, (f"{short} T1", f"{short} T2", f"{short} INT"))
    return found


def _sensors(temperatures: Temperatures, names: tuple[str, str, str]) -> dict[str, float]:
    first, second, internal = names
    external = {first: temperatures.external_1_c, second: temperatures.external_2_c}
    for candidates in (external, {internal: temperatures.internal_c}):
        found = {name: value for name, value in candidates.items() if value is not None and math.isfinite(value)}
        if found:
            return found
    return {}


def _short(state: BatteryState, name: str) -> str:
    return short_names(tuple(state.packs))[name]


@lru_cache(maxsize=16)
def short_names(names: tuple[str, ...]) -> dict[str, str]:
    """Return a name of one to four characters for each pack, no two alike, by one rule for all that are longer.

    A name of up to four characters stays. Longer ones are all cut in the first of these ways that keeps every pack
    apart from each other one: their beginning (``left``, ``righ``); the initials of their words, with a number
    (``pack-01`` is ``p01``, ``garage left`` is ``gl``); their first two and last two characters; their last four.
    Where none does, every pack has the first two characters of its name and its place in the configuration
    (``pa07``). Only letters and digits of ASCII count: a GX shows no others.
    """
    words = [_words(name) for name in names]
    for way in _WAYS:
        cut = ["".join(each) if len("".join(each)) <= _SHORT else way(each) for each in words]
        if all(0 < len(each) <= _SHORT for each in cut) and len({each.lower() for each in cut}) == len(cut):
            return dict(zip(names, cut, strict=True))
    numbered = (f"{''.join(each)[:2]}{place:02d}" for place, each in enumerate(words, start=1))
    return dict(zip(names, numbered, strict=True))


def _words(name: str) -> _Words:
    """Return words and numbers of a name, without accents and anything else that is no ASCII."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    return tuple(re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", ascii_name))


def _initials(words: _Words) -> str:
    return "".join(word if word.isdigit() else word[0] for word in words)


_WAYS: Final[tuple[Callable[[_Words], str], ...]] = (
    lambda words: "".join(words)[:_SHORT],
    _initials,
    lambda words: "".join(words)[:2] + "".join(words)[-2:],
    lambda words: "".join(words)[-_SHORT:],
)
