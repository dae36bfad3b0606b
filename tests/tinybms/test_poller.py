import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tinybms_bridge.battery.snapshot import Identity, Snapshot
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.tinybms.adaptive import AdaptiveSettings
from tinybms_bridge.tinybms.client import ClientSettings, TinyBmsClient
from tinybms_bridge.tinybms.frames import CommandCode, Nack, ReadModbus, Request, from_float, from_u32
from tinybms_bridge.tinybms.pace import Pace, pace_of
from tinybms_bridge.tinybms.poller import LinkState, Poller, PollSettings
from tinybms_lab.testing.virtual_time import LoopClock

ScriptedBms = Any

pytestmark = pytest.mark.virtual_time

SETTINGS = {300: 3650, 301: 2900, 304: 1000, 305: 80, 306: 10000, 307: 16, 308: 15, 315: 3800, 316: 2800}
CURRENTS = {317: 60, 318: 50, 319: 60, 320: 1}

QUICK = PollSettings(
    adaptive=AdaptiveSettings(base_ms=10, min_ms=10, max_ms=100),
    ratings_interval_s=0.1,
    ratings_retry_s=0.02,
    reconnect_min_s=0.01,
    reconnect_max_s=0.05,
)


class Seen:
    """What the poller handed on."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.links: list[LinkState] = []
        self.doubt: Callable[[], None] = lambda: None

    def take(self, snapshot: Snapshot) -> None:
        """Take a snapshot."""
        self.snapshots.append(snapshot)
        self.doubt()


@pytest.fixture
def pack(bms: ScriptedBms) -> ScriptedBms:
    """A 16-cell LFP unit at 53.28 V, 12.5 A, 76.5 %, idle at 25 degrees."""
    return as_pack(bms)


def as_pack(bms: ScriptedBms) -> ScriptedBms:
    """Return a BMS with the registers of a pack."""
    bms.registers.update(dict.fromkeys(range(600), 0))
    bms.registers.update(SETTINGS | CURRENTS)
    bms.registers.update(dict.fromkeys(range(16), 33300))
    words = {36: from_float(53.28), 38: from_float(12.5), 46: from_u32(76_500_000)}
    bms.registers.update({a + i: w for a, pair in words.items() for i, w in enumerate(pair)})
    bms.registers.update({40: 3330, 41: 3330, 42: 0x8000, 43: 0x8000, 45: 49000, 48: 250, 50: 0x91, 53: 16})
    bms.registers.update({500: 0x0102, 501: 0x0103, 502: 254})
    return bms


@asynccontextmanager
async def polling(
    bms: ScriptedBms, client_settings: ClientSettings, settings: PollSettings = QUICK
) -> AsyncIterator[tuple[Poller, Seen]]:
    """Run a poller; closing the block ends it and its port."""
    clock = LoopClock()
    client = TinyBmsClient(bms.open, clock, client_settings)
    seen = Seen()
    poller = Poller(client, clock, settings, on_snapshot=seen.take, on_link=seen.links.append)
    task = asyncio.ensure_future(poller.run())
    try:
        yield poller, seen
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not client.connected


async def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


async def test_snapshots_come_with_the_settings_and_the_identity(pack: ScriptedBms, quick: ClientSettings) -> None:
    """The first snapshot already carries the ratings: no limit is ever decided without them."""
    async with polling(pack, quick) as (poller, seen):
        await until(lambda: len(seen.snapshots) >= 5 and poller.identity is not None)
    first = seen.snapshots[0]
    assert first.ratings is not None
    assert first.ratings.over_voltage_cell_v == 3.8
    assert (first.pack.voltage_v, first.pack.current_a, first.pack.soc_percent) == (53.28, 12.5, 76.5)
    assert first.pack.soh_percent == 98.0
    assert [s.sequence for s in seen.snapshots[:5]] == [1, 2, 3, 4, 5]
    assert poller.identity is not None
    assert poller.identity.firmware_internal == 254
    assert seen.links[0] == LinkState(up=True)


@pytest.mark.parametrize("internal", [242, 250, 0])
async def test_an_old_firmware_has_no_state_of_health(pack: ScriptedBms, quick: ClientSettings, internal: int) -> None:
    """Register 45 is reserved before 2.3.251: what it holds is not a state of health."""
    pack.registers[502] = internal
    async with polling(pack, quick) as (poller, seen):
        await until(lambda: poller.identity is not None and len(seen.snapshots) > 3)
        seen.snapshots.clear()
        await until(lambda: len(seen.snapshots) > 0)
    assert seen.snapshots[-1].pack.soh_percent is None


async def test_changed_settings_are_noticed(pack: ScriptedBms, quick: ClientSettings) -> None:
    """Another tool may lower the over-voltage cutoff while the bridge runs."""
    async with polling(pack, quick) as (_, seen):
        await until(lambda: bool(seen.snapshots))
        pack.registers[315] = 3700
        await until(lambda: seen.snapshots[-1].ratings.over_voltage_cell_v == 3.7)  # type: ignore[union-attr]
    assert seen.snapshots[0].ratings.over_voltage_cell_v == 3.8  # type: ignore[union-attr]


async def test_settings_that_make_no_sense_give_no_snapshot(pack: ScriptedBms, quick: ClientSettings) -> None:
    """Limits are built on the BMS's settings: without sound ones nothing is polled, and the reason is shown."""
    pack.registers[307] = 200
    async with polling(pack, quick) as (poller, seen):
        await until(lambda: bool(seen.links))
        await asyncio.sleep(0.1)
    assert not seen.snapshots
    assert "200 series cells" in poller.link.reason


