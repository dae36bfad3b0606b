import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any, ParamSpec, TypeVar

import pytest

from tinybms_bridge.battery.alarms import AlarmLevel
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.limits import ChargeState, Limits, Memory, StateMemory, step
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.snapshot import BmsStatus, Identity, Snapshot
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.core import battery as pipeline
from tinybms_bridge.core import outputs
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.core.supervisor import PathFailure
from tinybms_bridge.errors import ConfigError, LinkError
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.can import CanFrame, CanPort
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.link.events import (
    Event,
    GxChanged,
    IdentityKnown,
    LinkChanged,
    Noted,
    PartState,
    PartStateChanged,
    SnapshotAccepted,
)
from tinybms_bridge.victron.can.codec import decode_frame
from tinybms_bridge.victron.can.gx import GxState
from tinybms_lab.bms import BmsOptions, Responder, SimulatedBms
from tinybms_lab.testing.can_memory import MemoryCanBus, MemoryCanPort
from tinybms_lab.testing.fake_clock import FakeClock

STEP_S = 0.05
KEEP_ALIVE = CanFrame(0x305, bytes(8))

_P = ParamSpec("_P")
_T = TypeVar("_T")


def cap_limits(monkeypatch: pytest.MonkeyPatch, most: dict[str, float]) -> None:
    """Let the engine decide no more than this; the mapping may be changed while the bridge runs."""

    def capped(*arguments: Any) -> tuple[Limits | None, Memory]:
        limits, memory = step(*arguments)
        if limits is None:
            return None, memory
        changes: dict[str, Any] = {name: min(value, getattr(limits, name)) for name, value in most.items()}
        return replace(limits, **changes), memory

    monkeypatch.setattr(pipeline, "step", capped)


class Line:
    """A serial line in memory to a simulated TinyBMS; the adapter can be pulled."""

    def __init__(self, clock: FakeClock) -> None:
        options = BmsOptions(asleep_allowed=False)
        self.bms = SimulatedBms.build(clock, cells=16, soc=0.5, capacity_ah=100.0, options=options)
        self.present = True
        self.closed = 0
        self.opened_s: list[float] = []
        self.mute = False
        self.heals_after = 1_000_000
        self._clock = clock
        self._responder = Responder(self.bms, clock)
        self._on_data: OnData | None = None
        self._on_lost: OnLost | None = None

    async def open(self, on_data: OnData, on_lost: OnLost) -> SerialPort:
        """Stand in for the serial port opener."""
        if not self.present:
            raise LinkError("serial port /dev/ttyUSB0 does not exist")
        self._on_data, self._on_lost = on_data, on_lost
        self.opened_s.append(self._clock.monotonic())
        if len(self.opened_s) > self.heals_after:
            self.mute = False
        return self

    def write(self, data: bytes) -> None:
        """Answer as the BMS does."""
        for reply in self._responder.feed(data):
            asyncio.get_running_loop().call_soon(self._deliver, reply.data)

    def expect(self, count: int) -> None:
        """See ``SerialPort.expect``."""

    async def close(self) -> None:
        """Release the port."""
        self.closed += 1
        self._on_data = None

    def pull(self) -> None:
        """Unplug the adapter."""
        self.present = False
        on_lost, self._on_data = self._on_lost, None
        assert on_lost is not None
        on_lost(None)

    def _deliver(self, data: bytes) -> None:
        if self._on_data is not None and not self.mute:
            self._on_data(data)


class Adapter:
    """Opens ports of a bus in memory, or fails with the error that is set."""

    def __init__(self) -> None:
        self.bus = MemoryCanBus()
        self.error = ""
        self.attempts = 0
        self.ports: list[MemoryCanPort] = []

    async def open(self) -> CanPort:
        """Stand in for the CAN opener."""
        self.attempts += 1
        if self.error:
            raise LinkError(self.error)
        self.ports.append(self.bus.open())
        return self.ports[-1]


class Dog:
    """A watchdog that remembers what it was told."""

    watches = True

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.timeout_s = 0.0

    def set_timeout(self, timeout_s: float) -> None:
        """See ``Watchdog.set_timeout``."""
        self.timeout_s = timeout_s

    def ready(self) -> None:
        """See ``Watchdog.ready``."""
        self.calls.append("ready")

    def feed(self) -> None:
        """See ``Watchdog.feed``."""
        self.calls.append("feed")

    def status(self, text: str) -> None:
        """See ``Watchdog.status``."""
        self.calls.append(text)

    def stopping(self) -> None:
        """See ``Watchdog.stopping``."""
        self.calls.append("stopping")


