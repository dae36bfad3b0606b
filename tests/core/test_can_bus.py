"""The watch over the CAN interface: its pace, and that two readings in a row decide."""

import asyncio
from dataclasses import replace

import pytest

from tinybms_bridge.core.can_bus import CanBusWatch
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.can import CanSettings, CanStatistics
from tinybms_bridge.hal.can_devices import CanCounters, CanDevice
from tinybms_bridge.hal.can_faults import CanFault
from tinybms_lab.testing.fake_clock import FakeClock

FINE = CanDevice("can0", True, "error_active", 500_000, kind="can", restart_ms=100, tx_queue_frames=10)
CAN0 = CanSettings("socketcan", "can0")


class Rig:
    """An interface that the test changes, looked at twice a second."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.device: CanDevice | None = FINE
        self.port = CanStatistics()
        self.settings = CAN0
        self.asked: list[str] = []
        self.watch = CanBusWatch(self.clock, self._read, in_place)

    def _read(self, name: str) -> CanDevice | None:
        self.asked.append(name)
        return self.device

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(2 * seconds)):
            self.watch.look(self.settings, self.port)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await self.clock.advance(0.5)


@pytest.fixture
def rig() -> Rig:
    """An interface without faults."""
    return Rig()


async def test_a_quiet_interface_is_read_each_10_s(rig: Rig) -> None:
    """The first reading is confirmed at once, where it found nothing; then the pace is slow."""
    await rig.wait(60.0)
    assert rig.asked == ["can0"] * 6
    assert (rig.watch.device, rig.watch.faults) == (FINE, frozenset())


async def test_one_reading_decides_nothing(rig: Rig) -> None:
    """Neither that something is wrong nor that it is over; the second reading follows within seconds."""
    await rig.wait(1.0)
    rig.device = replace(FINE, bitrate_bps=250_000)
    await rig.wait(9.5)
    assert (len(rig.asked), rig.watch.faults) == (2, frozenset())
    await rig.wait(2.0)
    assert rig.watch.faults == {CanFault.BIT_RATE}

    rig.device = FINE
    await rig.wait(10.0)
    assert rig.watch.device == FINE
    assert rig.watch.faults == {CanFault.BIT_RATE}
    await rig.wait(2.5)
    assert rig.watch.faults == frozenset()


async def test_a_passing_fault_is_none(rig: Rig) -> None:
    """A controller that was error-passive for a moment has only counted."""
    await rig.wait(1.0)
    rig.device = replace(FINE, state="error_passive")
    await rig.wait(9.5)
    assert len(rig.asked) == 2
    rig.device = FINE
    await rig.wait(30.0)
    assert rig.watch.faults == frozenset()


async def test_bus_off_again_and_again_is_a_fault(rig: Rig) -> None:
    """The kernel restarts the controller after 100 ms: whenever it is looked at it may be on, but its count grows."""
    await rig.wait(1.0)
    for count in range(1, 9):
        rig.device = replace(FINE, counters=CanCounters(bus_offs=count))
        await rig.wait(2.0)
    assert rig.watch.faults == {CanFault.BUS_OFF}
    await rig.wait(30.0)
    assert rig.watch.faults == frozenset()


async def test_an_error_at_the_port_is_looked_at_soon(rig: Rig) -> None:
    """Without waiting for the next reading, but never more often than each 2 s."""
    await rig.wait(3.0)
    assert len(rig.asked) == 1
    rig.port.bus_off_count += 1
    await rig.wait(0.5)
    assert len(rig.asked) == 2
    for _ in range(8):
        rig.port.bus_off_count += 1
        await rig.wait(0.5)
    assert len(rig.asked) == 4
    assert rig.watch.faults == {CanFault.BUS_OFF}


async def test_an_adapter_without_interface_is_not_asked_for(rig: Rig) -> None:
    """The kernel knows nothing of it; the port still tells of bus-off."""
    rig.settings = CanSettings("slcan", "/dev/ttyACM0")
    await rig.wait(1.0)
    for _ in range(6):
        rig.port.bus_off_count += 1
        await rig.wait(1.0)
    assert (rig.asked, rig.watch.device) == ([], None)
    assert rig.watch.faults == {CanFault.BUS_OFF}


async def test_another_interface_begins_anew(rig: Rig) -> None:
    """What was wrong with the old one says nothing of the new one."""
    rig.device = replace(FINE, restart_ms=0)
    await rig.wait(5.0)
    assert rig.watch.faults == {CanFault.NO_RESTART}
    rig.settings = CanSettings("socketcan", "can1")
    rig.device = None
    await rig.wait(1.0)
    assert (rig.asked[-1], rig.watch.device, rig.watch.faults) == ("can1", None, frozenset())


async def test_a_thread_that_cannot_start_costs_nothing(rig: Rig) -> None:
    """What is known stays, and the next reading is tried at its time."""
    await rig.wait(1.0)

    def broken(_name: str) -> CanDevice | None:
        raise RuntimeError("can't start new thread")

    rig.watch._read = broken
    await rig.wait(15.0)
    assert rig.watch.device == FINE
    await rig.watch.close()