async def test_a_silent_bms_is_reported_once_with_what_to_check(pack: ScriptedBms, quick: ClientSettings) -> None:
    """Nothing received: wiring or sleep; said once, not at every poll."""
    pack.deliver = lambda _data: []
    async with polling(pack, replace(quick, timeout_s=0.02)) as (_, seen):
        await until(lambda: bool(seen.links))
        await asyncio.sleep(0.3)
    assert len(seen.links) == 1
    assert not seen.links[0].up
    assert "RX and TX" in seen.links[0].reason


async def test_a_wrong_baud_rate_is_told_from_silence(pack: ScriptedBms, quick: ClientSettings) -> None:
    """Bytes without a valid frame point at the baud rate."""
    pack.deliver = lambda _data: [(0.0, b"\xf8\x00\xe0\x1c")]
    async with polling(pack, replace(quick, timeout_s=0.02)) as (_, seen):
        await until(lambda: bool(seen.links))
    assert "115200" in seen.links[0].reason


async def test_a_refusing_bms_is_reported(pack: ScriptedBms, quick: ClientSettings) -> None:
    """A NACK is shown as what it is, not as a dead line."""
    pack.refuse = Nack(CommandCode.READ_MODBUS, 0)
    async with polling(pack, quick) as (_, seen):
        await until(lambda: bool(seen.links))
    assert "refused command 0x03" in seen.links[0].reason


async def test_a_device_that_returns_is_opened_again(pack: ScriptedBms, quick: ClientSettings) -> None:
    """Pull the USB adapter, plug it in again: polling goes on by itself, sequence numbers do not start over."""
    async with polling(pack, quick) as (_, seen):
        await until(lambda: len(seen.snapshots) >= 3)
        pack.vanish()
        await until(lambda: not seen.links[-1].up)
        count = len(seen.snapshots)
        pack.present = True
        await until(lambda: len(seen.snapshots) > count)
    assert pack.opened == 2
    assert seen.links[-1].up
    assert [s.sequence for s in seen.snapshots] == list(range(1, len(seen.snapshots) + 1))


async def test_a_device_that_opens_and_is_lost_at_once_is_not_opened_without_end(
    pack: ScriptedBms, quick: ClientSettings
) -> None:
    """A hub that browns out shows its adapters for moments: the pauses grow as for one that is not there.

    One that was there for a while before is opened at once.
    """
    open_port = pack.open

    async def open_and_lose(on_data: OnData, on_lost: OnLost) -> SerialPort:
        port: SerialPort = await open_port(on_data, on_lost)
        asyncio.get_running_loop().call_later(0.001, on_lost, OSError(5, "Input/output error"))
        return port

    settings = replace(QUICK, reconnect_min_s=0.5, reconnect_max_s=5.0)
    async with polling(pack, quick, settings) as (poller, seen):
        await asyncio.sleep(3.0)
        poller._client._open_port = open_and_lose
        pack.vanish()
        pack.present = True
        before = pack.opened
        await asyncio.sleep(0.2)
        assert pack.opened == before + 1
        await asyncio.sleep(59.8)
        assert 10 <= pack.opened - before <= 20
        poller._client._open_port = open_port
        count = len(seen.snapshots)
        await until(lambda: len(seen.snapshots) > count, 10.0)


