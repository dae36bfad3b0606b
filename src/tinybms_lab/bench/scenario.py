"""One scenario: battery, installation, weather, loads and what goes wrong, for a number of hours.

Its bounds say for a time what has to flow, and what may, in the true battery and on the bus. What goes wrong does so
when the scenario says, and restarts of the bridge come in each charge state.
"""

import math
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Self

from tinybms_bridge.battery.limits import ChargeState, LimitSettings
from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.dirt import Dirt, SensorPlan
from tinybms_lab.bench.weather import ClearSky, Constant, Profile
from tinybms_lab.gx.dvcc import SystemPlan

__all__ = ["Bar", "Bound", "Fault", "FaultKind", "FaultPlayer", "ForeignSource", "Scenario", "UserProfile", "What"]

_FIRST_S = 60.0
"""A run begins with the ramps of a start."""


class What(Enum):
    """What a bound is about: its words and its unit. Limits, and what is above one, are no number in silence."""

    CVL = ("CVL", "V")
    CCL = ("CCL", "A")
    DCL = ("DCL", "A")
    CURRENT = ("current into the battery", "A")
    OVER_CCL = ("current above CCL", "A")
    BELOW_PACK = ("pack above CVL", "V")
    """How far the true voltage of the pack is above CVL: so far a GX that sells may take it down."""
    CHARGED = ("charged", "Ah")
    """In all, from begin to end of the bound."""
    UNSERVED = ("power that the loads do not get", "W")
    SILENT = ("time without frames", "s")
    """In all."""

    def __init__(self, words: str, unit: str) -> None:
        self.words = words
        self.unit = unit

    @property
    def summed(self) -> bool:
        """Whether it is one number for the whole time."""
        return self in (What.CHARGED, What.SILENT)


@dataclass(frozen=True, slots=True)
class Bound:
    """One thing that has to hold; times in seconds after the start of the scenario."""

    what: What
    least: float = -math.inf
    most: float = math.inf
    from_s: float = _FIRST_S
    to_s: float = math.inf
    for_s: float = 0.0
    """It may be outside for so long in a row."""

    def __str__(self) -> str:
        parts = [self.what.words]
        if not math.isinf(self.least):
            parts.append(f"at least {self.least:g} {self.what.unit}")
        if not math.isinf(self.most):
            parts.append(f"at most {self.most:g} {self.what.unit}")
        if self.from_s != _FIRST_S:
            parts.append(f"from {_clock(self.from_s)}")
        if not math.isinf(self.to_s):
            parts.append(f"until {_clock(self.to_s)}")
        if self.for_s:
            parts.append(f"but for {self.for_s:g} s in a row")
        return " ".join(parts)


