"""What a service is given: the core as the mirror knows it, and what another service offers it. ``app`` joins them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from tinybms_bridge.battery.advice import Advice
from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.inhibits import Direction, Inhibit
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.battery.view import View
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.errors import ConfigProblem
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.logs import LogLine
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.link.events import Noted
from tinybms_bridge.link.state import (
    CanState,
    EnergyToday,
    MonitoredFrame,
    PackDetails,
    PartStatus,
    TraceLine,
    UartState,
    WatchdogState,
)
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.actions import ActionName, ActionResult
from tinybms_bridge.tinybms.settings.backup import Backup
from tinybms_bridge.tinybms.settings.plan import Plan
from tinybms_bridge.tinybms.settings.table import Readout
from tinybms_bridge.tinybms.settings.writer import Report

__all__ = [
    "Cell",
    "Core",
    "DayEnergy",
    "DeviceSettings",
    "Hearing",
    "HistoryField",
    "HistoryLevel",
    "HistorySource",
    "HistoryState",
    "HistoryView",
    "LogPage",
    "LogSource",
    "Moment",
]


@dataclass(frozen=True, slots=True)
class Hearing:
    """Whether the core is heard: without it nothing new is known, and nothing can be asked for."""

    connected: bool
    since_s: float
    """Seconds since it is heard, or since it was heard last."""


_HEARD = Hearing(connected=True, since_s=0.0)


@dataclass(frozen=True, slots=True)
class Moment:
    """The battery at one moment: its state, and what of it may be shown then."""

    battery: BatteryState
    """As it was last heard of."""
    view: View
    at: datetime
    """This moment, UTC."""
    packs: Mapping[str, View] = field(default_factory=dict)
    """What may be shown of each pack, by name."""
    hearing: Hearing = _HEARD
    """Whether the core is heard now."""

    @classmethod
    def of(cls, battery: BatteryState, clock: Clock, hearing: Hearing = _HEARD) -> "Moment":
        """Return the present moment; without ``hearing`` the core counts as heard."""
        now_s = clock.monotonic()
        views = battery.view(now_s), clock.wall(), battery.pack_views(now_s)
        return cls(battery, *views, hearing)

    def active(self) -> Mapping[AlarmName | NoticeName, AlarmLevel]:
        """Return the alarms and notices in force; while the core is not heard only that is known."""
        return self.last_active() if self.hearing.connected else {NoticeName.CORE_UNREACHABLE: AlarmLevel.ALARM}

    def last_active(self) -> Mapping[AlarmName | NoticeName, AlarmLevel]:
        """Return the alarms and notices that were in force when the core was last heard."""
        found: list[tuple[AlarmName | NoticeName, AlarmLevel]] = [*self.battery.alarms.active().items()]
        return dict([*found, *self.battery.notices.active().items()])


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines of the log, oldest first."""

    lines: tuple[LogLine, ...]
    next_cursor: int
    """For the lines that follow, also for those that are yet to come."""
    more: bool = False
    """Whether there are such lines already."""


class LogSource(Protocol):
    """The log that people read in the browser; its methods are called in a thread."""

    def read(self, limit: int, cursor: int | None, level: str | None, since: datetime | None, hidden: str) -> LogPage:
        """Return up to ``limit`` lines whose source is not ``hidden``: the latest, or with a cursor those after it."""
        ...

    def clear(self) -> None:
        """Forget every line and remove the files of the log. Raises OSError."""
        ...


class DeviceSettings(Protocol):
    """The settings of a BMS; every method raises LinkError or DeviceRefused, and SettingsError for wrong values."""

    async def read(self) -> Readout:
        """Return all that the BMS says of its settings."""
        ...

    async def plan(self, wanted: Mapping[str, Any]) -> Plan:
        """Return what writing these values, by name of setting, would do."""
        ...

    async def apply(self, wanted: Mapping[str, Any], seen: Plan, *, confirm: bool, by: str) -> Report:
        """Write values as somebody has seen them in a plan. Raises ConfirmationError, StaleSettingsError."""
        ...

    async def plan_backup(self, backup: Backup, *, force: bool) -> Plan:
        """Return what restoring a backup would do."""
        ...

    async def apply_backup(self, backup: Backup, seen: Plan, *, force: bool, confirm: bool, by: str) -> Report:
        """Restore a backup; otherwise as ``apply``."""
        ...

    async def perform(self, action: ActionName, value: RegisterValue = None, *, confirm: bool, by: str) -> ActionResult:
        """Let the BMS do something once. Raises ConfirmationError."""
        ...


Cell = float | int | str | None
"""One value; None where nothing is known."""


@dataclass(frozen=True, slots=True)
class HistoryField:
    """Something that can be asked for."""

    name: str
    """For example ``voltage_v``."""
    unit: str
    """Empty for none."""
    text: str
    """What it is."""
    series: tuple[str, ...]
    """For example ``mean``."""


class HistoryView(Protocol):
    """The values of some series over a time; reading them blocks."""

    @property
    def step_s(self) -> int:
        """Length of a step."""
        ...

    @property
    def times(self) -> range:
        """Beginning of each step, seconds since 1970."""
        ...

    def columns(self) -> list[list[Cell]]:
        """Return a list for each series, with None where nothing is known."""
        ...

    def lines(self, size: int) -> Iterator[list[tuple[int, tuple[Cell, ...]]]]:
        """Yield the steps that are stored, in pieces that are read one by one."""
        ...