async def test_ports_that_are_lost_together_are_opened_one_after_the_other(
    bms: ScriptedBms, quick: ClientSettings
) -> None:
    """A hub that resets takes all its adapters with it: each pack lets those before it go first."""
    opened_s = []
    for index in range(16):
        unit = as_pack(type(bms)())
        async with polling(unit, quick) as (poller, seen):
            poller.pace = pace_of(index, 16)
            await asyncio.sleep(3.0)
            assert seen.links[-1].up
            lost_s = asyncio.get_running_loop().time()
            unit.vanish()
            unit.present = True
            await until(lambda unit=unit: unit.opened == 2)  # type: ignore[misc]
            opened_s.append(asyncio.get_running_loop().time() - lost_s)

    assert all(later_s - sooner_s > 0.01 for sooner_s, later_s in pairwise(opened_s[::2]))
    assert opened_s[-1] < 0.5


async def test_a_pace_bounds_the_interval_at_once_and_is_gone_back_from(
    pack: ScriptedBms, quick: ClientSettings
) -> None:
    """Polls are as far apart as the machine bears from the next one on, also after a change of the configuration."""
    async with polling(pack, quick) as (poller, seen):
        await until(lambda: len(seen.snapshots) >= 3)
        poller.pace = Pace(least_ms=80.0)
        poller.settings = replace(QUICK, adaptive=replace(QUICK.adaptive, base_ms=20))
        await until(lambda: poller.interval.interval_ms == 80.0)
        count = len(seen.snapshots)
        await asyncio.sleep(1.0)
        assert 11 <= len(seen.snapshots) - count <= 13
        poller.pace = Pace()
        await until(lambda: poller.interval.interval_ms == 10.0)


async def test_packs_of_one_moment_are_asked_together(bms: ScriptedBms, quick: ClientSettings) -> None:
    """Whenever their ports were opened, packs 1 and 5 of sixteen are asked in the same turns, apart from pack 2."""
    asked_s: dict[int, list[float]] = {1: [], 2: [], 5: []}
    settings = replace(QUICK, adaptive=AdaptiveSettings())
    async with AsyncExitStack() as stack:
        for index, times_s in asked_s.items():
            unit = as_pack(type(bms)())
            answer = unit.answer

            def noted(request: Request, answer: Any = answer, times_s: list[float] = times_s) -> tuple[bytes, ...]:
                if request == ReadModbus(0, 56):
                    times_s.append(asyncio.get_running_loop().time())
                found: tuple[bytes, ...] = answer(request)
                return found

            unit.answer = noted
            poller, _ = await stack.enter_async_context(polling(unit, quick, settings))
            poller.pace = pace_of(index, 16)
            await asyncio.sleep(0.037)
        await asyncio.sleep(3.0)

    ends_s = [times_s[-1] % 0.1 for times_s in asked_s.values()]
    assert ends_s == pytest.approx([0.025, 0.05, 0.025], abs=0.003)


async def test_a_slow_read_that_fails_does_not_hold_up_the_fast_one(pack: ScriptedBms, quick: ClientSettings) -> None:
    """Settings get one attempt between two polls: the path goes on when only they fail."""
    answer = pack.answer
    async with polling(pack, replace(quick, timeout_s=0.03)) as (_, seen):
        await until(lambda: bool(seen.snapshots))
        pack.answer = lambda request: () if request == ReadModbus(300, 44) else answer(request)
        count = len(seen.snapshots)
        await asyncio.sleep(0.5)
        gaps = [
            b.taken_at_s - a.taken_at_s
            for a, b in zip(seen.snapshots[count:], seen.snapshots[count + 1 :], strict=False)
        ]
    assert len(gaps) > 5
    assert max(gaps) < 0.3
    assert seen.links == [LinkState(up=True)]


async def test_one_lost_poll_costs_one_step(pack: ScriptedBms, quick: ClientSettings) -> None:
    """The time of all attempts together is no latency of the line: it would slow the polling down for minutes."""
    settings = replace(QUICK, adaptive=AdaptiveSettings(base_ms=50, min_ms=50, max_ms=1000, success_threshold=1000))
    async with polling(pack, replace(quick, timeout_s=0.02), settings) as (poller, seen):
        await until(lambda: bool(seen.snapshots))
        pack.deliver = lambda _data: []
        await until(lambda: poller.interval.interval_ms > 50)
        assert poller.interval.interval_ms == 75


async def test_a_bms_that_never_answered_is_told_at_once(pack: ScriptedBms, quick: ClientSettings) -> None:
    """Somebody who has just connected the cable waits for one failed poll, not for three."""
    pack.deliver = lambda _data: []
    settings = replace(QUICK, silent_after=1000)
    async with polling(pack, replace(quick, timeout_s=0.02), settings) as (poller, seen):
        await until(lambda: bool(seen.links))
    assert "nothing was received" in poller.link.reason