def _clock(after_s: float) -> str:
    minutes, seconds = divmod(round(after_s), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


class FaultKind(Enum):
    """What goes wrong for a while."""

    BMS_SILENT = "BMS silent"
    """No sample arrives."""
    GX_RESTART = "GX restart"
    """The GX hears nothing and decides nothing."""
    BRIDGE_RESTART = "bridge restart"
    """No frame is sent; what is not saved is forgotten."""
    CAN_DEAD = "CAN dead"
    """The bridge decides on, and no frame reaches the GX."""
    SUSPENDED = "suspended"
    """The machine of the bridge sleeps: no sample, no decision, no frame; then it wakes up with what it had."""
    BMS_FULL = "BMS full"
    """The BMS finds the end of a charge (event 0x63): it counts 100 % and says full. No fault, but it has its time."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    kind: FaultKind
    at_s: float
    """Seconds since midnight of the first day."""
    for_s: float


@dataclass(frozen=True, slots=True)
class ForeignSource:
    """A charger that obeys nobody: a constant current up to a voltage of its own."""

    current_a: float
    until_v: float
    from_s: float = 0.0
    """Seconds after the start of the scenario."""
    to_s: float = math.inf

    def at(self, after_s: float, pack_v: float) -> float:
        """Return its current, so long after the start, with this voltage of the pack."""
        return self.current_a if self.from_s <= after_s < self.to_s and pack_v < self.until_v else 0.0


@dataclass(frozen=True, slots=True)
class UserProfile:
    """What the settings of a scenario ask for, as it has to show in the battery; true states of charge."""

    soc_percent: tuple[float, float] = (-math.inf, math.inf)
    """Bounds for the whole time."""
    soc_end_percent: tuple[float, float] = (-math.inf, math.inf)
    full_charges: int | None = None
    """How often the battery becomes full; None: however often."""


@dataclass(frozen=True, slots=True)
class Bar:
    """How well the battery has to be treated in the long run, where a scenario is long enough to tell."""

    high_h_per_day: float = math.inf
    """Most hours a day with the highest cell at high voltage; balancing days included."""
    high_h_usual_day: float = math.inf
    """The same, on half of the days."""
    count_error_percent: float = math.inf
    """Most that the shown state of charge may be off."""
    count_from_h: float = 0.0
    """So long after the start the count is judged."""
    full_percent: float = 95.0
    """Least true state of charge with which a battery may be shown as full."""
    balanced_after_days: float = math.inf
    """Latest day from which the cells have to be alike."""
    top_percent: float = 0.0
    """Least true state of charge that half of the days reach."""
    empty_trips: int | None = None
    """How often the BMS may switch the loads off; None: however often."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that decides a run; two runs of one scenario are alike."""

    name: str
    title: str
    """What it is about, in one line."""
    battery: BatteryPlan = field(default_factory=BatteryPlan)
    system: SystemPlan = field(default_factory=SystemPlan)
    sun: Profile = field(default_factory=lambda: ClearSky(6000.0))
    """Power that the panels offer, in watts."""
    load: Profile = field(default_factory=lambda: Constant(400.0))
    """Power of the loads, in watts."""
    ambient: Profile = field(default_factory=lambda: Constant(25.0))
    """Degrees Celsius around the cells."""
    start_h: float = 9.0
    hours: float = 4.0
    sensors: SensorPlan = field(default_factory=SensorPlan)
    seed: int = 1
    faults: tuple[Fault, ...] = ()
    dirt: tuple[Dirt, ...] = ()
    """What the line makes of the readings."""
    poll_s: float = 0.1
    """Time between two readings while every reading matters: 0.1 to 1 s."""
    foreign: ForeignSource | None = None
    """A charger of which no GX knows."""
    bounds: tuple[Bound, ...] = ()
    """What has to flow, and what may."""
    restart_in_each_state: bool = False
    """The bridge restarts once in every charge state, one minute after it was entered."""
    expects_float: bool = True
    """Whether the sun is enough for FLOAT."""
    most_short_percent: float = 3.0
    """How much less charge than an ideal charger stores may be in the battery at the end."""
    most_turns_per_h: float = 2.0
    """How often CVL may change direction within an hour of steady state."""
    step_s: float = 1.0
    """Step while anything happens."""
    longest_step_s: float = 10.0
    """Step while nothing happens."""
    settings: LimitSettings = field(default_factory=LimitSettings)
    """Of the engine; the default is a bridge without a line of configuration."""
    excused: tuple[str, ...] = ()
    """Names of violations that the engine cannot help here; the scenario says why."""
    bar: Bar = Bar()
    user_profile: UserProfile | None = None
    """What has to come of settings that are not the default; takes the place of ``most_short_percent``."""

    @property
    def start_s(self) -> float:
        """Time of the first step, in seconds since midnight."""
        return self.start_h * 3600.0

    @property
    def end_s(self) -> float:
        """Time of the end."""
        return self.start_s + self.hours * 3600.0

    def shortened(self, hours: float) -> Self:
        """Return the same scenario, cut off after ``hours``."""
        return replace(self, hours=min(hours, self.hours))


_STAY_S = 60.0
"""A state must have lasted this long before the bridge restarts in it."""
_RESTART_S = 5.0


class FaultPlayer:
    """Tells at any time what is wrong."""

    def __init__(self, scenario: Scenario) -> None:
        self._faults = scenario.faults
        self._each_state = scenario.restart_in_each_state
        self._restarted: set[ChargeState] = set()
        self._state: ChargeState | None = None
        self._since_s = math.inf
        self._restart: Fault | None = None
        self._now: frozenset[FaultKind] = frozenset()
        self._now_s = -math.inf
        self._was_down = False

    def advance(self, now_s: float, state: ChargeState | None) -> None:
        """Move on to ``now_s``, with this charge state on the bus."""
        self._now_s = now_s
        if self._each_state:
            self._watch(now_s, state)
        self._was_down = self.bridge_down
        active = [*self._faults] if self._restart is None else [*self._faults, self._restart]
        self._now = frozenset(f.kind for f in active if f.at_s <= now_s < f.at_s + f.for_s)

    @property
    def active(self) -> bool:
        """Whether anything is wrong, or happens that is not of the weather."""
        return bool(self._now)

    @property
    def bms_full(self) -> bool:
        """Whether the BMS finds the end of a charge."""
        return FaultKind.BMS_FULL in self._now

    @property
    def bms_silent(self) -> bool:
        """Whether no sample arrives."""
        return FaultKind.BMS_SILENT in self._now

    @property
    def gx_down(self) -> bool:
        """Whether the GX is restarting."""
        return FaultKind.GX_RESTART in self._now

    @property
    def bridge_down(self) -> bool:
        """Whether the bridge is restarting."""
        return FaultKind.BRIDGE_RESTART in self._now

    @property
    def can_dead(self) -> bool:
        """Whether no frame reaches the GX."""
        return FaultKind.CAN_DEAD in self._now

    @property
    def suspended(self) -> bool:
        """Whether the machine of the bridge sleeps."""
        return FaultKind.SUSPENDED in self._now

    @property
    def bridge_restarts(self) -> bool:
        """Whether the restart of the bridge has begun just now."""
        return self.bridge_down and not self._was_down

    def next_change_s(self, now_s: float) -> float:
        """Return the next time at which something goes wrong or is mended; infinity for never."""
        times = [time_s for f in self._faults for time_s in (f.at_s, f.at_s + f.for_s) if time_s > now_s]
        return min(times, default=math.inf)

    def _watch(self, now_s: float, state: ChargeState | None) -> None:
        """Restart the bridge in a state that has lasted and has not been tried yet."""
        if state is None:
            return
        if state is not self._state:
            self._state, self._since_s = state, now_s
        if state not in self._restarted and now_s - self._since_s >= _STAY_S:
            self._restarted.add(state)
            self._restart = Fault(FaultKind.BRIDGE_RESTART, now_s, _RESTART_S)
