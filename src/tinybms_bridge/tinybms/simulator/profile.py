"""What the simulated pack is charged and discharged with: a repeating list of segments."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["BUILT_IN_PROFILES", "Profile", "Segment", "parse_profile"]

BUILT_IN_PROFILES = ("idle", "cycle", "charge", "discharge")
"""Names that ``parse_profile`` knows."""

_BUILT_IN_RATE = 0.3
_BUILT_IN_MAX_A = 60.0
_CYCLE_S = 900.0
_REST_S = 60.0
_ITEM = re.compile(r"\s*(?P<duration>\d+(?:\.\d+)?)s?\s*:\s*(?P<value>[+-]?\d+(?:\.\d+)?)\s*(?P<unit>[AaWw]?)\s*")


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time at constant current or constant power; positive = into the pack.

    Raises:
        ValueError: a duration that is not above 0, or a load that is not finite.

    """

    duration_s: float
    value: float
    """Amperes, or watts when ``is_power``."""
    is_power: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.duration_s) and self.duration_s > 0):
            raise ValueError(f"a segment must last longer than 0 s, got {self.duration_s}")
        if not math.isfinite(self.value):
            raise ValueError(f"a segment needs a finite load, got {self.value}")

    def current_a(self, voltage_v: float) -> float:
        """Return the current wanted from a pack that now shows ``voltage_v`` (0 from a pack without voltage)."""
        if not self.is_power:
            return self.value
        return self.value / voltage_v if voltage_v > 0 else 0.0


class Profile:
    """Segments one after the other, then again from the first.

    Raises:
        ValueError: no segment.

    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        if not segments:
            raise ValueError("a profile needs at least 1 segment, got 0")
        self.segments = tuple(segments)

    @property
    def period_s(self) -> float:
        """Length of one round."""
        return sum(segment.duration_s for segment in self.segments)

    def at(self, time_s: float) -> tuple[Segment, float]:
        """Return the segment in force at ``time_s`` (from 0) and the seconds, above 0, for which it still holds."""
        into_s = time_s % self.period_s
        for segment in self.segments:
            if into_s < segment.duration_s:
                return segment, segment.duration_s - into_s
            into_s -= segment.duration_s
        return self.segments[0], self.segments[0].duration_s


def parse_profile(text: str, *, capacity_ah: float = 100.0) -> Profile:
    """Return the profile for a built-in name or for text such as ``300:-20,300:+30`` or ``60:-500W``.

    Args:
        text: a name of ``BUILT_IN_PROFILES``, or ``seconds:load`` items separated by commas; a load is in
            amperes, or in watts with the suffix W; positive charges.
        capacity_ah: size of the pack; the built-ins run at 0.3 times it, at most at 60 A.

    Raises:
        ValueError: the text is neither; the message says what is allowed.

    """
    name = text.strip().lower()
    if name in BUILT_IN_PROFILES:
        return _built_in(name, min(_BUILT_IN_RATE * capacity_ah, _BUILT_IN_MAX_A))
    return Profile([_parse_item(item) for item in text.split(",")])


def _parse_item(item: str) -> Segment:
    match = _ITEM.fullmatch(item)
    if match is None:
        names = ", ".join(BUILT_IN_PROFILES)
        raise ValueError(f"{item.strip()!r} is not a profile: use {names}, or seconds:amperes such as 300:-20,300:+30")
    return Segment(float(match["duration"]), float(match["value"]), match["unit"].upper() == "W")


def _built_in(name: str, current_a: float) -> Profile:
    rest = Segment(_REST_S, 0.0)
    if name == "charge":
        return Profile([Segment(3600.0, current_a)])
    if name == "discharge":
        return Profile([Segment(3600.0, -current_a)])
    if name == "idle":
        return Profile([Segment(3600.0, 0.0)])
    return Profile([Segment(_CYCLE_S, -current_a), rest, Segment(_CYCLE_S, current_a), rest])