class Disk(MemoryStorage):
    """A storage that fails while it is told to, and remembers whether it was ever written on the event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.attempts = 0
        self.may_block = False
        self.held_up_the_loop = False

    def write(self, data: bytes) -> None:
        """Write or fail."""
        self.attempts += 1
        self.held_up_the_loop |= not self.may_block
        if self.full:
            raise OSError(28, "No space left on device")
        super().write(data)


class Rig:
    """A bridge whose every side is in the hand of the test."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.line = Line(self.clock)
        self.adapter = Adapter()
        self.disk = Disk()
        self.inhibits = MemoryStorage()
        self.dog = Dog()
        self.load = 0.0
        """Share of a processor that the process takes, whatever it does."""
        self.gx = self.adapter.bus.open()
        self.heard: list[tuple[float, CanFrame]] = []
        self.gx.subscribe(lambda frame: self.heard.append((self.clock.monotonic(), frame)))
        self.events: list[Event] = []
        self.task: asyncio.Task[None] | None = None

    def build(self, document: dict[str, Any] | None = None, saved: SavedState | None = None) -> Bridge:
        """Build the bridge without starting it."""
        machine = Machine(
            self.clock,
            self.line.open,
            self.adapter.open,
            self.disk,
            self.dog,
            inhibits=self.inhibits,
            run_blocking=self._run_blocking,
            cpu_s=lambda: self.load * self.clock.monotonic(),
        )
        self.bridge = Bridge(interpret(document or {}, "test").configuration, machine, SavedUnits(unclaimed=saved))
        self.news = self.bridge.bus.subscribe(depth=1_000_000)
        return self.bridge

    def start(self, document: dict[str, Any] | None = None, saved: SavedState | None = None) -> Bridge:
        """Build the bridge and run it."""
        bridge = self.build(document, saved)
        self.task = asyncio.create_task(bridge.run())
        return bridge

    @property
    def sample(self) -> Snapshot:
        """The last accepted sample."""
        assert self.bridge.battery.snapshot is not None
        return self.bridge.battery.snapshot

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        assert self.bridge.battery.limits is not None
        return self.bridge.battery.limits

    async def wait(self, seconds: float, step_s: float = STEP_S) -> None:
        """Let time pass on the clock of the bridge."""
        for _ in range(round(seconds / step_s)):
            await self.clock.advance(step_s)

    async def until(self, condition: Callable[[], object], limit_s: float = 900.0) -> float:
        """Let time pass until a condition holds; returns the seconds that it took on the clock of the bridge.

        ``limit_s`` is on that clock, too.
        """
        begun_s = self.clock.monotonic()
        while not condition():
            assert self.clock.monotonic() - begun_s < limit_s, "it did not happen in time"
            assert self.task is None or not self.task.done(), "the bridge has ended"
            await self.clock.advance(STEP_S)
        return self.clock.monotonic() - begun_s

    async def started(self, document: dict[str, Any] | None = None, saved: SavedState | None = None) -> Bridge:
        """Run a bridge until it sends."""
        bridge = self.start(document, saved)
        await self.until(lambda: self.count(0x351) >= 1)
        return bridge

    def mute_line(self) -> None:
        """Let the BMS give no more answers.

        The waiting of the client is real: the shortest takes no more than some steps on the clock of the bridge.
        """
        shortest = replace(self.bridge.pack.client.settings, timeout_s=0.001, wake_wait_s=0.001, attempts=1)
        self.bridge.pack.client.settings = shortest
        self.line.mute = True

    async def ended(self) -> None:
        """Stop the bridge as a signal does."""
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task

    async def _run_blocking(self, work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run it in place, and let the disk know."""
        self.disk.may_block = True
        try:
            return await in_place(work, *args, **kwargs)
        finally:
            self.disk.may_block = False

    def published(self, kind: type[Event]) -> list[Any]:
        """Return the events of a kind since the start."""
        while (envelope := self.news.take()) is not None:
            self.events.append(envelope.event)
        return [event for event in self.events if isinstance(event, kind)]

    def count(self, arbitration_id: int) -> int:
        """Return how many frames with this id were heard."""
        return sum(frame.arbitration_id == arbitration_id for _, frame in self.heard)

    def last(self, arbitration_id: int) -> dict[str, Any]:
        """Return the fields of the last frame with this id."""
        frame = next(f for _, f in reversed(self.heard) if f.arbitration_id == arbitration_id)
        return decode_frame(frame).values


@pytest.fixture
async def rig(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    """A machine with everything plugged in; what runs on it ends with the test."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    rig = Rig()
    yield rig
    if rig.task is not None and not rig.task.done():
        await rig.ended()


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    """Return the log lines from a level up."""
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


async def test_bytes_become_frames(rig: Rig) -> None:
    """The whole path: the BMS is asked, believed after three samples, and a GX reads what the BMS measured."""
    bridge = await rig.started()
    await rig.wait(2.0)
    snapshot, limits = bridge.battery.snapshot, bridge.battery.limits
    assert snapshot is not None
    assert limits is not None
    assert rig.last(0x356)["voltage"] == pytest.approx(snapshot.pack.voltage_v, abs=0.006)
    assert rig.last(0x355)["soc_high_resolution"] == pytest.approx(50.0, abs=0.2)
    assert rig.last(0x351)["charge_voltage_limit"] == pytest.approx(limits.cvl_v, abs=0.05)
    assert rig.last(0x379)["capacity"] == 100
    last = bridge.can.last_frames
    assert {frame.arbitration_id for _, frame in rig.heard} == {frame.arbitration_id for frame in last}
    assert len(rig.published(SnapshotAccepted)) >= 10


async def test_an_inhibit_outlives_the_process(rig: Rig) -> None:
    """After a crash the very first limits that a GX hears allow no charge; a release is heard within a second."""
    bridge = rig.build()
    await bridge.inhibits.inhibit(Direction.CHARGE, None, "work on the cables", "boss")
    again = rig.build()
    await again.inhibits.load()
    rig.task = asyncio.create_task(again.run())
    await rig.until(lambda: rig.count(0x351) >= 3)
    heard = [decode_frame(frame).values for _, frame in rig.heard if frame.arbitration_id == 0x351]
    assert {values["charge_current_limit"] for values in heard} == {0.0}
    assert rig.last(0x351)["discharge_current_limit"] > 0.0
    await again.inhibits.release(Direction.CHARGE)
    await rig.wait(3.0)
    assert rig.last(0x351)["charge_current_limit"] > 0.0


async def test_an_inhibit_takes_effect_at_once(rig: Rig) -> None:
    """The stop does not wait for the next burst nor for the disk."""
    bridge = await rig.started()
    await rig.until(lambda: rig.last(0x351)["charge_current_limit"] > 0.0)
    await rig.wait(0.3)
    saving = asyncio.create_task(bridge.inhibits.inhibit(Direction.CHARGE, None, "", "boss"))
    await rig.wait(0.1)
    assert rig.last(0x351)["charge_current_limit"] == 0.0
    await saving


@pytest.mark.parametrize(("name", "key"), [("cvl_v", "charge_voltage"), ("ccl_a", "charge_current")])
@pytest.mark.parametrize("phase_s", [0.1, 0.35, 0.6, 0.9])
async def test_lowered_limit_goes_out_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, name: str, key: str, phase_s: float
) -> None:
    """Any limit that falls, and not only to 0, reaches the GX with the next sample, wherever the burst stands."""
    bridge = await rig.started()
    await rig.until(lambda: rig.last(0x351)["charge_current_limit"] > 10.0)
    await rig.until(lambda: rig.clock.monotonic() % 1.0 < STEP_S)
    await rig.wait(phase_s)
    bursts, others = rig.count(0x355), rig.last(0x351)
    lowered_to = others[f"{key}_limit"] * 0.9
    cap_limits(monkeypatch, {name: lowered_to})
    await rig.wait(0.2)
    assert rig.last(0x351)[f"{key}_limit"] == pytest.approx(lowered_to, abs=0.11)
    assert rig.count(0x355) - bursts <= 1
    assert bridge.can.transmitter is not None
    assert bridge.can.transmitter.statistics.kicks <= 1


async def test_lowered_discharge_limit_goes_out_at_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The load is the part of an installation that nothing else protects."""
    await rig.started()
    await rig.wait(3.3)
    cap_limits(monkeypatch, {"dcl_a": 0.0})
    await rig.wait(0.2)
    assert rig.last(0x351)["discharge_current_limit"] == 0.0


async def test_limit_that_keeps_falling_does_not_flood_the_bus(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten frames 0x351 a second beside the burst at most; what rises waits for the burst."""
    await rig.started()
    await rig.wait(3.0)
    limit = {"dcl_a": rig.last(0x351)["discharge_current_limit"]}
    cap_limits(monkeypatch, limit)
    before = rig.count(0x351)
    for _ in range(40):
        limit["dcl_a"] -= 1.5
        await rig.wait(0.05)
    assert 18 <= rig.count(0x351) - before <= 23
    falling = rig.count(0x351)
    for _ in range(40):
        limit["dcl_a"] += 1.0
        await rig.wait(0.05)
    assert rig.count(0x351) - falling <= 3


