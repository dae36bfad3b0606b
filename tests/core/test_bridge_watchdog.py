"""What the watchdogs of the bridge make of hours without data, and of a part that hangs; in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.core.run_record import RunRecorder
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.can import CanPort
from tinybms_bridge.hal.hardware_watchdog import HardwareSettings, HardwareState, HardwareWatchdog
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.hal.watchdog import NullWatchdog
from tinybms_bridge.link.events import Noted
from tinybms_bridge.link.last_reset import RunEndCause
from tinybms_bridge.victron.can.transmitter import Transmitter
from tinybms_bridge.words import message
from tinybms_lab.testing.can_memory import MemoryCanBus
from tinybms_lab.testing.serial_memory import MemoryLine
from tinybms_lab.testing.virtual_time import LoopClock

pytestmark = pytest.mark.virtual_time

HOUR_S, MINUTES_S = 3600.0, 300.0

SLOW = {"poll_interval_ms": 1000, "poll_interval_min_ms": 1000}
"""A read a second, so that an hour is soon over."""


class Manager(NullWatchdog):
    """A service manager that counts."""

    watches = True

    def __init__(self) -> None:
        self.fed = 0

    def feed(self) -> None:
        """See ``Watchdog.feed``."""
        self.fed += 1


class Hardware(HardwareWatchdog):
    """A watchdog of the machine without a thread."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: list[HardwareSettings | None] = []
        self.fed = 0
        self.closed = 0

    @property
    def active(self) -> bool:
        """See ``HardwareWatchdog.active``."""
        return True

    def apply(self, wanted: HardwareSettings | None) -> None:
        """See ``HardwareWatchdog.apply``."""
        self.wanted.append(wanted)

    def feed(self) -> None:
        """See ``HardwareWatchdog.feed``."""
        self.fed += 1

    def close(self) -> None:
        """See ``HardwareWatchdog.close``."""
        self.closed += 1


class Line(MemoryLine):
    """A line whose BMS may say nothing."""

    mute = False

    def write(self, data: bytes) -> None:
        """See ``MemoryLine.write``."""
        if not self.mute:
            super().write(data)


class Rig:
    """A bridge whose BMS and CAN adapter may be away."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.line = Line(self.clock)
        self.bus = MemoryCanBus()
        self.adapter = True
        self.manager = Manager()
        self.hardware = Hardware()
        self.files: dict[str, MemoryStorage] = {}
        self.task: asyncio.Task[None] | None = None

    async def start(self, document: dict[str, Any] | None = None) -> Bridge:
        """Run a bridge for some seconds."""
        machine = Machine(
            self.clock,
            self.line.open,
            self._open_can,
            MemoryStorage(),
            self.manager,
            self.hardware,
            stored=lambda name, _mode: self.files.setdefault(name, MemoryStorage()),
            run_blocking=in_place,
        )
        self.bridge = Bridge(interpret(document or {}, "test").configuration, machine, SavedUnits())
        self.news = self.bridge.bus.subscribe(Noted, depth=100_000)
        self.task = asyncio.create_task(self.bridge.run())
        await asyncio.sleep(5.0)
        return self.bridge

    async def end(self) -> None:
        """Stop it as a signal does."""
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
        self.task = None

    def told(self) -> list[str]:
        """Return the codes of what was noted since the last call."""
        codes = []
        while (envelope := self.news.take()) is not None:
            assert isinstance(envelope.event, Noted)
            codes.append(envelope.event.code)
        return codes

    async def _open_can(self) -> CanPort:
        if not self.adapter:
            raise LinkError("no such interface")
        return self.bus.open()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A machine with everything plugged in; what runs on it ends with the test."""
    rig = Rig()
    yield rig
    await rig.end()


def silence(rig: Rig) -> None:
    """The BMS is there and says nothing."""
    rig.line.mute = True


def unplug(rig: Rig) -> None:
    """The serial adapter is gone."""
    rig.line.present, rig.line.mute = False, True


def remove_can(rig: Rig) -> None:
    """The CAN interface is gone, and cannot be opened again."""
    rig.adapter = False
    rig.bridge.supervisor.restart("can")


def remove_both(rig: Rig) -> None:
    """Neither is there."""
    unplug(rig)
    remove_can(rig)


def cut_can(rig: Rig) -> None:
    """The interface is there, and nobody takes a frame."""
    rig.bus.down = True


@pytest.mark.parametrize(
    ("away", "duration_s"),
    [(silence, HOUR_S), (remove_can, HOUR_S), (remove_both, HOUR_S), (unplug, MINUTES_S), (cut_can, MINUTES_S)],
)
async def test_an_hour_without_data_restarts_nothing(rig: Rig, away: Callable[[Rig], None], duration_s: float) -> None:
    """Trying is progress: both watchdogs are fed twice a second all along, with the shortest timeout, too."""
    document = {"advanced": {"watchdog_timeout_s": 5, "hardware_watchdog": True}, "tinybms": SLOW}
    bridge = await rig.start(document)
    away(rig)
    fed, hardware = rig.manager.fed, rig.hardware.fed
    before = {part.name: part.attempts for part in bridge.watchdog().parts}
    await asyncio.sleep(duration_s)

    state = bridge.watchdog()
    assert rig.manager.fed - fed >= 2 * duration_s - 2
    assert rig.hardware.fed - hardware == rig.manager.fed - fed
    assert state.intervals.longest_ms is not None
    assert state.intervals.longest_ms <= 501.0
    assert state.hanging == ()
    for part in state.parts:
        assert part.attempts - before[part.name] >= duration_s / 20, "each tries at least each 20 s"
        assert part.longest_interval_ms <= part.allowed_ms
    assert "path.hangs" not in rig.told()
    assert (bridge.battery.freshness is Freshness.FRESH) is (away in (remove_can, cut_can)), "the fault was there"


