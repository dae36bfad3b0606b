"""A bridge that does what the test says, behind the web application, and clients of it."""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, get_args

import httpx
import pytest
from fastapi import FastAPI

from tinybms_bridge.battery.advice import Advice
from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.inhibits import Direction, Inhibit
from tinybms_bridge.battery.limits import ChargeState, Freshness, LimitCode, Limits, Quantity, Reason
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, Identity, PackValues, Snapshot, Temperatures
from tinybms_bridge.battery.state import MAIN_PACK, BatteryState, PackState
from tinybms_bridge.battery.view import View
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.doctor.findings import Finding
from tinybms_bridge.errors import ConfigProblem, DeviceRefused, LinkError
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.devices import FoundDevices, SerialDevice
from tinybms_bridge.hal.logs import LogLine
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.hal.watchdog import FeedIntervals, PartProgress
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.link.events import Noted
from tinybms_bridge.link.last_reset import LastReset
from tinybms_bridge.link.state import (
    CanState,
    CoreInfo,
    MonitoredFrame,
    PackDetails,
    PartStatus,
    TraceLine,
    UartState,
    WatchdogState,
)
from tinybms_bridge.services.ports import (
    Cell,
    CellExtreme,
    DayRecord,
    EnergyOfToday,
    Examination,
    Exposition,
    Hearing,
    HistoryField,
    HistoryLevel,
    HistoryState,
    LogPage,
    Moment,
    MonthRecord,
    WatchedService,
)
from tinybms_bridge.services.web.accounts import Role
from tinybms_bridge.services.web.app import create_app
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.routes import ROUTERS
from tinybms_bridge.services.web.security import Admin, User, Via, Viewer
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics
from tinybms_bridge.tinybms.found_units import Candidate
from tinybms_bridge.tinybms.frames import (
    Ack,
    ActionRequest,
    CommandCode,
    ReadModbus,
    RegistersReply,
    Reply,
    Request,
    WriteDone,
    WriteModbus,
    from_float,
    from_u32,
)
from tinybms_bridge.tinybms.settings import BmsSettings
from tinybms_bridge.tinybms.settings.actions import ActionName, ActionResult
from tinybms_bridge.tinybms.settings.backup import Backup, restore_plan
from tinybms_bridge.tinybms.settings.plan import Plan
from tinybms_bridge.tinybms.settings.table import Readout
from tinybms_bridge.tinybms.settings.writer import Report
from tinybms_lab.testing.fake_clock import FakeClock

DELIVERED = (
    3600, 2800, 0, 3400, 2000, 180, 10000, 16, 15, 0, 20, 5, 1, 0, 2, 3750, 2500, 150, 100, 60, 1, 80, 1000, 0xFFFF,
    0, 0, 0, 0, 0xFFFF, 0, 1, 0, 5, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
)  # fmt: skip
"""Registers 300 to 343 of a rested 16-cell LFP pack."""


class InstantClock(FakeClock):
    """Sleeping takes no time but moves the clock; for the settings of the BMS."""

    async def sleep(self, delay_s: float) -> None:
        self._now_s += max(0.0, delay_s)


