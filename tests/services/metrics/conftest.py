"""A core as the services see it, in every state that it can be in."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.inhibits import Direction, Inhibit
from tinybms_bridge.battery.limits.model import ChargeState, LimitCode, Limits, Quantity, Reason
from tinybms_bridge.battery.notices import NoticeName, Notices
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, Identity, PackValues, Snapshot, Temperatures
from tinybms_bridge.battery.state import BatteryState, PackState
from tinybms_bridge.config.models.base import Secret
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.hal.can_devices import CanCounters, CanDevice
from tinybms_bridge.hal.can_faults import CanFault
from tinybms_bridge.hal.clock import Clock, SystemClock
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.hal.watchdog import PartProgress
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.last_reset import LastReset
from tinybms_bridge.link.state import (
    CanState,
    CoreInfo,
    PackDetails,
    PartStatus,
    ServiceCondition,
    ServiceState,
    UartState,
    WatchdogState,
)
from tinybms_bridge.services.metrics import MetricsService
from tinybms_bridge.services.ports import Hearing, HistoryState, Moment
from tinybms_bridge.services.standing import ServiceStanding
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.service import WebService
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics, ResetCause, WakeCause
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.link_place import PATIENCE_S

TOKEN = "the-token-of-the-prometheus-of-the-tests"
STATISTICS = DeviceStatistics(
    total_distance_km=0.0,
    max_discharge_current_a=95.0,
    max_charge_current_a=60.0,
    max_cell_difference_mv=180.0,
    under_voltage_count=1,
    over_voltage_count=4,
    discharge_over_current_count=0,
    charge_over_current_count=2,
    over_heat_count=0,
    charging_count=310,
    full_charge_count=120,
    min_temperature_c=-3,
    max_temperature_c=41,
    reset_cause=ResetCause.POWER_ON,
    wake_cause=WakeCause.UART,
    cleared_at_s=0,
)
REASONS = (
    Reason(Quantity.CVL, LimitCode.STATE, 56.0),
    Reason(Quantity.CCL, LimitCode.TEMPERATURE, 40.0, 8.0),
    Reason(Quantity.DCL, LimitCode.BMS_CURRENT_CUTOFF, 120.0, 150.0),
)
LINE = UartState(
    up=True,
    device="/dev/ttyUSB0",
    polls=1000,
    success=990,
    errors=10,
    timeouts=7,
    crc_errors=3,
    retries=12,
    latency_last_ms=14.0,
    latency_max_ms=210.0,
    latency_avg_ms=15.0,
    poll_interval_ms=100.0,
)
CONTROLLER = CanDevice(
    "can0",
    up=True,
    state="error_active",
    bitrate_bps=500_000,
    kind="can",
    restart_ms=100,
    tx_error_count=8,
    rx_error_count=0,
    counters=CanCounters(bus_errors=5, error_passives=1, bus_offs=1, restarts=1, tx_dropped=2),
)
OUTPUT = CanState(
    up=True, interface="can0", tx_count=5000, rx_count=400, bursts=500, jitter_max_ms=4.0, gx_state="present"
)
HEARD = Hearing(connected=True, since_s=3600.0)


@dataclass(frozen=True)
class Watched:
    """A service that stands as it was told."""

    told: ServiceState

    def state(self) -> ServiceState:
        """See ``WatchedService``."""
        return self.told


class Past:
    """A history that counts how often somebody looked."""

    def __init__(self) -> None:
        self.told = HistoryState(path="/x", bytes=1_200_000, written_batches=60, lost_batches=1)
        self.looks = 0

    def state(self) -> HistoryState:
        """See ``HistorySource``."""
        self.looks += 1
        return self.told


@dataclass
class Told:
    """Stands in for ``Core``: as much of it as metrics read, each to be replaced by a test."""

    clock: Clock
    battery: BatteryState = field(default_factory=BatteryState)
    heard: Hearing = HEARD
    uptime_s: float = 3600.0
    details: Mapping[str, PackDetails] = field(default_factory=dict)
    buses: Mapping[str, CanState] = field(default_factory=lambda: {"can": OUTPUT})
    statuses: Sequence[PartStatus] = ()
    watched: Mapping[str, Watched] = field(default_factory=dict)
    guard: WatchdogState = field(default_factory=WatchdogState)
    stops: Sequence[Inhibit] = ()
    history: Past = field(default_factory=Past)
    metrics: Any = None
    store: ConfigStore = field(default_factory=lambda: ConfigStore(MemoryStorage()))
    bus: Bus = field(default_factory=lambda: Bus(SystemClock().monotonic, SystemClock().wall))
    version: str = "0.2.0"

    def note(self, _event: object) -> None:
        """See ``Core``."""

    def moment(self) -> Moment:
        """See ``Core``."""
        return Moment.of(self.battery, self.clock, self.heard)

    def info(self) -> CoreInfo:
        """See ``Core``."""
        return CoreInfo("0.2.0", pid=os.getpid())

    def hearing(self) -> Hearing:
        """See ``Core``."""
        return self.heard

    def packs(self) -> Mapping[str, PackDetails]:
        """See ``Core``."""
        return self.details

    def outputs(self) -> Mapping[str, CanState]:
        """See ``Core``."""
        return self.buses

    def parts(self) -> Sequence[PartStatus]:
        """See ``Core``."""
        return self.statuses

    def services(self) -> Mapping[str, Watched]:
        """See ``Core``."""
        return self.watched

    def watchdog(self) -> WatchdogState:
        """See ``Core``."""
        return self.guard

    def inhibits(self) -> Sequence[Inhibit]:
        """See ``Core``."""
        return self.stops


def sample(now_s: float, number: int = 0, cells: int = 16) -> Snapshot:
    """Return what a pack measures while it is charged."""
    voltages_v = tuple(round(3.31 + 0.001 * ((cell + number) % 7), 4) for cell in range(cells))
    return Snapshot(
        sequence=1,
        taken_at_s=now_s,
        pack=PackValues(
            voltage_v=sum(voltages_v),
            current_a=12.5,
            soc_percent=81.5,
            soh_percent=97.2,
            status=BmsStatus.CHARGING,
            status_raw=0x91,
            time_left_s=7200,
        ),
        cells=Cells(voltages_v, tuple(cell == 3 for cell in range(cells))),
        temperatures=Temperatures(internal_c=31.0, external_1_c=18.4, external_2_c=None),
    )


def pack_of(now_s: float, number: int, cells: int, *, several: bool) -> PackState:
    """Return a pack that is in use; of several with its part in the battery."""
    alone = PackState(sample(now_s, number, cells), Identity("2.1", 1, 254, serial_number=f"{number:024x}"))
    if not several:
        return alone
    return replace(
        alone,
        freshness=Freshness.FRESH,
        limits=Limits(56.0, 30.0 + number, 90.0, 48.0, ChargeState.BULK, Freshness.FRESH),
        charge_share=0.3,
        discharge_share=0.4,
        charge_blocked=number == 1,
        saved_energy=EnergyTotals(1000.0 * number, 0.0),
    )


def fresh(clock: Clock, packs: Sequence[str] = ("main",), cells: int = 16) -> Told:
    """Return a core that tells all that there can be, of these packs."""
    now_s = clock.monotonic()
    levels = {**dict.fromkeys(AlarmName, AlarmLevel.OK), AlarmName.CELL_IMBALANCE: AlarmLevel.WARNING}
    notices = {**dict.fromkeys(NoticeName, AlarmLevel.OK), NoticeName.LOW_SOC: AlarmLevel.WARNING}
    battery = BatteryState(
        made_s=now_s,
        packs={name: pack_of(now_s, number, cells, several=len(packs) > 1) for number, name in enumerate(packs)},
        combined=sample(now_s, 0, cells) if len(packs) > 1 else None,
        members=tuple(packs) if len(packs) > 1 else (),
        freshness=Freshness.FRESH,
        decided=Limits(56.0, 40.0, 120.0, 48.0, ChargeState.BULK, Freshness.FRESH, REASONS),
        alarms=Alarms(levels),
        notices=Notices(notices),
        energy=EnergyTotals(1500.0, 900.0, 30.0, 18.0),
        saved_energy=EnergyTotals(1000.0, 800.0, 20.0, 16.0),
    )
    return Told(
        clock,
        battery,
        details={name: PackDetails(LINE, STATISTICS) for name in packs},
        buses={"can": replace(OUTPUT, device=CONTROLLER, faults=(CanFault.NO_RESTART,))},
        statuses=(
            PartStatus("uart", "running", critical=True),
            PartStatus("can", "running", critical=True),
            PartStatus("web", "failed", "no route", 3),
        ),
        watched={
            "mqtt": Watched(
                ServiceState("mqtt", ServiceCondition.TROUBLE, counters={"published": 40, "kept_bytes": 1200})
            ),
            "metrics": Watched(ServiceState("metrics", ServiceCondition.WORKING, counters={"scrapes": 7})),
        },
        guard=WatchdogState(
            feed_count=12,
            parts=(PartProgress("uart", 40, 250, 500, 1500, 40_000),),
            last_reset=LastReset("watchdog", "uart"),
        ),
        stops=(Inhibit(Direction.CHARGE, clock.wall(), None, "work", "boss"),),
    )


def held(clock: Clock, freshness: Freshness) -> Told:
    """Return a core whose BMS does not answer any more; charging is stopped, or nothing is sent."""
    told = fresh(clock)
    battery = told.battery
    assert battery.decided is not None
    limits = replace(battery.decided, ccl_a=0.0, freshness=freshness, reasons=())
    gone = replace(LINE, up=False, reason="it does not answer")
    old = {
        name: PackState(replace(sample(clock.monotonic() - 20.0)), pack.identity)
        for name, pack in battery.packs.items()
    }
    told.battery = replace(battery, packs=old, freshness=freshness, decided=limits, fresh_limits=battery.decided)
    told.details = {name: PackDetails(gone, STATISTICS) for name in told.details}
    return told


def away(clock: Clock) -> Told:
    """Return services that do not hear a core that was well before."""
    told = fresh(clock)
    told.battery = replace(told.battery, made_s=clock.monotonic() - 60.0)
    told.heard = Hearing(connected=False, since_s=60.0)
    told.details = {name: replace(each, uart=replace(each.uart, up=False)) for name, each in told.details.items()}
    told.buses = {name: replace(each, up=False, gx_state="lost") for name, each in told.buses.items()}
    told.statuses = (PartStatus("uart", "unknown"), PartStatus("web", "running"))
    return told


STATES: Mapping[str, Callable[[Clock], Told]] = {
    "starting": Told,
    "fresh": fresh,
    "hold": lambda clock: held(clock, Freshness.HOLD),
    "silent": lambda clock: held(clock, Freshness.SILENT),
    "away": away,
    "three packs": lambda clock: fresh(clock, ("port", "starboard", "spare")),
    "sixteen packs": lambda clock: fresh(clock, [f"pack-{number}" for number in range(16)]),
    "odd names": lambda clock: fresh(clock, ('a "quoted" one', "back\\slash", "line\nbreak", "Größe {1}")),
}


@pytest.fixture(scope="session")
def state_names() -> Sequence[str]:
    """The states that ``make_told`` knows."""
    return tuple(STATES)


@pytest.fixture
def make_told(clock: FakeClock) -> Callable[..., Any]:
    """Return what makes a core in a state."""

    def make(state: str = "fresh") -> Told:
        return STATES[state](clock)

    return make


@pytest.fixture(scope="session")
def served() -> Iterator[Mapping[str, str]]:
    """Bridges that serve metrics with a token on the loopback, by what state they are in: host and port of each."""
    thread = Serving()
    thread.start()
    assert thread.ready.wait(PATIENCE_S), "the web servers are up"
    yield thread.addresses
    thread.end()


class Holding(Told):
    """A core that goes on telling that its BMS does not answer."""

    def moment(self) -> Moment:
        """See ``Core``."""
        return Moment.of(replace(self.battery, made_s=self.clock.monotonic()), self.clock, self.heard)


class Going(Told):
    """A core that goes on telling: its samples are new, its counters grow, and it is started again now and then."""

    def moment(self) -> Moment:
        """See ``Core``."""
        now_s, told = self.clock.monotonic(), self.battery
        packs = {
            name: replace(pack, latest=None if pack.latest is None else replace(pack.latest, taken_at_s=now_s))
            for name, pack in told.packs.items()
        }
        energy = EnergyTotals(*(1000.0 + 0.1 * now_s for _ in range(4)))
        return Moment.of(replace(told, made_s=now_s, packs=packs, saved_energy=energy), self.clock, self.heard)

    def packs(self) -> Mapping[str, PackDetails]:
        """See ``Core``."""
        polls = round(self.clock.monotonic() * 10)
        line = replace(LINE, polls=polls, success=polls - polls // 100, errors=polls // 100)
        return {name: replace(each, uart=line) for name, each in self.details.items()}

    def parts(self) -> Sequence[PartStatus]:
        """See ``Core``."""
        return [replace(each, restarts=round(self.clock.monotonic())) for each in self.statuses]

    @property
    def uptime_s(self) -> float:
        """See ``Core``."""
        return self.clock.monotonic() % 5.0

    @uptime_s.setter
    def uptime_s(self, _value: float) -> None:
        """Take what the base class gives."""


class Serving(threading.Thread):
    """The web servers of the program with the metrics of three bridges, on an event loop of their own."""

    def __init__(self) -> None:
        super().__init__(name="served metrics", daemon=True)
        self.ready = threading.Event()
        self.addresses: dict[str, str] = {}
        self._ended: Callable[[], object] = lambda: None

    def run(self) -> None:
        """Serve until ``end``."""
        asyncio.run(self._serve())

    def end(self) -> None:
        """Stop serving."""
        self._ended()
        self.join(PATIENCE_S)

    async def _serve(self) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        self._ended = lambda: loop.call_soon_threadsafe(ended.set)
        clock = SystemClock()
        well, hold = fresh(clock, ("port", 'the "other" one')), held(clock, Freshness.HOLD)
        bridges: Mapping[str, Any] = {"well": Going(**vars(well)), "held": Holding(**vars(hold)), "away": away(clock)}
        tasks = []
        for state, core in bridges.items():
            core.metrics = MetricsService(core, Secret(TOKEN), ServiceStanding("metrics", clock), lambda _source: None)
            web = WebService(
                core,
                WebOptions(port=0, listen_address="127.0.0.1"),
                MemoryStorage(),
                clock,
                announce=lambda _text: None,
            )
            tasks.append(asyncio.create_task(web.run()))
            while web.port is None:
                await asyncio.sleep(0.01)
            self.addresses[state] = f"127.0.0.1:{web.port}"
        self.ready.set()
        await ended.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
