"""What a service is given: the core as the mirror knows it, and what another service offers it. ``app`` joins them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from tinybms_bridge.battery.advice import Advice
from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.inhibits import Direction, Inhibit
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.quick import quick
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.battery.view import View
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.doctor.findings import Finding
from tinybms_bridge.errors import ConfigProblem
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.devices import FoundDevices
from tinybms_bridge.hal.logs import LogLine
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.link.events import Noted
from tinybms_bridge.link.state import (
    CanState,
    CoreInfo,
    MonitoredFrame,
    PackDetails,
    PartStatus,
    ServiceState,
    TraceLine,
    UartState,
    WatchdogState,
)
from tinybms_bridge.tinybms.found_units import Candidate
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.actions import ActionName, ActionResult
from tinybms_bridge.tinybms.settings.backup import Backup
from tinybms_bridge.tinybms.settings.plan import Plan
from tinybms_bridge.tinybms.settings.table import Readout
from tinybms_bridge.tinybms.settings.writer import Report
from tinybms_bridge.words import Message

__all__ = [
    "SOC_BANDS_PERCENT",
    "TEMPERATURE_BOUNDS_C",
    "Cell",
    "CellExtreme",
    "Core",
    "DayRecord",
    "DeviceSettings",
    "EnergyOfToday",
    "Examination",
    "Exposition",
    "Hearing",
    "HistoryField",
    "HistoryLevel",
    "HistorySource",
    "HistoryState",
    "HistoryView",
    "LogPage",
    "LogSource",
    "MetricsSource",
    "Moment",
    "MonthRecord",
    "Pages",
    "PeriodRecord",
    "WatchedService",
]


@dataclass(frozen=True, slots=True)
class Hearing:
    """Whether the core is heard: without it nothing new is known, and nothing can be asked for."""

    connected: bool
    since_s: float
    """Seconds since it is heard, or since it was heard last."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What the doctor has found, and when."""

    at: datetime
    findings: tuple[Finding, ...]


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
class EnergyOfToday:
    """Energy since midnight in the time zone of the machine."""

    charged_wh: float
    discharged_wh: float
    fresh_s: int
    """Seconds with fresh data."""


SOC_BANDS_PERCENT = tuple(range(0, 100, 10))
"""Lower bounds of the bands of SOC in a record; the last one ends at 100."""

TEMPERATURE_BOUNDS_C = (0, 10, 20, 30, 40, 50)
"""Bounds between the bands of temperature in a record; below the first is one band, from the last on another."""


@quick
@dataclass(frozen=True, slots=True)
class CellExtreme:
    """The lowest or highest cell of a time."""

    voltage_mv: float
    cell: int
    """Its number, from 1."""
    pack: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodRecord:
    """What is kept of a day or adds up to a month; None where nothing is known."""

    charged_kwh: float
    """Into the battery."""
    discharged_kwh: float
    """Out of the battery."""
    recorded_h: float
    """Hours with fresh data: a day with fewer than it has is not complete."""
    hold_h: float | None
    """Hours in which the last values were held."""
    silent_h: float | None
    """Hours in which nothing was sent, for the data was too old."""
    charged_ah: float | None
    discharged_ah: float | None
    cycles: float | None
    """Equivalent full cycles: half of all charge that flowed, in capacities."""
    charging_h: float | None
    discharging_h: float | None
    resting_h: float | None
    soc_bands_h: tuple[float, ...] | None
    """Hours in each band of ``soc_bands_percent``."""
    temperature_bands_h: tuple[float, ...] | None
    """Hours in each band of temperature, by the hottest sensor."""
    alarms: int | None
    """Alarms and notices that rose to level alarm; None for one pack of several."""
    warnings: int | None
    """The same for level warning."""
    voltage_min_v: float | None
    voltage_max_v: float | None
    charge_current_max_a: float | None
    discharge_current_max_a: float | None
    charge_power_max_w: float | None
    discharge_power_max_w: float | None
    soc_min_percent: float | None
    soc_max_percent: float | None
    temperature_min_c: float | None
    temperature_max_c: float | None
    cell_min: CellExtreme | None
    cell_max: CellExtreme | None
    cell_delta_max_mv: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRecord(PeriodRecord):
    """One local day."""

    day: date
    """In the time zone of the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthRecord(PeriodRecord):
    """The days of one month together."""

    month: str
    """For example ``2026-01``."""
    days: int
    """Days that have a record."""


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
    """Why nothing can be written or read, in English; empty while all is well."""
    message: Message | None = None
    """The same by code."""

    def why(self) -> Message | None:
        """Return why nothing can be written or read; None while all is well."""
        return self.message


class HistorySource(Protocol):
    """The history; all but ``today`` and the fields is called in a thread and raises BridgeError for a bad file."""

    @property
    def fields(self) -> Sequence[HistoryField]:
        """Everything that can be asked for."""
        ...

    @property
    def pack_fields(self) -> Sequence[HistoryField]:
        """Everything that can be asked for of one pack."""
        ...

    def view(
        self, from_s: int, to_s: int, names: Sequence[str], *, points: int, step_s: int | None, pack: str | None = None
    ) -> HistoryView:
        """Return the series of these names, such as ``voltage_v.mean``, in at most ``points`` steps or in ``step_s``.

        Of the battery, or of one pack. Raises KeyError for a name that there is not.
        """
        ...

    def packs(self) -> Sequence[str]:
        """Return the names of the packs of which anything is stored."""
        ...

    def days(self, first: date, last: date, pack: str | None = None) -> Iterator[DayRecord]:
        """Return the days that have any data, oldest first, of the battery or of one pack.

        All is read before it returns; who goes on to use one record after the other keeps little in memory.
        """
        ...

    def months(self, first: date, last: date, pack: str | None = None) -> Sequence[MonthRecord]:
        """Return the months of these days, each as a whole, oldest first."""
        ...

    def today(self) -> EnergyOfToday | None:
        """Return the energy since midnight, from memory; None while nothing is recorded. May be called anywhere."""
        ...

    def state(self) -> HistoryState:
        """Return how the history is; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Exposition:
    """What a Prometheus server reads."""

    text: bytes
    media_type: str
    samples: int = 0
    """Values in it."""