async def test_failures_slow_the_polling_down(pack: ScriptedBms, quick: ClientSettings) -> None:
    """A BMS that does not answer is asked less often, up to the configured maximum."""
    async with polling(pack, replace(quick, timeout_s=0.02, attempts=1)) as (poller, seen):
        await until(lambda: bool(seen.snapshots))
        pack.deliver = lambda _data: []
        await until(lambda: poller.interval.interval_ms >= 100)
    assert poller.interval.interval_ms == 100


async def test_who_it_is_is_known_before_the_first_snapshot(pack: ScriptedBms, quick: ClientSettings) -> None:
    """What was learned and counted belongs to a unit: no sample is added before it is known to which."""
    pack.registers[504] = 0x1234
    known: list[str] = []
    async with polling(pack, quick) as (poller, _):
        poller._on_snapshot = lambda _: known.append(poller.identity.serial_number if poller.identity else "")
        await until(lambda: len(known) >= 3)
    assert {number[:4] for number in known} == {"3412"}


async def test_another_unit_on_the_port_brings_its_own_settings(pack: ScriptedBms, quick: ClientSettings) -> None:
    """Not one of its snapshots is seen with the bounds of the unit before; the same unit keeps its own."""
    settings = replace(QUICK, ratings_interval_s=3600.0, ratings_retry_s=3600.0)
    pack.registers[504] = 1
    async with polling(pack, quick, settings) as (poller, seen):
        for serial, cutoff in ((1, 3800), (2, 3700)):
            count = len(seen.snapshots)
            await until(lambda before=count: len(seen.snapshots) > before + 3)  # type: ignore[misc]
            pack.vanish()
            await until(lambda: not poller.link.up)
            pack.requests.clear()
            pack.registers[504], pack.registers[315] = serial, cutoff
            count = len(seen.snapshots)
            pack.present = True
            await until(lambda before=count: len(seen.snapshots) > before + 3)  # type: ignore[misc]
            assert {s.ratings.over_voltage_cell_v for s in seen.snapshots[count:] if s.ratings} == {cutoff / 1000}
            reads = [r for r in pack.requests if isinstance(r, ReadModbus)]
            assert reads[0] == ReadModbus(500, 10)
            assert (reads[1] == ReadModbus(300, 44)) is (serial == 2)


async def test_a_unit_that_refuses_to_say_who_it_is_works(pack: ScriptedBms, quick: ClientSettings) -> None:
    """It is asked once for each connection, and its settings are read anew at each."""
    answer = pack.answer
    refusal = Nack(CommandCode.READ_MODBUS, 0).encode()
    pack.answer = lambda request: refusal if request == ReadModbus(500, 10) else answer(request)
    async with polling(pack, quick) as (poller, seen):
        await until(lambda: len(seen.snapshots) >= 10)
    assert poller.identity == Identity()
    assert pack.requests.count(ReadModbus(500, 10)) == 1


async def test_a_unit_that_does_not_say_who_it_is_works_in_the_end(pack: ScriptedBms, quick: ClientSettings) -> None:
    """A line that answers everything else is not kept out for ever; it is asked again later, and believed then."""
    answer = pack.answer
    pack.answer = lambda request: () if request == ReadModbus(500, 10) else answer(request)
    settings = replace(QUICK, identity_retry_s=0.05)
    async with polling(pack, replace(quick, timeout_s=0.05), settings) as (poller, seen):
        await until(lambda: len(seen.snapshots) >= 1)
        assert poller.identity == Identity()
        assert pack.requests.count(ReadModbus(500, 10)) >= 3
        pack.answer = answer
        await until(lambda: poller.identity != Identity())
    assert poller.identity is not None
    assert poller.identity.firmware_internal == 254


async def test_a_reading_in_doubt_is_read_again_at_once(pack: ScriptedBms, quick: ClientSettings) -> None:
    """At a cadence of 2 s three reads come within 5 s, and none nearer than the BMS can have new data."""
    slow = replace(QUICK, adaptive=AdaptiveSettings(base_ms=2000, min_ms=2000, max_ms=2000))
    async with polling(pack, quick, slow) as (poller, seen):
        poller.read_again()  # before the settings of the BMS are known: nothing is read nearer for it
        seen.doubt = poller.read_again
        await until(lambda: len(seen.snapshots) >= 3)
    times_s = [snapshot.taken_at_s for snapshot in seen.snapshots]

    assert min(times_s[1] - times_s[0], times_s[2] - times_s[1]) >= 0.075