async def stuck(*_: object, **__: object) -> None:
    """Never come back."""
    await asyncio.Event().wait()


def hang_poller(rig: Rig, patch: pytest.MonkeyPatch) -> None:
    """A request never ends."""
    patch.setattr(rig.bridge.pack.client, "request", stuck)


def hang_sender(rig: Rig, patch: pytest.MonkeyPatch) -> None:
    """The adapter is open, and no burst comes."""
    patch.setattr(Transmitter, "run", stuck)
    rig.bridge.supervisor.restart("can")


def hang_opening(rig: Rig, patch: pytest.MonkeyPatch) -> None:
    """A driver never answers whether the adapter is open."""
    patch.setattr(rig.bridge.can, "_open_can", stuck)
    rig.bridge.supervisor.restart("can")


@pytest.mark.parametrize(("hang", "part"), [(hang_poller, "uart"), (hang_sender, "can"), (hang_opening, "can")])
async def test_a_part_that_hangs_starves_both_watchdogs(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, hang: Callable[[Rig, pytest.MonkeyPatch], None], part: str
) -> None:
    """After timeout and pause, not before; the next run knows which part it was."""
    bridge = await rig.start()
    hang(rig, monkeypatch)
    await asyncio.sleep(29.0)
    assert bridge.watchdog().hanging == ()
    fed = rig.manager.fed
    await asyncio.sleep(16.0)
    assert rig.manager.fed > fed, "until then they were fed"
    fed, hardware = rig.manager.fed, rig.hardware.fed
    await asyncio.sleep(60.0)

    assert (rig.manager.fed, rig.hardware.fed) == (fed, hardware)
    assert bridge.watchdog().hanging == (part,)
    assert [code for code in rig.told() if code.startswith("path.")] == ["path.hangs"]
    reset = RunRecorder(rig.files["last-run.json"], rig.clock, in_place).load("")
    assert (reset.cause, reset.part) == (RunEndCause.WATCHDOG, part)


async def test_a_hang_that_ends_is_forgotten(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told that everything goes on, and a kill afterwards is no work of the watchdog."""
    bridge = await rig.start()
    with monkeypatch.context() as patch:
        hang_poller(rig, patch)
        await asyncio.sleep(60.0)
    bridge.supervisor.restart("uart")
    await asyncio.sleep(10.0)

    assert bridge.watchdog().hanging == ()
    assert [code for code in rig.told() if code.startswith("path.")] == ["path.hangs", "path.goes_on"]
    assert RunRecorder(rig.files["last-run.json"], rig.clock, in_place).load("").cause == RunEndCause.KILLED


async def test_figures_while_all_is_well(rig: Rig) -> None:
    """Who watches, how it is fed, and what each part of the path does."""
    bridge = await rig.start()
    await asyncio.sleep(60.0)
    state = bridge.watchdog()
    assert (state.enabled, state.timeout_s, state.watched) == (True, 30, True)
    assert (state.feed_count, rig.hardware.fed) == (rig.manager.fed, rig.manager.fed)
    assert state.intervals.shortest_ms == pytest.approx(500, abs=2)
    assert state.intervals.longest_ms == pytest.approx(500, abs=2)
    uart, can = state.parts
    assert (uart.name, uart.allowed_ms, can.name, can.allowed_ms) == ("uart", 40_000, "can", 35_000)
    assert uart.attempts > 300, "it polls ten times a second"
    assert 60 <= can.attempts <= 70, "a burst a second"
    assert max(part.longest_interval_ms for part in state.parts) < 3000
    assert {uart.name, can.name} <= {part.name for part in bridge.parts()}


async def test_the_machines_watchdog_is_wanted_by_configuration_alone(rig: Rig) -> None:
    """Off by default; switched on, changed and off again while the bridge runs; stopped at the end."""
    bridge = await rig.start()
    for advanced in (
        {"hardware_watchdog": True},
        {"hardware_watchdog": True, "hardware_watchdog_device": "/dev/watchdog1", "watchdog_timeout_s": 60},
        {},
    ):
        bridge.apply(interpret({"advanced": advanced}, "test").configuration)
    assert rig.hardware.wanted == [
        None,
        HardwareSettings("/dev/watchdog", 60),
        HardwareSettings("/dev/watchdog1", 120),
        None,
    ]
    await rig.end()
    assert rig.hardware.closed == 1


async def test_a_busy_device_is_one_notice_and_no_failure(rig: Rig) -> None:
    """Frames go on; what is wrong is told once, and shown as long as it is so."""
    bridge = await rig.start({"advanced": {"hardware_watchdog": True}})
    problem = message("hardware_watchdog.busy", device="/dev/watchdog")
    rig.hardware.state = HardwareState(enabled=True, device="/dev/watchdog", message=problem)
    sent = len(rig.bus.frames)
    await asyncio.sleep(120.0)
    assert rig.told().count("hardware_watchdog.busy") == 1
    assert len(rig.bus.frames) > sent
    assert bridge.watchdog().hardware.message == problem