class MetricsSource(Protocol):
    """The metrics of the bridge, for who asks at ``/metrics``; called on the event loop, returns at once."""

    @property
    def has_token(self) -> bool:
        """Whether there is a token that may read."""
        ...

    def admits(self, token: str) -> bool:
        """Return whether it is the token; the time that takes tells nothing about it."""
        ...

    def refused(self) -> None:
        """Count somebody who may not read."""
        ...

    def scrape(self, accept: str) -> Callable[[], Exposition]:
        """Count a scrape, and return what makes its text of this moment in a form that ``accept`` names.

        That blocks for some milliseconds.
        """
        ...


@dataclass(frozen=True, slots=True)
class Pages:
    """Where the web server listens now."""

    listen_address: str
    """Empty for every address of the machine."""
    port: int
    encrypted: bool
    """Whether it speaks HTTPS."""


class WatchedService(Protocol):
    """A service that a person may want or not, as pages and API see it."""

    def state(self) -> ServiceState:
        """Return how it stands."""
        ...

    async def test(self) -> Message:
        """Try it once as configured and return what happened. Raises BridgeError with the reason where it fails."""
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
        """Return what an expert would change in the settings of every BMS; empty until they are known."""
        ...

    def device(self, pack: str = "") -> DeviceSettings:
        """Return the settings of the BMS of a pack; the name is needless while there is one."""
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
    def metrics(self) -> MetricsSource | None:
        """What a Prometheus server reads; None while that is off."""
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

    def info(self) -> CoreInfo:
        """Return what the process of the core is, as it said last."""
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
        """Return how the line to the BMS is; of several packs the sums, up while each in service answers."""
        ...

    def can(self) -> CanState:
        """Return how the CAN bus is."""
        ...

    def watchdog(self) -> WatchdogState:
        """Return how the watchdog is fed."""
        ...

    def parts(self) -> Sequence[PartStatus]:
        """Return the supervised parts."""
        ...

    def services(self) -> Mapping[str, WatchedService]:
        """Return the services beside web, history and log, by name, wanted or not."""
        ...

    def events(self) -> Sequence[EventRecord]:
        """Return the event list, oldest first."""
        ...

    def frames(self, after: int = 0) -> Sequence[MonitoredFrame]:
        """Return the remembered CAN frames whose number is above ``after``, oldest first."""
        ...

    async def trace(self, pack: str = "") -> Sequence[TraceLine]:
        """Return the last traffic with the BMS of a pack, oldest first. Raises LinkError."""
        ...

    async def examine(self) -> Examination:
        """Return what the doctor finds now, or found a moment ago; takes seconds."""
        ...

    async def devices(self) -> FoundDevices:
        """Return the serial ports and CAN interfaces of the machine; none is opened for that. Raises LinkError."""
        ...

    async def candidates(self) -> Sequence[Candidate]:
        """Return the serial ports with what answers there, asked now; takes some seconds. Raises LinkError."""
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