async def test_news_of_the_link_and_the_unit(rig: Rig) -> None:
    """The link comes up once, and who the BMS is is told once, also after the adapter was away."""
    bridge = await rig.started()
    await rig.until(lambda: rig.published(IdentityKnown))
    rig.line.pull()
    await rig.wait(2.0)
    rig.line.present = True
    await rig.until(lambda: bridge.pack.poller.link.up)
    await rig.until(lambda: bridge.pack.poller.identity is not None)
    await rig.wait(1.0)
    ups = [event.up for event in rig.published(LinkChanged)]
    assert (ups[0], ups[-1], ups.count(True)) == (True, True, 2)
    (known,) = rig.published(IdentityKnown)
    assert known.identity.serial_number == "53494D554C41544544000001"
    assert rig.last(0x380)["text"] == "4C415445"


async def test_one_burst_a_second(rig: Rig) -> None:
    """0x351 keeps its grid while samples come ten times as often."""
    await rig.started()
    before = rig.count(0x351)
    await rig.wait(10.0)
    assert rig.count(0x351) - before == 10


async def test_configured_times_reach_the_parts(rig: Rig) -> None:
    """Period of the frames, patience with the GX, attempts at the BMS."""
    document = {
        "victron": {"pgn_update_interval_ms": 2000, "keepalive_timeout_ms": 4000},
        "tinybms": {"uart_retry_count": 7},
    }
    bridge = await rig.started(document)
    before = rig.count(0x351)
    await rig.wait(10.0)
    assert rig.count(0x351) - before == 5
    assert bridge.can.gx.timeout_s == 4.0
    assert bridge.pack.client.settings.attempts == 7


async def test_names_a_gx_would_misread_are_refused_before_the_start(rig: Rig) -> None:
    """A configuration that cannot be put into frames never runs."""
    config = interpret({}, "test").configuration
    config = replace(config, victron=replace(config.victron, battery_name="BYD Premium"))
    machine = Machine(rig.clock, rig.line.open, rig.adapter.open, rig.disk)
    with pytest.raises(ConfigError, match="begins like BYD"):
        Bridge(config, machine, SavedUnits())


