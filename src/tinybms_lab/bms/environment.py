"""What the BMS is wired to: sensors, sense wires, inputs, charger and load, and what they do over time."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tinybms_lab.bms.pack import SimulatedPack

__all__ = [
    "BUILT_IN_PROFILES",
    "Charger",
    "CurrentProfile",
    "Demand",
    "Environment",
    "Segment",
    "Wiring",
    "parse_profile",
]


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


class CurrentProfile:
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


def parse_profile(text: str, *, capacity_ah: float = 100.0) -> CurrentProfile:
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
    return CurrentProfile([_parse_item(item) for item in text.split(",")])


def _parse_item(item: str) -> Segment:
    match = _ITEM.fullmatch(item)
    if match is None:
        names = ", ".join(BUILT_IN_PROFILES)
        raise ValueError(f"{item.strip()!r} is not a profile: use {names}, or seconds:amperes such as 300:-20,300:+30")
    return Segment(float(match["duration"]), float(match["value"]), match["unit"].upper() == "W")


def _built_in(name: str, current_a: float) -> CurrentProfile:
    rest = Segment(_REST_S, 0.0)
    if name == "charge":
        return CurrentProfile([Segment(3600.0, current_a)])
    if name == "discharge":
        return CurrentProfile([Segment(3600.0, -current_a)])
    if name == "idle":
        return CurrentProfile([Segment(3600.0, 0.0)])
    return CurrentProfile([Segment(_CYCLE_S, -current_a), rest, Segment(_CYCLE_S, current_a), rest])


_SENSOR_RANGE_V = 4.5
"""Most that a cell input can read."""

_LOWEST_WIRE_DROP_V = 0.65
"""Without the lowest sense wire the lowest cell reads 0.6 to 0.7 V low (tinybms-protocol.md, 5.8)."""


@dataclass(frozen=True, slots=True)
class Charger:
    """A charger with constant current, then constant voltage.

    Raises:
        ValueError: a value that is negative or not finite.

    """

    current_a: float
    voltage_v: float | None = None
    """Voltage at which it holds the pack; None for a plain current source."""

    def __post_init__(self) -> None:
        for value in (self.current_a, 0.0 if self.voltage_v is None else self.voltage_v):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"a charger gives 0 or more amperes at 0 or more volts, got {value}")

    def offered_a(self, pack: SimulatedPack, load_a: float) -> float:
        """Return the current that it gives to the pack while ``load_a`` flows besides."""
        if self.voltage_v is None:
            return self.current_a
        held_a = (self.voltage_v - pack.resting_voltage_v) / pack.ohmic_ohm - load_a
        return min(max(held_a, 0.0), self.current_a)


@dataclass(frozen=True, slots=True)
class Demand:
    """What would flow through closed switches; positive = into the pack."""

    charger_a: float = 0.0
    """From the charger, 0 or more."""
    load_a: float = 0.0
    """Through the load terminal; positive is regeneration."""
    charger: bool = False
    """A charger is there, whether it gives current or not."""

    def differs(self, other: "Demand", least_a: float) -> bool:
        """Return whether a charger has come or gone, or a current has changed by more than ``least_a``."""
        changes_a = abs(self.charger_a - other.charger_a), abs(self.load_a - other.load_a)
        return self.charger is not other.charger or max(changes_a) > least_a


@dataclass(slots=True)
class Wiring:
    """Sensors, sense wires, inputs and switches."""

    temperature_sensors: list[bool]
    """Which of the two external sensors are connected."""
    broken_wires: set[int] = field(default_factory=set)
    """Sense wires that are open: n leads to the upper end of cell n, 0 to the lower end of the pack."""
    external_current_sensor: bool = False
    """Whether the plug is in."""
    ignition: bool = True
    stuck_load: bool = False
    """The load switch conducts although it is off; in single-port mode the one switch."""
    stuck_charger: bool = False

    def readings_v(self, cells_v: Sequence[float]) -> tuple[float, ...]:
        """Return what the cell inputs read.

        Behind a broken wire the cell below reads 0 and the one above the sum of both, as far as the input reaches.
        """
        if not self.broken_wires:
            return tuple(cells_v)
        readings = list(cells_v)
        for wire in sorted(self.broken_wires):
            if wire == 0:
                readings[0] = max(readings[0] - _LOWEST_WIRE_DROP_V, 0.0)
                continue
            if wire < len(readings):
                readings[wire] += readings[wire - 1]
            readings[wire - 1] = 0.0
        return tuple(min(reading, _SENSOR_RANGE_V) for reading in readings)


class Environment:
    """Everything outside the board.

    Args:
        wiring: what is connected at the start.
        profile: current wanted over time; None for none.

    """

    def __init__(self, wiring: Wiring, profile: CurrentProfile | None = None) -> None:
        self.wiring = wiring
        self.profile = profile
        self._driven_a: float | None = None
        self._charger: Charger | None = None
        self._follows_current = True
        self._seen = False

    def drive(self, current_a: float) -> None:
        """Let this current be wanted from now on, in place of the profile.

        Raises:
            ValueError: the current is not finite.

        """
        if not math.isfinite(current_a):
            raise ValueError(f"a current must be finite, got {current_a} A")
        self._driven_a = current_a

    def connect_charger(self, charger: Charger | None) -> None:
        """Connect this charger, or none; other currents flow through the load terminal from now on."""
        self._charger = charger
        self._follows_current = False

    def charger_follows_current(self) -> None:
        """Take every wanted current into the pack for that of a charger, as at the start.

        The charger then counts as there from the first such current until the pack is discharged.
        """
        self._charger = None
        self._follows_current = True
        self._seen = False

    def demand(self, time_s: float, pack: SimulatedPack, idle_a: float) -> Demand:
        """Return what is wanted at ``time_s``; currents up to ``idle_a`` do not count as a discharge."""
        wanted_a = self._wanted_a(time_s, pack)
        if not self._follows_current:
            charger = self._charger
            offered_a = charger.offered_a(pack, wanted_a) if charger else 0.0
            return Demand(offered_a, wanted_a, charger is not None)
        if wanted_a > 0.0:
            self._seen = True
        elif wanted_a < -idle_a:
            self._seen = False
        return Demand(max(wanted_a, 0.0), min(wanted_a, 0.0), self._seen)

    def steady_for_s(self, time_s: float) -> float:
        """Return for how long the profile wants the same from ``time_s`` on."""
        if self._driven_a is not None or self.profile is None:
            return math.inf
        return self.profile.at(time_s)[1]

    def _wanted_a(self, time_s: float, pack: SimulatedPack) -> float:
        if self._driven_a is not None:
            return self._driven_a
        if self.profile is None:
            return 0.0
        segment, _ = self.profile.at(time_s)
        return segment.current_a(pack.voltage_v) if segment.is_power else segment.value