class FakeBms:
    """Implements ``Link``: holds registers, refuses 0x1D, and answers nothing while ``silent``."""

    def __init__(self) -> None:
        self.words = list(DELIVERED)
        self.silent = False
        self.refuses_writes = False
        self.nameless = False
        self.reads = 0
        self.actions: list[ActionRequest] = []
        live = [33000] * 16 + [0] * 16 + [*from_u32(1000), 0, 0, *from_float(52.8), *from_float(0.0), 3300, 3300]
        self.live = [*live, 250, 0x8000, 0, 50000, *from_u32(60_000_000), 250, 0, 0x91, 0, 0, 16, 0, 0]

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Keep the line."""
        yield

    async def request(self, request: Request, *, attempts: int | None = None) -> Reply:
        """Answer one request."""
        if self.silent:
            raise LinkError("the BMS did not answer within 300 ms")
        if isinstance(request, ReadModbus) and not (self.nameless and request.address == 500):
            self.reads += 1
            table = {0: self.live, 300: self.words, 500: [0x0102, 0x0301, 254, 0x0418, *range(0x4D00, 0x4D06)]}
            base = max(start for start in table if start <= request.address)
            found = table[base][request.address - base :][: request.count]
            return RegistersReply(CommandCode.READ_MODBUS, tuple(found))
        if isinstance(request, WriteModbus) and not self.refuses_writes:
            start = request.address - 300
            self.words[start : start + len(request.values)] = request.values
            return WriteDone(request.address, len(request.values))
        if isinstance(request, ActionRequest):
            self.actions.append(request)
            return Ack(CommandCode.ACTION)
        raise DeviceRefused(CommandCode.SETTINGS, 0)


@dataclass
class FakeLogs:
    """A log in memory; remembers what it was asked for."""

    lines: list[LogLine] = field(default_factory=list)
    asked: list[tuple[int, int | None, str | None, datetime | None]] = field(default_factory=list)

    def write(self, level: str, text: str, source: str = "test") -> None:
        """Add a line."""
        at = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.lines.append(LogLine(at, level, source, text, len(self.lines) + 1))

    def read(self, limit: int, cursor: int | None, level: str | None, since: datetime | None, hidden: str) -> LogPage:
        """See ``LogSource.read``."""
        self.asked.append((limit, cursor, level, since))
        found = [
            line
            for line in self.lines
            if line.number > (cursor or 0)
            and level in {None, line.level}
            and (since is None or line.at >= since)
            and line.source != hidden
        ]
        page = found[:limit]
        return LogPage(tuple(page), page[-1].number if page else 0, len(found) > len(page))

    def clear(self) -> None:
        """See ``LogSource.clear``."""
        self.lines.clear()


@dataclass(frozen=True)
class FakeView:
    """Values in steps; every third step is a gap."""

    times: range
    names: Sequence[str]

    @property
    def step_s(self) -> int:
        """See ``HistoryView``."""
        return self.times.step

    def columns(self) -> list[list[Cell]]:
        """See ``HistoryView``."""
        return [[None if step % 3 == 2 else self._cell(name, step) for step in self._steps()] for name in self.names]

    def lines(self, size: int) -> Iterator[list[tuple[int, tuple[Cell, ...]]]]:
        """See ``HistoryView``."""
        for first in range(0, len(self.times), size):
            steps = [step for step in self._steps()[first : first + size] if step % 3 != 2]
            yield [(self.times[step], tuple(self._cell(name, step) for name in self.names)) for step in steps]

    def _steps(self) -> range:
        return range(len(self.times))

    @staticmethod
    def _cell(name: str, step: int) -> Cell:
        return "BULK" if name.startswith("charge_state") else step + 0.5


_EMPTY = tuple(HistoryLevel(step_s, days) for step_s, days in ((10, 2), (60, 14), (900, 730)))


def day_record(
    day: date, charged_kwh: float = 7.5, discharged_kwh: float = 6.25, recorded_h: float = 24.0
) -> DayRecord:
    """Return the record of a day; None for all but its energy and its cells."""
    known: dict[str, Any] = dict.fromkeys(each.name for each in fields(DayRecord))
    known |= {"charged_kwh": charged_kwh, "discharged_kwh": discharged_kwh, "recorded_h": recorded_h, "day": day}
    known |= {"cell_min": CellExtreme(3201.5, 3, "main"), "soc_bands_h": (*[0.0] * 9, 24.0), "alarms": 1}
    return DayRecord(**known)


def _moment(time_s: int | None) -> datetime | None:
    return None if time_s is None else datetime.fromtimestamp(time_s, UTC)


class FakeHistory:
    """A history with a value for each step; remembers what it was asked for."""

    def __init__(self) -> None:
        self.fields = [
            HistoryField("voltage_v", "V", "Voltage", ("mean", "min", "max")),
            HistoryField("soc_percent", "%", "State of charge", ("mean", "min", "max")),
            HistoryField("charge_state", "", "Charge state", ("last",)),
        ]
        self.asked: list[tuple[int, int, int, int | None]] = []
        self.pack_fields = self.fields[:2]
        self.known_packs: list[str] = []
        self.packs_asked: list[str | None] = []
        self.days_asked: list[tuple[date, date]] = []
        self.broken: Exception | None = None
        self.now = HistoryState(path="/state/history.db", levels=_EMPTY, written_batches=3)
        self.energy_of_today: EnergyOfToday | None = EnergyOfToday(4200.0, 1300.5, 3600)

    def view(
        self, from_s: int, to_s: int, names: Sequence[str], *, points: int, step_s: int | None, pack: str | None = None
    ) -> FakeView:
        """See ``HistorySource``."""
        self.packs_asked.append(pack)
        if self.broken is not None:
            raise self.broken
        self.asked.append((from_s, to_s, points, step_s))
        step_s = step_s or max(10, -(-(to_s - from_s) // points))
        return FakeView(range(from_s - from_s % step_s, -(-to_s // step_s) * step_s, step_s), names)

    def packs(self) -> Sequence[str]:
        """See ``HistorySource``."""
        return self.known_packs

    def days(self, first: date, last: date, pack: str | None = None) -> Iterator[DayRecord]:
        """See ``HistorySource``."""
        if self.broken is not None:
            raise self.broken
        self.packs_asked.append(pack)
        self.days_asked.append((first, last))
        return iter([day_record(first), day_record(last, 1.0, 2.0, 3.5)])

    def months(self, first: date, last: date, pack: str | None = None) -> Sequence[MonthRecord]:
        """See ``HistorySource``."""
        values = asdict([*self.days(first, last, pack)][1])
        del values["day"]
        return [MonthRecord(**values | {"month": f"{last:%Y-%m}", "days": 1, "cell_min": None})]

    def today(self) -> EnergyOfToday | None:
        """See ``HistorySource``."""
        return self.energy_of_today

    def store(self, size: int, *levels: tuple[int, int, int | None, int | None]) -> None:
        """Have something stored: step, rows, oldest, newest."""
        stored = {
            step_s: replace(each, rows=rows, oldest=_moment(oldest_s), newest=_moment(newest_s))
            for each in _EMPTY
            for step_s, rows, oldest_s, newest_s in levels
            if step_s == each.step_s
        }
        found = tuple(stored.get(each.step_s, each) for each in _EMPTY)
        self.now = replace(self.now, bytes=size, levels=found)

    def state(self) -> HistoryState:
        """See ``HistorySource``."""
        return self.now


class FakeDevice:
    """The settings of a simulated BMS as the core does what the web asks of it."""

    def __init__(self, settings: BmsSettings) -> None:
        self._settings = settings
        self.by: list[str] = []

    async def read(self) -> Readout:
        """See ``DeviceSettings``."""
        return await self._settings.read()

    async def plan(self, wanted: Mapping[str, Any]) -> Plan:
        """See ``DeviceSettings``."""
        return await self._settings.plan(wanted)

    async def apply(self, wanted: Mapping[str, Any], seen: Plan, *, confirm: bool, by: str) -> Report:
        """See ``DeviceSettings``."""
        assert set(wanted) == {each.setting.name for each in (*seen.changes, *seen.unchanged)}
        self.by.append(by)
        return await self._settings.apply(seen, confirm=confirm)

    async def plan_backup(self, backup: Backup, *, force: bool) -> Plan:
        """See ``DeviceSettings``."""
        return restore_plan(backup, await self._settings.read(), force=force)

    async def apply_backup(self, backup: Backup, seen: Plan, *, force: bool, confirm: bool, by: str) -> Report:
        """See ``DeviceSettings``."""
        del backup, force
        self.by.append(by)
        return await self._settings.apply(seen, confirm=confirm)

    async def perform(self, action: ActionName, value: Any = None, *, confirm: bool, by: str) -> ActionResult:
        """See ``DeviceSettings``."""
        self.by.append(by)
        return await self._settings.perform(action, value, confirm=confirm)


class FakeMetrics:
    """Implements ``MetricsSource``: says what it was asked for."""

    def __init__(self, token: str = "") -> None:
        self.token = token
        self.refusals = 0
        self.scrapes: list[str] = []
        self.text = b"# HELP tinybms_core_up 1 while the core is heard.\n" * 40

    @property
    def has_token(self) -> bool:
        """See ``MetricsSource``."""
        return bool(self.token)

    def admits(self, token: str) -> bool:
        """See ``MetricsSource``."""
        return bool(self.token) and token == self.token

    def refused(self) -> None:
        """See ``MetricsSource``."""
        self.refusals += 1

    def scrape(self, accept: str) -> Callable[[], Exposition]:
        """See ``MetricsSource``."""
        self.scrapes.append(accept)
        return lambda: Exposition(self.text, f"text/plain; version=0.0.4; charset=utf-8; asked={len(accept)}")


class FakeCore:
    """Implements ``Core`` with values that a test may replace."""

    version = "1.2.3"

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.bus = Bus(clock.monotonic, clock.wall)
        self.storage = MemoryStorage()
        self.store = ConfigStore(self.storage)
        self.bms = FakeBms()
        self.device_settings = FakeDevice(BmsSettings(self.bms, InstantClock()))
        self.logs = FakeLogs()
        self.history = FakeHistory()
        self.metrics: FakeMetrics | None = FakeMetrics()
        self.uptime_s = 3600.0
        self.heard = Hearing(connected=True, since_s=3600.0)
        self.now = Moment.of(BatteryState(), clock)
        self.uart_figures = UartState(up=True, polls=100, success=98, errors=2, latency_avg_ms=15.5)
        self.can_figures = CanState(up=True, tx_count=50, tx_errors=1, gx_state="present")
        self.statistics: DeviceStatistics | None = None
        self.event_list: list[EventRecord] = []
        self.seen_frames: list[MonitoredFrame] = []
        self.stops: dict[Direction, Inhibit] = {}
        self.disk_full = False
        self.unfit: list[ConfigProblem] = []
        self.advised: list[Advice] = []
        self.resets = 0
        self.restarts: list[str | None] = []
        self.moments_taken = 0
        self.examinations = 0
        self.found: list[Finding] = []
        self.watched: dict[str, WatchedService] = {}
        self.at_ports: list[Candidate] = []
        """At the serial ports."""
        self.packs_asked: list[str] = []
        self.traffic = [TraceLine(0.5, "tx", "AA 03"), TraceLine(0.48, "rx", "AA 03 01")]

    def conflicts(self) -> Sequence[ConfigProblem]:
        """See ``Core``."""
        return self.unfit

    def advice(self) -> Sequence[Advice]:
        """See ``Core``."""
        return self.advised

    def device(self, pack: str = "") -> FakeDevice:
        """See ``Core``: every pack has the same BMS here."""
        self.packs_asked.append(pack)
        return self.device_settings

    def moment(self) -> Moment:
        """See ``Core``."""
        self.moments_taken += 1
        return replace(self.now, hearing=self.heard)

    def info(self) -> CoreInfo:
        """See ``Core``."""
        return CoreInfo("1.2.3", pid=os.getpid(), real_time="SCHED_FIFO 20")

    async def examine(self) -> Examination:
        """See ``Core``."""
        self.examinations += 1
        return Examination(self.clock.wall(), tuple(self.found))

    def hearing(self) -> Hearing:
        """See ``Core``."""
        return self.heard

    def packs(self) -> Mapping[str, PackDetails]:
        """See ``Core``."""
        details = PackDetails(self.uart_figures, self.statistics, tuple(self.advised), tuple(self.unfit))
        return dict.fromkeys(self.now.battery.packs or [MAIN_PACK], details)

    def outputs(self) -> Mapping[str, CanState]:
        """See ``Core``."""
        return {"can": self.can_figures}

    def uart(self) -> UartState:
        """See ``Core``."""
        return self.uart_figures

    def can(self) -> CanState:
        """See ``Core``."""
        return self.can_figures

    def watchdog(self) -> WatchdogState:
        """See ``Core``."""
        part = PartProgress("uart", 40, 250, 500, 1500, 40_000)
        reset = LastReset("watchdog", "uart", started_at=datetime(2026, 1, 1, tzinfo=UTC))
        return WatchdogState(
            enabled=True, timeout_s=30.0, watched=True, feed_count=12, last_feed_ms_ago=250,
            intervals=FeedIntervals(500.0, 499.5, 750.0, 501.2), parts=(part,), last_reset=reset,
        )  # fmt: skip

    def parts(self) -> Sequence[PartStatus]:
        """See ``Core``."""
        return [PartStatus("uart", "running", critical=True), PartStatus("mqtt", "failed", "no route", 3)]

    def services(self) -> Mapping[str, WatchedService]:
        """See ``Core``."""
        return self.watched

    def events(self) -> Sequence[EventRecord]:
        """See ``Core``."""
        return self.event_list

    def frames(self, after: int = 0) -> Sequence[MonitoredFrame]:
        """See ``Core``."""
        return [frame for frame in self.seen_frames if frame.number > after]

    async def trace(self, pack: str = "") -> Sequence[TraceLine]:
        """See ``Core``."""
        self.packs_asked.append(pack)
        return self.traffic

    async def devices(self) -> FoundDevices:
        """See ``Core``."""
        return FoundDevices(
            (SerialDevice("/dev/ttyUSB0", "FTDI"),), (CanDevice("can0", True, "error_active", 500_000),)
        )

    async def candidates(self) -> Sequence[Candidate]:
        """See ``Core``."""
        return self.at_ports

    def inhibits(self) -> Sequence[Inhibit]:
        """See ``Core``."""
        return list(self.stops.values())

    async def inhibit(self, direction: Direction, duration_s: float | None, reason: str, by: str) -> Inhibit:
        """See ``Core``."""
        since = self.clock.wall()
        until = None if duration_s is None else since + timedelta(seconds=duration_s)
        self.stops[direction] = Inhibit(direction, since, until, reason, by)
        self._save_stops()
        return self.stops[direction]

    async def release(self, direction: Direction) -> bool:
        """See ``Core``."""
        found = self.stops.pop(direction, None) is not None
        self._save_stops()
        return found

    def _save_stops(self) -> None:
        if self.disk_full:
            raise OSError(28, "No space left on device")

    async def reset_statistics(self) -> None:
        """See ``Core``."""
        self.resets += 1

    async def restart(self, part: str | None) -> None:
        """See ``Core``."""
        if part not in {None, "uart", "mqtt"}:
            raise KeyError(part)
        self.restarts.append(part)

    def note(self, event: Noted) -> None:
        """See ``Core``."""
        self.bus.publish(event, "web")


@pytest.fixture
def core(clock: FakeClock, moment: Moment) -> FakeCore:
    """A bridge with a 16-cell pack that is fresh."""
    core = FakeCore(clock)
    core.now = moment
    return core


@pytest.fixture(scope="session")
def moment() -> Moment:
    """16 cells, discharging, with every value that a sample can have."""
    cells = tuple(3.4152 + index * 0.00132 for index in range(16))
    snapshot = Snapshot(
        sequence=7,
        taken_at_s=0.0,
        pack=PackValues(
            voltage_v=54.321,
            current_a=-12.5,
            soc_percent=87.345,
            soh_percent=98.5,
            status=BmsStatus.DISCHARGING,
            status_raw=147,
            lifetime_s=123_456,
            time_left_s=40_000,
        ),
        cells=Cells(cells, tuple(index in {0, 15} for index in range(16))),
        temperatures=Temperatures(25.44, 24.1, None),
    )
    reasons = (
        Reason(Quantity.CVL, LimitCode.BMS_TARGET, 57.6, 3.6),
        Reason(Quantity.CVL, LimitCode.STATE, 54.4, 96.0, detail="FLOAT"),
        Reason(Quantity.CCL, LimitCode.TEMPERATURE, 5.0, 3.0, 0.1),
        Reason(Quantity.DCL, LimitCode.BMS_CURRENT_CUTOFF, 50.0, 150.0),
    )
    limits = Limits(54.4, 5.0, 50.0, 44.8, ChargeState.FLOAT, Freshness.FRESH, reasons)
    battery = BatteryState(
        packs={MAIN_PACK: PackState(snapshot, Identity("2.1", 1, 254))},
        freshness=Freshness.FRESH,
        decided=limits,
        alarms=Alarms(MappingProxyType({AlarmName.HIGH_VOLTAGE: AlarmLevel.WARNING, AlarmName.GENERAL: AlarmLevel.OK})),
        energy=EnergyTotals(1234.56, 789.0, 23.0, 15.0),
    )
    return Moment(
        battery,
        View(Freshness.FRESH, snapshot, limits, age_s=0.05),
        at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        packs={MAIN_PACK: View(Freshness.FRESH, snapshot, age_s=0.05)},
    )


assert ROUTERS, "read here: an application that is made in an event loop must not read its routes there"


@pytest.fixture
def app(core: FakeCore) -> FastAPI:
    """The whole web application; reading is open, and nobody is logged in."""
    return create_app(core, WebOptions())


@pytest.fixture
def as_admin(app: FastAPI) -> None:
    """Everybody is the administrator."""

    async def admin() -> User:
        return User("tester", Role.ADMIN, Via.TOKEN)

    for right in (Admin, Viewer):
        app.dependency_overrides[get_args(right)[1].dependency] = admin


@pytest.fixture
async def visitor(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client without a login."""
    async with _client(app) as client:
        yield client


@pytest.fixture
async def client(app: FastAPI, as_admin: None) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the administrator."""
    async with _client(app) as client:
        yield client


def _client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bridge.test")


@pytest.fixture(scope="session")
def make_frame() -> Callable[..., MonitoredFrame]:
    """Return a builder of CAN frames: 0x351 with CVL 54.8 V, CCL 50 A, DCL 50 A, 44.8 V."""

    def build(number: int = 1, arbitration_id: int = 0x351, data: str = "2402F401F401C001") -> MonitoredFrame:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        return MonitoredFrame(number, at, "tx", arbitration_id, bytes.fromhex(data))

    return build