async def test_missing_can_adapter_is_told_once_and_waited_for(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A boat that boots before its adapter is there: one line, patient attempts, frames once it appears."""
    caplog.set_level(logging.INFO, "tinybms_bridge.core.bridge")
    rig.adapter.error = told = "cannot open CAN socketcan:can0 (bring it up with: ip link set can0 up)"
    bridge = rig.start()
    await rig.until(lambda: rig.adapter.attempts == 1)
    await rig.wait(60.0)
    assert 12 <= rig.adapter.attempts <= 17, "0.5 s, doubling up to 5 s"
    assert bridge.can.state().error == told
    assert bridge.battery.freshness is Freshness.FRESH, "the BMS is read all the same"
    rig.adapter.error = ""
    assert await rig.until(lambda: rig.count(0x351) >= 2, 12.5) <= 12.0
    assert bridge.can.failure is None
    assert [line for line in lines(caplog, logging.INFO) if line.startswith("CAN")] == [f"CAN: {told}", "CAN: open now"]


async def test_another_reason_is_told_again(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """From no such interface to interface down: the user sees that the cable helped, but not enough."""
    rig.adapter.error = "no such interface"
    rig.start()
    await rig.until(lambda: rig.adapter.attempts == 3)
    rig.adapter.error = "the interface is down"
    await rig.until(lambda: rig.adapter.attempts == 6)
    assert lines(caplog) == ["CAN: no such interface", "CAN: the interface is down"]


async def test_unexpected_error_of_the_adapter_ends_the_program(rig: Rig) -> None:
    """What is not an outage is a fault of the program: it ends with a clear line, not with a bus that stays empty."""

    async def broken() -> CanPort:
        raise ZeroDivisionError("division by zero")

    rig.adapter.open = broken  # type: ignore[method-assign]  # a fault of the adapter's driver
    rig.start()
    assert rig.task is not None
    with pytest.raises(PathFailure, match=r"^can failed: ZeroDivisionError: division by zero$"):
        await asyncio.wait_for(rig.task, 30.0)


async def test_frames_that_cannot_be_built_end_the_program(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CVL of 0 is not sent and not skipped in silence: the part, the value and the reason are named."""
    bridge = await rig.started()
    decide = bridge.battery.state

    def wrong() -> Any:
        state = decide()
        return replace(state, decided=replace(state.limits, cvl_v=0.0))

    monkeypatch.setattr(bridge.battery, "state", wrong)
    sent = len(rig.heard)
    await rig.wait(2.5)
    assert rig.task is not None
    with pytest.raises(PathFailure) as caught:
        await asyncio.wait_for(rig.task, 30.0)
    assert str(caught.value) == (
        "can failed: ValueError: CVL is 0.0 V; a GX would discharge the battery to that voltage"
    )
    assert all(frame.arbitration_id != 0x351 for _, frame in rig.heard[sent:])
    assert not rig.adapter.ports[-1].statistics.up, "the port is released"
    assert rig.line.closed == 1
    assert rig.dog.calls[-1] == "stopping"
    states = {event.name: event.state for event in rig.published(PartStateChanged)}
    assert states == {
        "uart": "stopped",
        "decide": "stopped",
        "can": "failed",
        "state": "stopped",
        "inhibits": "stopped",
        "run-record": "stopped",
        "soc-writer": "stopped",
        "event-list": "stopped",
    }


async def test_failure_of_the_decision_ends_the_program(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without decisions nothing may be sent; the watchdog is not fed by a bridge that does not decide."""
    bridge = await rig.started()

    def fail(_snapshot: Snapshot | None, _now_s: float) -> None:
        raise RuntimeError("lost its mind")

    monkeypatch.setattr(bridge.battery, "_decide", fail)
    fed = rig.dog.calls.count("feed")
    await rig.wait(0.5)
    assert rig.task is not None
    with pytest.raises(PathFailure, match="failed: RuntimeError: lost its mind"):
        await asyncio.wait_for(rig.task, 30.0)
    assert rig.dog.calls.count("feed") == fed


async def test_watchdog_is_fed_while_decisions_are_made(rig: Rig) -> None:
    """Ready once, then fed twice a second, also while BMS and CAN adapter are missing; told when it ends."""
    rig.line.present = False
    rig.adapter.error = "no such interface"
    rig.start()
    await rig.wait(10.0)
    assert rig.dog.calls[0] == "ready"
    assert set(rig.dog.calls[1:]) == {"feed"}
    assert 19 <= rig.dog.calls.count("feed") <= 22
    await rig.ended()
    assert rig.dog.calls[-1] == "stopping"
    assert rig.dog.calls.count("ready") == 1


async def test_watchdog_starves_when_the_decision_hangs(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decide loop that never comes back is not fed over by another part."""
    bridge = await rig.started()
    sleep = bridge._clock.sleep

    async def stuck(delay_s: float) -> None:
        await (asyncio.Event().wait() if delay_s == 0.5 else sleep(delay_s))

    monkeypatch.setattr(bridge._clock, "sleep", stuck)
    await rig.wait(1.0)
    fed, frames = rig.dog.calls.count("feed"), len(rig.heard)
    await rig.wait(10.0)
    assert rig.dog.calls.count("feed") == fed
    assert len(rig.heard) > frames, "the other parts still run: only the watchdog notices"


@pytest.mark.parametrize(("enabled", "starved"), [(True, True), (False, False)])
async def test_watchdog_starves_when_the_poller_hangs(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, enabled: bool, starved: bool
) -> None:
    """A request that never ends is noticed after the timeout and told once; switched off, the watchdog is fed on."""
    document = {"advanced": {"enable_watchdog": enabled, "watchdog_timeout_s": 20}}
    bridge = await rig.started(document)
    assert rig.dog.timeout_s == 20

    async def stuck(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(bridge.pack.client, "request", stuck)
    await rig.wait(35.0)
    fed = rig.dog.calls.count("feed")
    await rig.wait(10.0)
    assert (rig.dog.calls.count("feed") == fed) is starved
    told = [noted.text for noted in rig.published(Noted) if noted.code == "path.hangs"]
    text = "No progress of uart: the watchdog is no longer fed, and restarts the bridge"
    assert told == ([text] if starved else [])


async def test_watchdog_starves_when_the_sender_hangs(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that stops its bursts without an error is noticed, too."""
    bridge = await rig.started({"advanced": {"watchdog_timeout_s": 5}})
    assert bridge.can.transmitter is not None

    monkeypatch.setattr(bridge.can.transmitter, "_do_what_is_due", lambda _now_s: None)
    await rig.wait(20.0)
    fed = rig.dog.calls.count("feed")
    await rig.wait(5.0)
    assert rig.dog.calls.count("feed") == fed
    assert bridge.guard.hanging() == ("can",)


async def test_restarted_can_part_goes_on_alone(rig: Rig) -> None:
    """The adapter is closed and opened again; the BMS is read meanwhile, and the counters go on."""
    bridge = await rig.started()
    await rig.wait(3.0)
    sent, polls = bridge.can.statistics.tx_count, bridge.pack.client.statistics.connects
    bridge.supervisor.restart("can")
    await rig.until(lambda: len(rig.adapter.ports) == 2)
    await rig.until(lambda: bridge.can.transmitter is not None)
    assert not rig.adapter.ports[0].statistics.up
    await rig.wait(2.0)
    assert bridge.can.statistics is rig.adapter.ports[1].statistics
    assert bridge.can.statistics.tx_count > sent
    assert bridge.pack.client.statistics.connects == polls
    assert bridge.can.failure is None


async def test_restarted_uart_part_opens_its_port_again(rig: Rig) -> None:
    """The port is closed and opened, frames go on, and the program does not end."""
    bridge = await rig.started()
    await rig.wait(1.0)
    before = rig.count(0x351)
    bridge.supervisor.restart("uart")
    await rig.wait(3.0)
    assert (rig.line.closed, bridge.pack.client.statistics.connects) == (1, 2)
    assert rig.count(0x351) - before == 3
    assert bridge.battery.freshness is Freshness.FRESH


async def test_the_log_of_frames_has_both_directions(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one with its direction, also those that the adapter refused; switched on while it runs."""
    bridge = await rig.started()
    heard: list[tuple[int, str]] = []
    monkeypatch.setattr(outputs, "log_can_frame", lambda frame, way: heard.append((frame.arbitration_id, way)))
    bridge.apply(replace(bridge.config, logging=replace(bridge.config.logging, log_can_traffic=True)))
    rig.gx.send(KEEP_ALIVE)
    await rig.wait(1.0)
    rig.adapter.bus.down = True
    await rig.wait(1.0)
    assert (0x305, "rx") in heard
    assert (0x351, "tx") in heard
    assert (0x351, "dropped") in heard


async def test_gx_comes_and_goes(rig: Rig) -> None:
    """Present with its first 0x305, lost after 10 s without one, present again; frames are sent all the while."""
    bridge = await rig.started()
    for _ in range(5):
        rig.gx.send(KEEP_ALIVE)
        await rig.wait(1.0)
    assert [event.state for event in rig.published(GxChanged)] == [GxState.PRESENT]
    before = rig.count(0x351)
    await rig.wait(12.0)
    lost = rig.published(GxChanged)[-1]
    assert (lost.state, lost.silent_for_s) == (GxState.LOST, pytest.approx(10.25, abs=0.3))
    assert rig.count(0x351) - before == 12, "a GX that is updated for minutes must find its battery again"
    rig.gx.send(KEEP_ALIVE)
    await rig.wait(0.1)
    assert [event.state for event in rig.published(GxChanged)] == [GxState.PRESENT, GxState.LOST, GxState.PRESENT]
    assert bridge.can.statistics.rx_count == 6


async def test_gx_that_was_never_heard_is_told_once(rig: Rig) -> None:
    """A wrong bit rate or a missing terminator shows after the timeout, once."""
    await rig.started()
    await rig.wait(40.0)
    (never,) = rig.published(GxChanged)
    assert (never.state, never.silent_for_s) == (GxState.NEVER_SEEN, pytest.approx(10.25, abs=0.3))


@pytest.mark.parametrize("phase_s", [0.0, 0.25, 0.5, 0.75])
async def test_lost_battery_stops_charging_with_the_next_frame(rig: Rig, phase_s: float) -> None:
    """HOLD does not wait for the next second, whenever it begins: a burst begins at once."""
    bridge = await rig.started()
    await rig.wait(3.0 + phase_s)
    rig.line.pull()
    await rig.until(lambda: bridge.battery.freshness is Freshness.HOLD)
    await rig.until(lambda: rig.last(0x351)["charge_current_limit"] == 0.0, 0.15)
    assert rig.last(0x351)["discharge_current_limit"] > 0.0


async def test_lost_battery_holds_and_then_falls_silent(rig: Rig) -> None:
    """30 s without charge current, then not a single frame."""
    bridge = await rig.started()
    rig.line.pull()
    await rig.until(lambda: bridge.battery.freshness is Freshness.HOLD)
    held_s = rig.clock.monotonic()
    assert bridge.battery.snapshot is not None
    assert bridge.battery.decided_s - bridge.battery.snapshot.taken_at_s == pytest.approx(3.0, abs=0.01)
    await rig.until(lambda: bridge.battery.freshness is Freshness.SILENT, 35.0)
    assert rig.clock.monotonic() - held_s == pytest.approx(30.0, abs=0.4)
    await rig.wait(0.1)
    silent = len(rig.heard)
    await rig.wait(20.0)
    assert len(rig.heard) == silent, "not even the rest of a burst"
    in_hold = [decode_frame(frame).values for at_s, frame in rig.heard if at_s > held_s + 0.3]
    stopped = [fields["charge_current_limit"] for fields in in_hold if "charge_current_limit" in fields]
    assert len(stopped) >= 29
    assert set(stopped) == {0.0}


@pytest.mark.parametrize(("slept_s", "state"), [(20.0, Freshness.HOLD), (3600.0, Freshness.SILENT)])
@pytest.mark.parametrize("phase_s", [0.0, 0.3, 0.6, 0.9])
async def test_suspended_machine_wakes_up_with_old_data(
    rig: Rig, caplog: pytest.LogCaptureFixture, slept_s: float, state: Freshness, phase_s: float
) -> None:
    """No frame after it allows charging before three good samples came; it is told, and no watchdog barks."""
    bridge = await rig.started()
    await rig.until(lambda: rig.last(0x351)["charge_current_limit"] > 10.0)
    await rig.wait(1.0 + phase_s)
    states: list[Freshness] = []
    tick = bridge.battery.tick

    def watched(now_s: float) -> None:
        tick(now_s)
        states.append(bridge.battery.freshness)

    bridge.battery.tick = watched  # type: ignore[method-assign]
    before, fed = len(rig.heard), rig.dog.calls.count("feed")
    rig.clock.suspend(slept_s)
    rig.line.mute = True
    await rig.wait(1.5)
    assert set(states) == {state}
    limits = [decode_frame(frame).values for _, frame in rig.heard[before:] if frame.arbitration_id == 0x351]
    assert {each["charge_current_limit"] for each in limits} == ({0.0} if state is Freshness.HOLD else set())
    assert rig.dog.calls.count("feed") - fed >= 3
    (noted,) = [event for event in rig.published(Noted) if event.code == "suspended"]
    assert noted.text.startswith(f"The machine was suspended for {slept_s:.0f} s")
    assert "no progress" not in caplog.text
    rig.line.mute = False
    await rig.until(lambda: bridge.battery.freshness is Freshness.FRESH)
    assert states.count(state) >= 3


async def test_battery_that_comes_back_is_sent_at_once(rig: Rig) -> None:
    """Three good samples after a silence and the frames are there again, within the GX's patience."""
    bridge = await rig.started()
    rig.line.pull()
    await rig.until(lambda: bridge.battery.freshness is Freshness.SILENT, 40.0)
    rig.line.present = True
    silent = rig.count(0x351)
    await rig.until(lambda: bridge.battery.freshness is Freshness.FRESH, 15.0)
    await rig.until(lambda: rig.count(0x351) > silent, 0.1)
    await rig.until(lambda: rig.last(0x351)["charge_current_limit"] > 0.0, 3.0)


async def test_dead_line_is_opened_anew(rig: Rig) -> None:
    """An adapter that gives no bytes until its port was closed: first in HOLD after 5 s, then less and less often."""
    bridge = await rig.started()
    rig.line.opened_s.clear()
    rig.mute_line()
    last_s = rig.clock.monotonic()
    await rig.until(lambda: len(rig.line.opened_s) >= 1)
    assert bridge.battery.freshness is Freshness.HOLD
    await rig.until(lambda: len(rig.line.opened_s) >= 6)
    after_s = [opened_s - last_s for opened_s in rig.line.opened_s]
    pauses_s = [later - earlier for earlier, later in pairwise(after_s)]
    assert after_s[0] == pytest.approx(6.0, abs=1.5)
    # A turn of the poller on a dead line: its attempts, a slow read, its longest interval and the pause of the port.
    assert pauses_s == pytest.approx([10.0, 20.0, 40.0, 60.0, 60.0], abs=6.0)
    rig.line.heals_after = len(rig.line.opened_s)
    await rig.until(lambda: bridge.battery.freshness is Freshness.FRESH)
    assert not rig.line.mute
    assert bridge.pack.poller.reopened == len(rig.line.opened_s)


async def test_line_that_heals_by_opening_returns_before_silence(rig: Rig) -> None:
    """The inverter stays on: frames go on all the time."""
    bridge = await rig.started()
    rig.line.heals_after = 1
    rig.mute_line()
    await rig.until(lambda: bridge.battery.freshness is Freshness.HOLD)
    await rig.until(lambda: bridge.battery.freshness is not Freshness.HOLD)
    assert bridge.battery.freshness is Freshness.FRESH
    assert len(rig.line.opened_s) == 2


async def test_line_that_answers_is_not_opened_anew(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A BMS whose answers are not believed needs no new port."""
    bridge = await rig.started()
    monkeypatch.setattr(bridge.battery, "accept", lambda _snapshot, _now_s: False)
    await rig.wait(20.0)
    assert bridge.battery.freshness is Freshness.HOLD
    assert len(rig.line.opened_s) == 1


async def test_second_bms_is_an_alarm(rig: Rig) -> None:
    """Which frames and how often is an event, and the notice lasts as long as it sends."""
    bridge = await rig.started()
    for _ in range(10):
        rig.gx.send(CanFrame(0x351, bytes.fromhex("2002F401F401CC01")))
        await rig.wait(1.0)
    assert bridge.battery.notices.levels[NoticeName.SECOND_BMS] is AlarmLevel.ALARM
    await rig.wait(20.0)
    assert bridge.battery.notices.levels[NoticeName.SECOND_BMS] is AlarmLevel.OK
    (begun, ended) = [event for event in rig.published(Noted) if event.code.startswith("second_bms")]
    assert (begun.severity, ended.severity) == (Severity.FAULT, Severity.INFO)
    assert "A second BMS sends on this CAN bus (0x351 every 1.0 s)" in begun.text


async def test_silent_adapter_is_opened_anew_between_bursts(rig: Rig) -> None:
    """A GX was heard and then nothing for a minute: no frame of a burst waits while the adapter is away."""
    bridge = await rig.started()
    await rig.wait(100.0, step_s=0.25)
    (port,) = rig.adapter.ports
    assert port.reopened == [], "nothing was heard before"
    rig.gx.send(KEEP_ALIVE)
    await rig.wait(59.0, step_s=0.25)
    assert port.reopened == []
    assert bridge.can.transmitter is not None
    waiting: list[int] = []
    transmitter = bridge.can.transmitter
    port.reopen = lambda reason: waiting.append(len(transmitter._waiting))  # type: ignore[method-assign]
    await rig.wait(4.0)
    assert waiting == [0]


async def test_missing_bms_is_waited_for(rig: Rig) -> None:
    """No port at the start: no frame at all, one change of the link, and it works once it is plugged in."""
    rig.line.present = False
    bridge = rig.start()
    await rig.wait(30.0)
    assert rig.heard == []
    assert [event.reason for event in rig.published(LinkChanged)] == ["serial port /dev/ttyUSB0 does not exist"]
    rig.line.present = True
    await rig.until(lambda: rig.count(0x351) >= 1)
    assert bridge.battery.freshness is Freshness.FRESH


async def test_a_new_fault_is_not_taken_for_the_old_one(rig: Rig) -> None:
    """A discharge fault ends and a charge fault begins: charging stops with the status, and discharging is free."""
    await rig.started()
    bms = rig.line.bms
    assert bms.write([(332, 5)])  # recovers by itself after 5 s
    bms.set_current_a(-200.0)
    await rig.until(lambda: rig.sample.open_events == (0x05,), 5.0)
    bms.set_current_a(-5.0)
    await rig.until(lambda: rig.sample.pack.status is not BmsStatus.FAULT, 10.0)
    bms.set_current_a(110.0)
    await rig.until(lambda: rig.sample.pack.status is BmsStatus.FAULT, 10.0)
    assert rig.limits.ccl_a == 0.0
    assert rig.limits.dcl_a > 0.0
    await rig.until(lambda: rig.sample.open_events == (0x06,), 3.0)
    assert rig.limits.ccl_a == 0.0


async def test_a_warning_is_noticed_within_seconds(rig: Rig) -> None:
    """Discharged may not show in the status: only its event says that the BMS has cut discharging."""
    await rig.started()
    await rig.wait(5.0)
    assert rig.limits.dcl_a > 0.0
    assert rig.line.bms.write([(301, 3400)])  # above the cells
    await rig.until(lambda: rig.sample.open_events == (0x31,), 5.0)
    assert rig.sample.pack.status is BmsStatus.IDLE
    assert rig.limits.dcl_a == 0.0


async def test_configuration_that_does_not_fit_is_told_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A bulk voltage above what the BMS allows: the numbers in one line, although its settings are read every minute.

    And the limit that is sent stays below the cutoff all the same.
    """
    await rig.started({"cvl": {"bulk_voltage_v": 59.9}, "victron": {"max_charge_current_a": 700}})
    await rig.wait(200.0, 0.1)
    told = [line for line in lines(caplog, logging.ERROR) if "does not fit this battery" in line]
    assert len(told) == 2
    assert "cvl.bulk_voltage_v = 59.9" in told[0]
    assert "60.4 V" in told[0]
    assert "victron.max_charge_current_a = 700" in told[1]
    ratings = rig.bridge.pack.poller.ratings
    assert ratings is not None
    assert f"{16 * ratings.over_voltage_cell_v:g} V" in told[0]
    assert rig.last(0x351)["charge_voltage_limit"] <= 16 * ratings.over_voltage_cell_v - 0.4
    assert rig.last(0x351)["charge_current_limit"] <= ratings.charge_over_current_a


async def test_changed_settings_of_the_bms_are_checked_again(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody lowers the cutoff with the vendor's tool: the configuration no longer fits, and that is told."""
    await rig.started({"victron": {"max_charge_current_a": 30}})
    assert lines(caplog, logging.ERROR) == []
    assert rig.line.bms.write([(318, 20)])
    await rig.wait(65.0, 0.1)
    (told,) = lines(caplog, logging.ERROR)
    assert "at most the BMS's charge over-current cutoff of 20 A" in told
    assert rig.last(0x351)["charge_current_limit"] <= 20.0


async def test_full_disk_disturbs_nobody(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Saving fails for minutes: shown as failed and told once; every frame goes out; saved when there is room again."""
    bridge = await rig.started({"advanced": {"energy_save_interval_s": 60}})
    rig.disk.full = True
    await rig.until(lambda: rig.disk.attempts >= 1)
    await rig.until(lambda: bridge.supervisor.parts["state"].state is PartState.FAILED)
    before, seconds = rig.count(0x351), rig.clock.monotonic()
    await rig.until(lambda: rig.disk.attempts >= 5)
    assert rig.count(0x351) - before == pytest.approx(rig.clock.monotonic() - seconds, abs=1.0)
    assert [line for line in lines(caplog) if "state" in line] == [
        "state failed: nothing can be saved in memory: No space left on device; it is started again"
    ]
    failed = [event for event in rig.published(PartStateChanged) if event.state == "failed"]
    assert {(event.name, event.error) for event in failed} == {
        ("state", "nothing can be saved in memory: No space left on device")
    }
    rig.disk.full = False
    await rig.until(lambda: rig.disk.writes == 1)
    assert not rig.disk.held_up_the_loop, "a slow disk may not hold up the sender"


async def test_service_that_fails_is_shown_and_started_again(rig: Rig) -> None:
    """Whatever a service does, the path goes on; the failure is visible with its text."""
    bridge = rig.build()
    starts = 0

    async def web() -> None:
        nonlocal starts
        starts += 1
        raise LinkError("port 8080 is in use")

    bridge.supervisor.add("web", web)
    rig.task = asyncio.create_task(bridge.run())
    await rig.until(lambda: rig.count(0x351) >= 3)
    await rig.wait(10.0)
    part = bridge.supervisor.parts["web"]
    assert (part.state, part.error) == (PartState.FAILED, "port 8080 is in use")
    assert starts >= 4
    assert ("web", "failed", "port 8080 is in use") in [
        (event.name, event.state, event.error) for event in rig.published(PartStateChanged)
    ]
    assert all(part.state is PartState.RUNNING for part in bridge.supervisor.parts.values() if part.critical)


async def test_stop_saves_and_releases(rig: Rig) -> None:
    """On SIGTERM: counters written, both ports released, the service manager told."""
    saved = SavedState(EnergyTotals(charged_wh=500.0), Memory(StateMemory(ChargeState.FLOAT, float_latched=True)))
    await rig.started(saved=saved)
    rig.line.bms.set_current_a(20.0)
    await rig.wait(5.0)
    await rig.ended()
    document = json.loads(rig.disk.data or b"{}")
    state = SavedUnits.from_document(document)
    assert state.state.energy.charged_wh > 500.5
    assert rig.line.closed == 1
    assert not rig.adapter.ports[-1].statistics.up
    assert rig.bridge.can.transmitter is None
    frames = len(rig.heard)
    await rig.wait(5.0)
    assert len(rig.heard) == frames, "nothing repeats frames once the bridge is gone"
    assert rig.dog.calls[-1] == "stopping"


async def test_new_start_in_the_same_process_is_no_end_for_the_service_manager(rig: Rig) -> None:
    """Told of an end, systemd would wait for the process to go and kill it."""
    await rig.started()
    rig.bridge.starts_again = True
    await rig.ended()
    assert "ready" in rig.dog.calls
    assert "stopping" not in rig.dog.calls


async def test_restart_takes_over_what_was_saved(rig: Rig) -> None:
    """Energy in 0x378 goes on where it was; FLOAT between its two thresholds stays FLOAT."""
    rig.line.bms.write([(328, round(93.0 / 0.002))])
    for cell in range(1, 17):
        rig.line.bms.set_cell_soc(cell, 0.93)
    saved = SavedState(EnergyTotals(charged_wh=12_340.0), Memory(StateMemory(ChargeState.FLOAT, float_latched=True)))
    bridge = await rig.started(saved=saved)
    await rig.until(lambda: rig.count(0x378) >= 1)
    assert rig.last(0x378)["charged"] == pytest.approx(12_300.0, abs=100.0)
    assert bridge.battery.limits is not None
    assert bridge.battery.limits.state is ChargeState.FLOAT


async def test_another_unit_has_its_own_counters_and_memory(rig: Rig) -> None:
    """The pack was changed under the running bridge: nothing of the old one counts for the new one, and it is told.

    Frames pause until the new one has given as many good samples as at a start.
    """
    saved = SavedState(EnergyTotals(charged_wh=12_340.0), Memory(StateMemory(ChargeState.FLOAT, float_latched=True)))
    rig.line.bms.write([(328, round(93.0 / 0.002))])
    bridge = await rig.started(saved=saved)
    await rig.wait(5.0)
    first = bridge.pack.poller.identity
    assert first is not None
    assert bridge.saved_units().current == first.serial_number
    assert bridge.saved_units().unclaimed is None, "adopted by the first unit"
    bridge.pack.poller.identity = replace(first, serial_number="B" * 24)
    await rig.until(lambda: bridge.saved_units().current == "B" * 24)
    assert bridge.battery.energy.charged_wh < 1.0
    assert bridge.battery.limits is None or bridge.battery.limits.state is not ChargeState.FLOAT
    await rig.until(lambda: bridge.battery.freshness is Freshness.FRESH)
    texts = [event.text for event in rig.published(Noted) if event.code == "unit.changed"]
    assert texts == [
        f"Another BMS answers, serial number {'B' * 24}, before {first.serial_number}: its counters begin at 0"
    ]
    bridge.pack.poller.identity = first
    await rig.until(lambda: bridge.saved_units().current == first.serial_number)
    assert bridge.battery.energy.charged_wh >= 12_340.0
    await rig.ended()
    kept = SavedUnits.from_document(json.loads(rig.disk.data or b"{}"))
    assert set(kept.units) == {first.serial_number, "B" * 24}


async def test_a_unit_without_a_serial_number_is_told(rig: Rig) -> None:
    """Its counters are those of all such units; one that tells nothing at all is taken for the last one."""
    bridge = await rig.started()
    first = bridge.pack.poller.identity
    assert first is not None
    bridge.pack.poller.identity = Identity()
    await rig.wait(3.0)
    assert bridge.saved_units().current == first.serial_number
    bridge.pack.poller.identity = replace(first, serial_number="0" * 24)
    await rig.until(lambda: bridge.saved_units().current == "")
    told = [event.code for event in rig.published(Noted) if event.code.startswith("unit.")]
    assert told == ["unit.no_serial", "unit.changed"]


async def test_bridge_before_its_start_tells_what_is_missing(rig: Rig) -> None:
    """The interfaces may ask at any time: nothing is sent, the adapter is not open, no time has passed."""
    bridge = rig.build()
    assert bridge.can.burst_ids() == ()
    assert bridge.can.make_frames(0x351, ()) is None
    assert (bridge.can.state().error, bridge.can.transmitter, bridge.can.last_frames) == ("not open yet", None, ())
    assert bridge.can.statistics.tx_count == 0
    await rig.wait(5.0)
    assert bridge.uptime_s == pytest.approx(5.0)


async def test_statistics_of_the_port_are_those_in_use(rig: Rig) -> None:
    """What the interfaces show counts what really went out."""
    bridge = await rig.started()
    await rig.wait(3.0)
    assert bridge.can.statistics is rig.adapter.ports[-1].statistics
    assert bridge.can.statistics.tx_count == len(rig.heard)
    rig.adapter.bus.down = True
    await rig.wait(1.0)
    assert bridge.can.statistics.tx_errors > 0
    rig.adapter.bus.down = False
    before = rig.count(0x351)
    await rig.wait(2.0)
    assert rig.count(0x351) - before == 2, "frames resume by themselves, without a flood"


async def test_configuration_that_is_not_its_file_is_a_notice(rig: Rig) -> None:
    """A bad file or the last good copy is shown with the alarms until the file is mended."""
    bridge = await rig.started()
    usable = False
    bridge.file_usable = lambda: usable
    await rig.wait(7.0)
    assert NoticeName.CONFIGURATION in bridge.battery.notices.active()
    usable = True
    await rig.wait(7.0)
    assert NoticeName.CONFIGURATION not in bridge.battery.notices.active()


async def test_configuration_that_does_not_fit_the_battery_is_a_notice(rig: Rig) -> None:
    """Not only a line of the log that scrolls away."""
    bridge = await rig.started({"victron": {"max_charge_current_a": 700}})
    await rig.wait(7.0)
    assert NoticeName.CONFIGURATION in bridge.battery.notices.active()
    (misfit,) = bridge.advisor.conflicts
    assert str(misfit).startswith("victron.max_charge_current_a = 700")


async def test_settings_of_the_bms_that_could_be_better_are_told_once(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """In a line each what may harm, the rest by register; no notice, for the bridge is safe with them."""
    caplog.set_level(logging.INFO)
    assert rig.line.bms.write([(308, 15), (320, 0x10000 - 20)])
    bridge = await rig.started()
    await rig.wait(130.0, 0.1)
    (frost,) = [line for line in lines(caplog, logging.WARNING) if "setting of the BMS" in line]
    assert "register 320" in frost
    (told,) = [line for line in lines(caplog, logging.INFO) if "could be better" in line]
    assert "308" in told
    assert {308, 320} <= {each.register for each in bridge.advisor.advice}
    assert NoticeName.CONFIGURATION not in bridge.battery.notices.active()
    assert rig.line.bms.write([(308, 50), (320, 0)])
    await rig.wait(65.0, 0.1)
    assert {308, 320}.isdisjoint(each.register for each in bridge.advisor.advice)


async def test_a_capacity_that_the_battery_has_shown_is_advised(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Register 306 is 30 % above what the battery gave from full to empty; told once, though the value is refined."""
    caplog.set_level(logging.INFO)
    bridge = await rig.started()
    assert 306 not in {each.register for each in bridge.advisor.advice}
    for measured_ah in (70.0, 71.0):
        unit = bridge.battery.units["main"]
        memory = unit.memory
        unit.memory = replace(memory, evidence=replace(memory.evidence, capacity_ah=measured_ah))
        await rig.wait(3.0)
        (advice,) = [each for each in bridge.advisor.advice if each.register == 306]
        assert (advice.present, advice.advised) == (100.0, measured_ah)
    assert len([line for line in lines(caplog, logging.INFO) if "306" in line]) == 1


async def test_what_does_not_fit_the_battery_is_refused(rig: Rig) -> None:
    """Once the BMS is known, a change is judged by it; what was there before keeps from nothing else."""
    old: dict[str, Any] = {"victron": {"max_charge_current_a": 700}}
    bridge = await rig.started(old)
    await rig.wait(3.0)
    bridge.refuse_conflicts(interpret({**old, "cvl": {"float_soc_threshold": 96}}, "test").configuration)
    for cvl in ({"chemistry": "lto"}, {"chemistry": "li-ion"}, {"bulk_voltage_v": 3.45}, {"bulk_voltage_v": 62.0}):
        (key,) = cvl
        with pytest.raises(ConfigError) as caught:
            bridge.refuse_conflicts(interpret({**old, "cvl": cvl}, "test").configuration)
        assert [problem.path for problem in caught.value.problems] == [f"cvl.{key}"]
    moved = {**old, "cvl": {"chemistry": "lto"}, "hardware": {"uart": {"device": "/dev/other"}}}
    bridge.refuse_conflicts(interpret(moved, "test").configuration)  # nobody knows that battery yet


async def test_changed_configuration_is_in_force_in_every_part(rig: Rig) -> None:
    """Without a restart: periods, patience, polling, saving, watchdog, limits; no port is opened again for it."""
    bridge = await rig.started()
    opened = len(rig.line.opened_s), rig.adapter.attempts
    document = {
        "victron": {"pgn_update_interval_ms": 2000, "keepalive_timeout_ms": 4000, "max_charge_current_a": 10},
        "tinybms": {"poll_interval_ms": 300, "uart_retry_count": 7},
        "advanced": {"energy_save_interval_s": 120, "enable_watchdog": True, "watchdog_timeout_s": 40},
    }
    bridge.apply(interpret(document, "test").configuration)
    before = rig.count(0x351)
    await rig.wait(10.0)

    assert rig.count(0x351) - before in (5, 6)
    assert rig.last(0x351)["charge_current_limit"] <= 10.0
    assert bridge.can.gx.timeout_s == 4.0
    assert bridge.pack.client.settings.attempts == 7
    assert bridge.keeper.interval_s == 120
    assert (bridge.guard.enabled, bridge.guard.timeout_s) == (True, 40)
    assert (len(rig.line.opened_s), rig.adapter.attempts) == opened


async def test_port_whose_own_settings_changed_is_opened_again(rig: Rig) -> None:
    """Each alone; behind another device may be another BMS, whose bounds are not those that were read."""
    bridge = await rig.started()
    await rig.wait(3.0)
    bridge.apply(interpret({"hardware": {"can": {"channel": "can7"}}}, "test").configuration)
    await rig.wait(3.0)
    assert (len(rig.line.opened_s), rig.adapter.attempts) == (1, 2)

    device = {"hardware": {"can": {"channel": "can7"}, "uart": {"device": "/dev/ttyS7"}}}
    bridge.apply(interpret(device, "test").configuration)
    assert bridge.pack.poller.ratings is None
    await rig.wait(5.0)
    assert (len(rig.line.opened_s), rig.adapter.attempts) == (2, 2)
    assert bridge.pack.poller.ratings is not None


async def test_configuration_that_is_refused_changes_nothing(rig: Rig) -> None:
    """What no frame can hold stops before the first part has taken it."""
    bridge = await rig.started()
    before = bridge.config
    wrong = replace(before, victron=replace(before.victron, battery_name="BYD Premium", keepalive_timeout_ms=4000))
    with pytest.raises(ConfigError, match="begins like BYD"):
        bridge.apply(wrong)
    assert bridge.config is before
    assert bridge.can.gx.timeout_s == before.victron.keepalive_timeout_ms / 1000.0


async def test_configuration_may_change_before_there_is_an_adapter(rig: Rig) -> None:
    """Nothing sends yet, and nothing is counted; what was changed holds once it does."""
    bridge = rig.build()
    bridge.apply(interpret({"victron": {"pgn_update_interval_ms": 2000}}, "test").configuration)
    bridge.can.reset_statistics()
    assert bridge.can.between_bursts(lambda: None) is False
    assert (bridge.can.state().bursts, bridge.can.state().up) == (0, False)
    rig.task = asyncio.create_task(bridge.run())
    await rig.until(lambda: rig.count(0x351) >= 1)
    before = rig.count(0x351)
    await rig.wait(10.0)
    assert rig.count(0x351) - before == 5


async def test_a_machine_without_time_reads_more_seldom_and_says_so(rig: Rig) -> None:
    """Never more seldom than once a second, so that data stays fresh; told in the event list and at the line."""
    rig.load = 0.8
    bridge = await rig.started()
    assert bridge.pack.state().slowed is None
    await rig.wait(60.0)
    polls = bridge.pack.state().polls
    await rig.wait(12.0)
    told = bridge.tree().packs["main"].uart.slowed

    assert told is not None
    assert told.text == "1 BMS is read every 1000 ms in place of 100 ms: otherwise the core takes 80 % of a processor"
    assert bridge.pack.state().poll_interval_ms == 1000.0
    assert 10 <= bridge.pack.state().polls - polls <= 20
    assert [noted.code for noted in rig.published(Noted) if noted.code.startswith("pace.")] == ["pace.slower"] * 2
    assert bridge.battery.freshness is Freshness.FRESH


async def test_statistics_begin_again_when_they_are_reset(rig: Rig) -> None:
    """Of both lines; whether they are up is no count."""
    bridge = await rig.started()
    await rig.wait(5.0)
    assert bridge.can.state().tx_count > 0
    assert bridge.pack.state().polls > 0
    bridge.can.reset_statistics()
    bridge.pack.reset_statistics()
    assert (bridge.can.state().tx_count, bridge.can.state().bursts, bridge.can.state().up) == (0, 0, True)
    assert (bridge.pack.state().polls, bridge.pack.state().up) == (0, True)


async def test_frames_and_traffic_can_be_followed(rig: Rig) -> None:
    """By number; one of another run, when the clock was ahead, begins from the first again."""
    bridge = await rig.started()
    rig.gx.send(KEEP_ALIVE)
    await rig.wait(2.0)
    everything = bridge.can.monitored()
    assert everything
    assert [frame.number for frame in bridge.can.monitored(everything[0].number)] == [
        frame.number for frame in everything[1:]
    ]
    assert bridge.can.monitored(everything[-1].number) == []
    assert bridge.can.monitored(everything[-1].number + 10**9) == everything
    assert all(each.age_s >= 0.0 for each in bridge.pack.trace())


async def test_conflict_that_a_change_brings_is_told_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """At once, not only when the settings of the BMS are read again; the same configuration again says nothing."""
    bridge = await rig.started()
    await rig.wait(3.0)
    caplog.clear()
    bridge.apply(interpret({"cvl": {"bulk_voltage_v": 59.9}}, "test").configuration)
    bridge.apply(interpret({"cvl": {"bulk_voltage_v": 59.9}}, "test").configuration)
    told = [line for line in lines(caplog, logging.ERROR) if "does not fit this battery" in line]
    assert len(told) == 1
    assert len(bridge.advisor.conflicts) >= 1
    assert len([line for line in lines(caplog) if "what does not fit is not used" in line]) == 1