@dataclass(frozen=True, slots=True)
class DayEnergy(EnergyToday):
    """Energy of one day in the time zone of the machine; one with fewer hours of fresh data is not complete."""

    day: date


@dataclass(frozen=True, slots=True)
class HistoryLevel:
    """One resolution."""

    step_s: int
    kept_days: int
    """Days of recorded time that are kept."""
    rows: int = 0
    """Steps that are stored."""
    oldest: datetime | None = None
    """None where nothing is stored."""
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class HistoryState:
    """How the history is; counters since the start."""

    enabled: bool = True
    """Whether it records."""
    path: str = ""
    """The file; empty for none."""
    bytes: int = 0
    """Size of its files."""
    levels: tuple[HistoryLevel, ...] = ()
    """Finest first."""
    written_batches: int = 0
    """Batches of a minute, as the two that follow."""
    waiting_batches: int = 0
    lost_batches: int = 0
    waits_for_clock: bool = False
    """Whether what is recorded waits in memory for the clock of the machine to be set."""
    lost_undated_steps: int = 0
    error: str = ""
    """Why nothing can be written or read; empty while all is well."""


class HistorySource(Protocol):
    """The history; all but ``fields`` is called in a thread and raises BridgeError when the file cannot be read."""

    @property
    def fields(self) -> Sequence[HistoryField]:
        """Everything that can be asked for."""
        ...

    def view(self, from_s: int, to_s: int, names: Sequence[str], *, points: int, step_s: int | None) -> HistoryView:
        """Return the series of these names, such as ``voltage_v.mean``, in at most ``points`` steps or in ``step_s``.

        Raises KeyError for a name that there is not.
        """
        ...

    def days(self, first: date, last: date) -> Sequence[DayEnergy]:
        """Return the days that have any data, oldest first."""
        ...

    def state(self) -> HistoryState:
        """Return how the history is; never raises."""
        ...


class Core(Protocol):
    """The core as the services see it; called on the event loop; what is not async returns at once."""

    @property
    def version(self) -> str:
        """Version of the program."""
        ...

    @property
    def bus(self) -> Bus:
        """Where the parts publish."""
        ...

    @property
    def store(self) -> ConfigStore:
        """The configuration; its methods are called in a thread."""
        ...

    def conflicts(self) -> Sequence[ConfigProblem]:
        """Return what in the configuration in force does not fit the battery."""
        ...

    def advice(self) -> Sequence[Advice]:
        """Return what an expert would change in the settings of the BMS; empty until they are known."""
        ...

    @property
    def device_settings(self) -> DeviceSettings:
        """The settings of the BMS."""
        ...

    @property
    def logs(self) -> LogSource:
        """The recent log."""
        ...

    @property
    def history(self) -> HistorySource:
        """What the battery did."""
        ...

    @property
    def clock(self) -> Clock:
        """The clock of this process."""
        ...

    @property
    def uptime_s(self) -> float:
        """Seconds since the start of the core; 0 before it was heard."""
        ...

    def moment(self) -> Moment:
        """Return the battery now."""
        ...

    def hearing(self) -> Hearing:
        """Return whether the core is heard; lines, outputs and parts are down for who does not hear of them."""
        ...

    def packs(self) -> Mapping[str, PackDetails]:
        """Return what is known of each pack beside what it measures, by name."""
        ...

    def outputs(self) -> Mapping[str, CanState]:
        """Return how each output is, by name."""
        ...

    def uart(self) -> UartState:
        """Return how the line to the BMS is."""
        ...

    def can(self) -> CanState:
        """Return how the CAN bus is."""
        ...

    def device_statistics(self) -> DeviceStatistics | None:
        """Return what the BMS has counted, as last read."""
        ...

    def watchdog(self) -> WatchdogState:
        """Return how the watchdog is fed."""
        ...

    def parts(self) -> Sequence[PartStatus]:
        """Return the supervised parts."""
        ...

    def events(self) -> Sequence[EventRecord]:
        """Return the event list, oldest first."""
        ...

    def frames(self, after: int = 0) -> Sequence[MonitoredFrame]:
        """Return the remembered CAN frames whose number is above ``after``, oldest first."""
        ...

    async def trace(self) -> Sequence[TraceLine]:
        """Return the last traffic with the BMS, oldest first. Raises LinkError."""
        ...

    def inhibits(self) -> Sequence[Inhibit]:
        """Return what is stopped by hand now."""
        ...

    async def inhibit(self, direction: Direction, duration_s: float | None, reason: str, by: str) -> Inhibit:
        """Stop a direction until released or for ``duration_s``, in place of an earlier stop of it, and save that.

        Raises OSError when it is in force but could not be saved.
        """
        ...

    async def release(self, direction: Direction) -> bool:
        """End a stop and save that, and for discharging a pause of the bridge; False when there was neither.

        Raises OSError when it could not be saved.
        """
        ...

    async def reset_statistics(self) -> None:
        """Set the counters of UART, samples, CAN and bus to zero; the energy counters stay."""
        ...

    async def restart(self, part: str | None) -> None:
        """Restart a supervised part soon, or the whole program. Raises KeyError for a part that there is not."""
        ...

    def note(self, event: Noted) -> None:
        """Have the core write into its event list what happened here."""
        ...
