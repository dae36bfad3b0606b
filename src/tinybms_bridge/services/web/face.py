"""What the web room sees of the bridge: one protocol, and plain values. The adapter outside this room implements it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from tinybms_bridge.battery.advice import Advice
from tinybms_bridge.battery.alarms import Alarms
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.notices import Notices
from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.battery.view import View
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.link.events import Noted
from tinybms_bridge.link.state import CanState, Inhibit, MonitoredFrame, PartStatus, TraceLine, UartState, WatchdogState
from tinybms_bridge.services.web.face_history import HistorySource
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.actions import ActionName, ActionResult
from tinybms_bridge.tinybms.settings.backup import Backup
from tinybms_bridge.tinybms.settings.plan import Plan
from tinybms_bridge.tinybms.settings.table import Readout
from tinybms_bridge.tinybms.settings.writer import Report

__all__ = [
    "BridgeFace",
    "DeviceSettings",
    "Direction",
    "LogLine",
    "LogPage",
    "LogSource",
    "Picture",
]


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of the battery at one moment."""

    uptime_s: float
    """Seconds since the start of the bridge."""
    at: datetime
    """This moment, UTC."""
    view: View = field(default_factory=View)
    """The battery as it may be shown."""
    alarms: Alarms = field(default_factory=Alarms)
    notices: Notices = field(default_factory=Notices)
    energy: EnergyTotals = field(default_factory=EnergyTotals)
    identity: Identity | None = None
    rejected: int = 0
    """Samples that were not believed."""
    outliers: int = 0
    """Readings of a cell that did not count."""


class LogLine(Protocol):
    """One line of the log; ``str()`` gives it as people read it."""

    @property
    def at(self) -> datetime:
        """When, UTC."""
        ...

    @property
    def level(self) -> str:
        """``DEBUG`` to ``CRITICAL``."""
        ...

    @property
    def source(self) -> str:
        """Name of the logger."""
        ...

    @property
    def text(self) -> str:
        """The message; a traceback follows after a line break."""
        ...

    @property
    def number(self) -> int:
        """Grows from line to line, also over restarts of the bridge."""
        ...


class LogPage(Protocol):
    """Some lines of the log."""

    @property
    def lines(self) -> Sequence[LogLine]:
        """Oldest first."""
        ...

    @property
    def next_cursor(self) -> int:
        """Where the next page begins, also for lines that are yet to come."""
        ...

    @property
    def more(self) -> bool:
        """Whether there are such lines already."""
        ...


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


class BridgeFace(Protocol):
    """The bridge as the web room sees it; called on the event loop; what is not async returns at once."""

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

    def conflicts(self) -> Sequence[str]:
        """Return what in the configuration in force does not fit the battery, in words."""
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
        """The clock of the bridge."""
        ...

    def picture(self) -> Picture:
        """Return what is known of the battery."""
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
